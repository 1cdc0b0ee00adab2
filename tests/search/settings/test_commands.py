"""Commands in messages lead to the same places as the command before."""

import dataclasses
import pathlib
import re
import shlex

import click
import pytest

import search
from search.cli import options
from search.cli.program import cli
from search.records.search import SearchRecord
from search.settings.commands import next_command
from search.settings.launch import DEFAULT_EXPERIMENT, Launch, default_cache, default_data_root
from search.store.folder import SearchStore
from tests.search.tiny import tiny_config

VERBS = ("resume", "confirm", "report", "status", "sync")
OTHERS = ["--output", "/o", "--cache", "/c", "--data-root", "/d"]


def launch_of(*arguments, command="resume", name="mine"):
    """Return the launch that the command line makes of these arguments."""
    context = cli.get_command(click.Context(cli), command).make_context(command, [name, *arguments])
    places = {key: value for key, value in context.params.items() if key not in ("name", "address")}
    return options.launch_of(places, context.params.get("address"))


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for variable in ("KD_SEARCH_CACHE", "KD_SEARCH_DATA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)


def test_a_tilde_is_the_home_folder_in_every_place(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of")
    launch = launch_of("--output=~/o", "--storage=~/s", "--cache=~/c")
    assert (str(launch.output), launch.storage) == ("/home/of/o", "/home/of/s")
    assert launch.tracking_uri == "sqlite:////home/of/o/mlflow.db"
    assert [str(place) for place in (launch.cache, launch.data_root)] == ["/home/of/c/teachers", "/home/of/c/data"]
    assert launch_of("--storage=s3://bucket/~kd").storage == "s3://bucket/~kd"


@pytest.mark.parametrize("verb", VERBS)
def test_the_usual_places_are_not_named(verb):
    assert next_command(verb, "mine", launch_of()) == f"kd-search {verb} mine"
    assert next_command(verb, "mine") == next_command(verb, "mine", "runs") == f"kd-search {verb} mine"


@pytest.mark.parametrize(
    ("arguments", "verb", "options"),
    [
        (["--output", "/tmp/eyes out"], "report", "--output '/tmp/eyes out'"),
        (["--output", "out", "--storage", "s3://bucket/kd"], "status", "--output out --storage s3://bucket/kd"),
        (["--storage", "/shared"], "sync", "--storage /shared"),
        (OTHERS, "report", "--output /o"),
        (OTHERS, "confirm", "--output /o --cache /c --data-root /d"),
        (["--cache", "/c"], "resume", "--cache /c"),
        (["--address", "auto"], "resume", "--address auto"),
        (["--address", "auto"], "report", ""),
        (["--tracking-uri", "http://host:5000"], "confirm", ""),  # the search remembers it
    ],
)
def test_what_the_next_command_needs_is_repeated(arguments, verb, options):
    launch = launch_of(*arguments)
    command = next_command(verb, "mine", launch)
    assert command == f"kd-search {verb} mine {options}".rstrip()
    if verb in ("resume", "confirm"):
        typed = launch_of(*shlex.split(command)[3:], command=verb)
        assert dataclasses.replace(typed, tracking_uri=launch.tracking_uri) == launch


def test_what_comes_from_the_environment_is_not_repeated(monkeypatch):
    monkeypatch.setenv("KD_SEARCH_CACHE", "/c")
    monkeypatch.setenv("KD_SEARCH_DATA", "/d")
    assert default_cache() == pathlib.Path("/c")
    assert default_data_root(default_cache()) == pathlib.Path("/d")
    assert next_command("confirm", "mine", launch_of()) == "kd-search confirm mine"


def test_a_store_other_than_the_searchs_own_is_named_without_its_password():
    launch = launch_of("--tracking-uri", "http://me:secret@host:5000", "--experiment", "mine")
    anew = dataclasses.replace(launch, tracked_anew=True)
    expected = "kd-search sync mine --tracking-uri 'http://me:***@host:5000' --experiment mine"
    assert next_command("sync", "mine", anew) == expected
    assert next_command("report", "mine", anew) == "kd-search report mine"


@pytest.mark.parametrize(
    ("given", "uri", "experiment"),
    [
        ([], "sqlite:///own.db", "its own"),
        (["--experiment", "another"], "sqlite:///own.db", "another"),
        (["--experiment", DEFAULT_EXPERIMENT], "sqlite:///own.db", DEFAULT_EXPERIMENT),
        (["--tracking-uri", "http://host:5000"], "http://host:5000", "its own"),
        (["--tracking-uri", "http://host:5000", "--experiment", "another"], "http://host:5000", "another"),
    ],
)
@pytest.mark.parametrize("verb", ["confirm", "sync"])
def test_a_search_stays_in_its_store_and_experiment_unless_another_is_named(verb, given, uri, experiment, tmp_path):
    places = ["--output", str(tmp_path)]
    begun = launch_of(*places, "--tracking-uri", "sqlite:///own.db", "--experiment", "its own")
    store = SearchStore(begun.storage, "mine")
    store.write_header(SearchRecord(name="mine", config=tiny_config()), begun)

    def tracked(*arguments):
        context = cli.get_command(click.Context(cli), verb).make_context(verb, ["mine", *places, *arguments])
        launch = options.launch_of({k: v for k, v in context.params.items() if k not in ("name", "address")})
        return options.tracked_as_before(launch, store, context.params)

    launch = tracked(*given)
    assert (launch.tracking_uri, launch.experiment, launch.tracked_anew) == (uri, experiment, bool(given))
    assert tracked(*shlex.split(next_command(verb, "mine", launch))[5:]) == launch


def test_where_only_the_storage_is_known_it_is_named():
    assert next_command("status", "mine", "/data/out") == "kd-search status mine --output /data/out"
    assert next_command("status", "mine", "s3://bucket/kd") == "kd-search status mine --storage s3://bucket/kd"


def test_no_message_writes_such_a_command_itself():
    """Commands with a search's name come from `next_command`, which knows the places."""
    written = re.compile(r"kd-search (?:resume|confirm|report|status|sync|explain) \{")
    folder = pathlib.Path(search.__file__).parent
    found = [path for path in folder.rglob("*") if path.suffix in (".py", ".j2") and written.search(path.read_text())]
    assert found == []


def test_a_launch_made_by_hand_is_understood(tmp_path):
    launch = Launch(
        output=tmp_path,
        storage=str(tmp_path),
        address=None,
        tracking_uri="sqlite:///x.db",
        experiment="e",
        cache=default_cache() / "teachers",
        data_root=default_data_root(default_cache()),
    )
    assert next_command("resume", "mine", launch) == f"kd-search resume mine --output {tmp_path}"
