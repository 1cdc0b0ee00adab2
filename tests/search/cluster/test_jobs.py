"""Facts about a submitted search that need no cluster."""

import types

import pytest
from click.testing import CliRunner
from ray.job_submission import JobStatus

from search.cli.program import cli
from search.cluster import jobs
from search.cluster.jobs import Jobs, check_begun
from search.errors import SearchError
from search.records.search import SearchRecord
from search.run.status import search_status
from search.settings.launch import Launch
from search.store.folder import SearchStore
from tests.search.tiny import TINY, tiny_config

LOG = """\
· joining the Ray cluster at auto
error: a search 'tiny' has begun with other settings:
  `training.epochs` was 6 and now is 7

Give this one another name (--name …), or resume it with the settings that it began with.
"""


class Client:
    """A cluster's dashboard that knows one job and refuses to take another."""

    def __init__(self, log="", status="FAILED", storage="/of/the/cluster"):
        self.log, self.submitted = log, []
        metadata = {"kd.search": "tiny", "kd.storage": storage}
        self.job = types.SimpleNamespace(
            submission_id="tiny-1", status=JobStatus(status), metadata=metadata, start_time=1
        )

    def list_jobs(self):
        return [self.job]

    def get_job_logs(self, _):
        return self.log

    def submit_job(self, **job):
        self.submitted.append(job)
        return job["submission_id"]


@pytest.fixture
def dashboard(monkeypatch):
    def at(client):
        monkeypatch.setattr(jobs, "_connect", lambda _: client)
        return client

    return at


@pytest.fixture
def begun(tmp_path):
    """Make a storage in which the search has begun."""
    record = SearchRecord(name="tiny", config=tiny_config().model_dump(mode="json"))
    SearchStore(str(tmp_path), "tiny").write_header(record, Launch.on_this_machine(tmp_path, tmp_path))
    return str(tmp_path)


def test_a_status_tells_the_whole_error_that_a_job_ended_with(dashboard, tmp_path):
    dashboard(Client(LOG))
    state = search_status("tiny", Launch.on_this_machine(tmp_path, tmp_path), "http://head:8265")
    assert state["says"] == "\n".join(line for line in LOG.splitlines()[1:] if line)


def test_a_status_is_what_the_job_says_where_its_storage_cannot_be_read(dashboard, tmp_path):
    dashboard(Client("3/8 trials done\n", status="RUNNING", storage="nowhere://bucket/searches"))
    state = search_status("tiny", Launch.on_this_machine(tmp_path, tmp_path), "http://head:8265")
    assert (state["says"], state["storage"]) == ("3/8 trials done", "nowhere://bucket/searches")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", None),
        ("3/8 trials done\n  4/8 trials done  \n\n", "4/8 trials done"),
        # An error long before the end is not the job's last word.
        ("error: MLflow is away\n" + "".join(f"{n}/20 trials done\n" for n in range(20)), "19/20 trials done"),
    ],
)
def test_last_words_without_an_error_at_the_end_are_one_line(dashboard, log, words):
    client = dashboard(Client(log))
    assert Jobs("http://head:8265").last_words(client.job) == words


def submit(storage, *settings):
    overrides = [part for setting in (*TINY, *settings) for part in ("--set", setting)]
    places = ["--storage", storage, "--tracking-uri", "http://mlflow:5000", "--address", "http://head:8265"]
    return CliRunner().invoke(cli, ["submit", "digits-quick", *overrides, *places])


def test_other_settings_than_a_search_began_with_are_refused_before_it_is_sent(dashboard, begun, tmp_path):
    client = dashboard(Client())
    refused = submit(begun, "training.epochs=7")
    assert isinstance(refused.exception, SearchError)
    assert "`training.epochs` was 6 and now is 7" in str(refused.exception)
    assert client.submitted == []
    for storage, settings in ((begun, ()), (begun, ("confirm.seeds=20",)), (str(tmp_path / "x"), ("seed=5",))):
        assert submit(storage, *settings).exit_code == 0
    assert len(client.submitted) == 3


def test_a_storage_that_cannot_be_read_from_here_is_left_to_the_job(monkeypatch, begun):
    config = tiny_config("training.epochs=7")
    check_begun(config, "nowhere://bucket/searches")

    def away(_):
        raise OSError("AWS Error NETWORK_CONNECTION")

    with pytest.raises(SearchError, match="other settings"):
        check_begun(config, begun)
    unreachable = types.SimpleNamespace(get_file_info=away)
    monkeypatch.setattr("search.store.folder._open", lambda _: (unreachable, "bucket"))
    check_begun(config, begun)
