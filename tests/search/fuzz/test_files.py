"""Whatever a file holds, it is read, or refused by an error that a user understands."""

import json
import pathlib
import random
import shutil
import tomllib

import pytest

from policies import FAMILIES, KDPolicySearchError, load_policy
from policies.document import policy_document
from search.recipes import read_recipe, recipe_names
from search.run import run_search
from search.settings.search_file import config_from, load_config
from search.store import SearchStore, read_search
from tests.search.fuzz.mutations import with_strange_bytes, with_strange_values
from tests.search.tiny import QuietListener, tiny_config

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
MANY = pytest.param(30_000, marks=pytest.mark.slow)
DEEP = 100_000


@pytest.fixture
def random_(request):
    return random.Random(request.node.name)


def refusal(read):
    """Return why a file was refused, or None; any other error than a user's is the test's failure."""
    try:
        read()
    except KDPolicySearchError as error:
        return str(error)
    return None


@pytest.mark.parametrize("inputs", [600, MANY])
def test_a_policy_file(inputs, random_, tmp_path):
    documents = [policy_document(policy(), temperature=4.0) for policy in FAMILIES.values()]
    path, seen = tmp_path / "policy.json", set()
    for _ in range(inputs):
        document = random_.choice(documents)
        if random_.random() < 0.6:
            text = json.dumps(with_strange_values(document, random_), ensure_ascii=random_.random() < 0.5)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
        else:
            path.write_bytes(with_strange_bytes(json.dumps(document).encode(), random_))
        seen.add(refusal(lambda: load_policy(path).rule()) is None)
    assert seen == {True, False}


@pytest.mark.parametrize("inputs", [300, MANY])
def test_a_search_file(inputs, random_, tmp_path):
    texts = [read_recipe(name) for name in recipe_names()]
    texts += [path.read_text() for path in sorted(EXAMPLES.glob("*.toml"))]
    path, seen = tmp_path / "search.toml", set()
    for _ in range(inputs):
        text = random_.choice(texts)
        if random_.random() < 0.6:
            values = with_strange_values(tomllib.loads(text), random_)
            if isinstance(values, dict):
                seen.add(refusal(lambda values=values: config_from(values, folder=EXAMPLES)) is None)
        else:
            path.write_bytes(with_strange_bytes(text.encode(), random_))
            seen.add(refusal(lambda: load_config(str(path))) is None)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("content", "read"), [("[", load_config), ('{"a":', load_policy), ("a = " + "[" * 9, load_config)]
)
def test_deep_nesting_is_refused(content, read, tmp_path):
    path = tmp_path / ("file.toml" if read is load_config else "policy.json")
    path.write_text(content * DEEP)
    assert path.name in refusal(lambda: read(str(path)))


@pytest.mark.slow
def test_a_stored_search_names_the_damaged_file(random_, launch):
    run_search(tiny_config("name=whole"), launch, QuietListener())
    whole = pathlib.Path(launch.storage, "whole")
    work = whole.with_name("damaged")
    shutil.copytree(whole, work, symlinks=True)
    files = [
        path for path in sorted(work.rglob("*")) if path.is_file() and path.suffix in (".json", ".pkl", ".parquet")
    ]
    kinds = sorted({path.name.partition("-")[0] for path in files})
    seen = set()
    for _ in range(1500):
        kind = random_.choice(kinds)
        path = random_.choice([path for path in files if path.name.startswith(kind)])
        content = path.read_bytes()
        if path.suffix == ".json" and content[:1] in b"{[" and random_.random() < 0.6:
            path.write_text(json.dumps(with_strange_values(json.loads(content), random_)))
        else:
            path.write_bytes(with_strange_bytes(content, random_))
        store = SearchStore(launch.storage, "damaged")
        reason = refusal(lambda store=store: (store.header_record(), read_search(store)))
        assert reason is None or str(path) in reason or "stored state of trial" in reason or path.name == "search.json"
        seen.add(reason is None)
        path.write_bytes(content)
    assert seen == {True, False}
