"""`import search`: the page of the Python functions is true, and what they return is what is stored."""

import inspect
import json
import os
import pathlib
import re
import types

import matplotlib.image
import pandas
import pytest

import search
from policies import CosineThreshold, create_policy
from policies.errors import KDPolicySearchError
from search.run.python import _place_and_name
from search.settings.given import given_config
from search.settings.search_file import SearchConfig, load_config
from tests.search.tiny import QuietListener, tiny_config

ROOT = pathlib.Path(__file__).parents[3]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)
MINE = """
families = ["fixed", "norm_balance"]
name = "mine"
trials_per_family = 2
replicates = 2
evaluations = 3
trace_points = 5
constant.most_trials = 3
data = { name = "digits", validation_size = 300 }
student = { name = "mlp", options = { hidden = [16] } }
teacher = { model = { name = "mlp" }, training = { epochs = 3 } }
training = { epochs = 4 }
"""


MODELS = {"student": {"name": "mlp"}, "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 3}}}


@pytest.fixture(scope="module")
def page(tmp_path_factory, cache):
    """Run the page's code from top to bottom in a folder of its own; return its names and what it printed."""
    folder, before = tmp_path_factory.mktemp("page"), pathlib.Path.cwd()
    (folder / "mine.toml").write_text(MINE)
    os.chdir(folder)
    os.environ["KD_SEARCH_CACHE"] = str(cache)
    names, printed = {}, []
    names["print"] = lambda *values: printed.append(" ".join(map(str, values)))
    try:
        for block in BLOCKS:
            if "search.load_config" not in block:  # the block of sources has a test of its own
                exec(compile(block, "docs/python.md", "exec"), names)
        yield types.SimpleNamespace(folder=folder, found=names["found"], names=names, printed=printed)
    finally:
        os.chdir(before)
        del os.environ["KD_SEARCH_CACHE"]


def test_the_page_finds_a_rule(page):
    assert (page.found.status, page.found.verdict.confirmed) == ("finished", True)
    searched, shown = page.printed
    assert searched.startswith("Whether distillation pays")  # the answer as text, not as an object
    assert ".confirm()" in shown
    assert "kd-search" not in shown.splitlines()[-1]  # Python code is told what to call


def test_the_page_runs_the_rule_in_a_loop(page):
    assert page.names["balancer"].total_steps == 1000
    assert isinstance(page.names["rule"], CosineThreshold)


def test_the_sources_that_the_page_shows_are_searches(monkeypatch):
    (block,) = [block for block in BLOCKS if "search.load_config" in block]
    configs = []

    def run(*arguments, **named):
        bound = inspect.signature(search.run).bind(*arguments, **named).arguments
        overrides = {**bound.get("overrides", {}), **({"name": bound["name"]} if "name" in bound else {})}
        configs.append(given_config(bound["source"], overrides))

    monkeypatch.chdir(ROOT)
    source = block.replace("import search\n", "")
    exec(source, {"search": types.SimpleNamespace(run=run, load_config=search.load_config)})
    assert [config.name for config in configs] == ["longer", "table", "tpe"]
    assert (configs[0].replicates, configs[0].training.epochs) == (5, 50)
    assert configs[1].task.origin == "table.py:Visits"
    assert configs[2].sampler == "tpe"


def test_tables_are_frames_with_every_number(page):
    trials, record = page.found.trials, page.found.record
    assert isinstance(trials, pandas.DataFrame)
    assert sorted(trials["number"]) == [trial.number for trial in record.trials]
    assert list(trials["score"]) == sorted((trial.score for trial in record.trials), reverse=True)
    best = record.finished[0]
    assert trials.loc[0, "number"] == best.number
    assert trials.loc[0, "rule"] == best.rule
    assert trials.loc[0, "validation_accuracy"] == pytest.approx(best.score)
    weights = trials.set_index("number")["parameter.weight"].dropna()
    assert dict(weights) == {t.number: t.parameters["weight"] for t in record.trials if "weight" in t.parameters}
    assert set(page.found.tables) >= {"families", "gains", "kpis", "costs", "finalists", "finalists-by-seed"}
    assert set(page.found.tables["families"]["family"]) == {"fixed", "norm_balance"}


def test_figures_show_themselves_in_a_notebook(page, tmp_path):
    figure = page.found.figures["scores"]
    png, how = figure._repr_png_()
    (tmp_path / "figure.png").write_bytes(png)
    height, width, _ = matplotlib.image.imread(tmp_path / "figure.png").shape
    assert width > how["width"] > 300  # sharp on a screen of twice the resolution
    assert height > 100
    assert len(repr(figure)) < 2000
    assert not figure.table.to_frame().empty


def test_the_policy_is_that_of_the_report(page):
    found = page.found
    document = json.loads((found.report().parent / "policy.json").read_text())
    assert document == found.policy_document
    assert found.policy.rule() == create_policy(document["family"], document["parameters"]).rule()
    assert found.policy is not found.policy


@pytest.mark.parametrize("form", ["runs/mine", pathlib.Path("runs/mine"), "{folder}/runs/mine"])
def test_a_search_is_opened_by_its_folder(page, form):
    place = form.format(folder=page.folder) if isinstance(form, str) else form
    found = search.open(place)
    assert found.record == page.found.record
    assert pathlib.Path(found.folder) == page.folder / "runs" / "mine"
    assert str(found) == str(page.found)
    assert repr(found).startswith("<Search 'mine': finished, ")


def test_a_notebook_shows_the_report_of_a_search(page):
    shown = page.found._repr_mimebundle_((), ())
    assert "norm balance" in shown["text/html"]
    assert page.found.verdict.headline.split(":")[0] in shown["text/plain"]


def test_a_name_that_was_used_is_told_with_the_ways_to_continue(page):
    with pytest.raises(search.SearchError, match=r"`resume=True`.*`search.open\('mine'\)`.*`name=…`"):
        search.run("mine.toml")


def test_a_search_that_is_not_there_is_told_with_those_that_are(page):
    with pytest.raises(search.SearchError, match="there is no search 'mien'.*mine"):
        search.open("mien")


def test_a_search_whose_trials_all_fail_is_an_error(tmp_path, cache):
    config, listener, places = tiny_config(), QuietListener(), {"output": tmp_path, "cache": cache}
    few = {"trials_per_family": 1, "replicates": 1, "constant.most_trials": 1}
    diverging = {"space.learning_rate": {"low": 1e29, "high": 1e30, "log": True}}
    with pytest.raises(search.SearchError, match=r"all \d+ trials of the search 'tiny' failed. Trial 1 \(norm_"):
        search.run(config, {**few, **diverging}, progress=listener, **places)
    found = search.open("tiny", **places)
    assert found.record.all_failed
    assert found.trials["error"].str.contains("finite|NaN|infinite").all()
    with pytest.raises(search.SearchError, match="no trial of the search 'tiny' has finished; trial 1 failed"):
        _ = found.policy
    assert listener.begun is not None


# What is given


@pytest.mark.parametrize("source", ["digits-quick", {"name": "a", **MODELS}])
def test_overrides_replace_settings_of_any_source(source):
    for given in (source, given_config(source)):
        config = given_config(given, {"training.epochs": 7, "space.temperature": {"choices": [1.0, 2.0]}, "name": "b"})
        assert isinstance(config, SearchConfig)
        assert (config.training.epochs, config.name) == (7, "b")
        assert config.space.temperature.choices == (1.0, 2.0)


def test_settings_survive_being_given_again():
    for source in (load_config("fashion-mnist"), load_config(str(ROOT / "examples" / "table.toml"))):
        assert given_config(source) == source


def test_what_is_given_is_not_changed():
    given = {"name": "a", **MODELS, "training": {"epochs": 3}}
    assert given_config(given, {"training.epochs": 9}).training.epochs == 9
    assert given["training"] == {"epochs": 3}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"replicats": 3}, "replicates"),
        ({"name.first": 3}, "`overrides` has 'name.first': 'name' is a value"),
        ({"training.epochs": 0}, "training.epochs"),
    ],
)
def test_a_wrong_override_is_named(overrides, message):
    with pytest.raises(KDPolicySearchError, match=re.escape(message)):
        given_config("digits-quick", overrides)


@pytest.mark.parametrize(
    ("given", "place", "name"),
    [
        ("mine", None, "mine"),
        ("runs/mine", "runs", "mine"),
        ("/data/mine/", "/data", "mine"),
        ("s3://bucket/searches/mine", "s3://bucket/searches", "mine"),
    ],
)
def test_a_search_is_named_by_name_folder_or_uri(given, place, name):
    assert _place_and_name(given, by_path=False) == (place, name)


def test_a_path_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _place_and_name("mine", by_path=True) == (str(tmp_path), "mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "search.json").touch()
    assert _place_and_name("mine", by_path=False) == (str(tmp_path), "mine")
