"""Searches on a Ray cluster of several nodes, with an MLflow server and a token, as users run them."""

import json
import pathlib
import shlex
import socket
import tempfile
import time
from collections.abc import Callable, Iterator

import click
import pytest
import yaml

from search.cli.program import cli
from search.cluster.jobs import Jobs
from search.cluster.reachable import check_cluster
from search.cluster.sharing import check_writable
from search.errors import ClusterError, SearchError
from search.settings.search_file import load_config
from search.store.folder import SearchStore
from tests.search.cluster.cluster_fixture import RayCluster, Site, TrackingServer, quick
from tests.search.ports import refusing_port
from tests.search.tracking.tracking_record import wait_until

WRONG_TOKEN = {"RAY_AUTH_TOKEN": "0" * 64}
LONG = ("training.epochs=4000",)
PACE = ("--report-seconds", "1", "--checkpoint-seconds", "1")


JOB = """
name = "job"
families = ["fixed", "norm_balance"]
constant.most_trials = 2
trials_per_family = 2
replicates = 1
training.epochs = 20
data.train_size = 100
student = { name = "mlp", options = { hidden = [32] } }
teacher = { checkpoint = "teacher.pt", model = { name = "cnn", options = { widths = [16, 32, 64] } } }
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="kd", dir="/tmp", ignore_cleanup_errors=True) as path:
        yield pathlib.Path(path)


@pytest.fixture(scope="module")
def tracking(folder: pathlib.Path) -> Iterator[TrackingServer]:
    server = TrackingServer(folder / "mlflow")
    yield server
    server.end()


@pytest.fixture(scope="module")
def site(folder: pathlib.Path, tracking: TrackingServer) -> Iterator[Site]:
    """A head that runs no trials and one node that does, for tests that do not change them."""
    cluster = RayCluster(folder / "s", folder / "cache", head_cpus=0)
    try:
        cluster.await_head()
        cluster.add_node()
        yield Site(cluster, folder / "shared", tracking.uri())
    finally:
        cluster.end()


@pytest.fixture
def new_site(folder: pathlib.Path, tracking: TrackingServer) -> Iterator[Callable[[], Site]]:
    """Make sites whose head runs trials, for tests that break something; they end with the test."""
    clusters: list[RayCluster] = []

    def start() -> Site:
        cluster = RayCluster(folder / f"n{time.monotonic_ns()}", folder / "cache", head_cpus=1)
        clusters.append(cluster)
        cluster.await_head()
        return Site(cluster, folder / "shared", tracking.uri())

    yield start
    for cluster in clusters:
        cluster.end()


def test_search_runs_on_a_node_other_than_the_head(site):
    done = site.cluster.search("run", *quick("name=joined"), "--address", site.cluster.address, *site.places)
    assert done.returncode == 0, done.stderr
    search = site.read("joined")
    assert search.status == "finished"
    assert [trial.status for trial in search.trials] == ["finished"] * 4
    assert site.run_statuses("joined") == {"search": ["FINISHED"], "trials": ["FINISHED"] * 4}
    assert not (site.cluster.folder / "home" / ".ray").exists()


def test_wrong_token_is_told_in_one_message(site):
    for command, address in (("run", site.cluster.address), ("submit", site.cluster.dashboard)):
        done = site.cluster.search(command, *quick("name=x"), "--address", address, *site.places, **WRONG_TOKEN)
        assert done.returncode == 2
        assert "RAY_AUTH_TOKEN" in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_storage_that_nodes_do_not_share_is_told(site):
    # A process's own working folder has the same path on every node, but is not the same place.
    places = ("--storage", "/proc/self/cwd/apart", "--tracking-uri", site.tracking_uri)
    done = site.cluster.search("run", *quick("name=apart"), "--address", site.cluster.address, *places)
    assert done.returncode == 2
    assert "must be shared by all nodes" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_storage_that_cannot_be_written_is_told():
    with pytest.raises(SearchError, match="cannot be written"):
        check_writable(SearchStore("/dev/null/searches", "x"))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:{port}", "nothing answers"),
        ("somewhere", "`auto` or `host:port`"),
        ("http://127.0.0.1:8265", "kd-search submit"),
        ("ray://127.0.0.1:10001", "`host:port` of a Ray head"),
    ],
)
def test_wrong_address_of_a_head_is_told_at_once(address, expected):
    began = time.monotonic()
    with refusing_port() as port, pytest.raises(ClusterError, match=expected):
        check_cluster(address.format(port=port))
    assert time.monotonic() - began < 10


def test_wrong_address_of_a_dashboard_is_told():
    with refusing_port() as port, pytest.raises(ClusterError, match="no Ray dashboard answers"):
        Jobs(f"http://127.0.0.1:{port}")
    with pytest.raises(ClusterError, match="must be the dashboard's"):
        Jobs("127.0.0.1:6379")


def test_dashboard_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("search.cluster.jobs._SECONDS_TO_ANSWER", 1.0)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(ClusterError, match="no answer within 1 s"):
            Jobs(f"http://127.0.0.1:{mute.getsockname()[1]}")


@pytest.mark.slow
def test_submitted_search_brings_its_files_along_and_can_be_followed(site, tmp_path):
    import torch

    from trainables.config.trial import ModelSettings
    from trainables.models import create_model

    model = ModelSettings(name="cnn", options={"widths": [16, 32, 64]})
    torch.save(create_model(model, image_shape=(1, 8, 8), classes=10).state_dict(), tmp_path / "teacher.pt")
    cluster, there = site.cluster, ("--address", site.cluster.dashboard)
    file = tmp_path / "search.toml"
    file.write_text(JOB)
    done = cluster.search("submit", str(file), "--working-dir", str(tmp_path), *there, *site.places)
    assert done.returncode == 0, done.stderr
    followed = cluster.search("logs", "job", "-f", *there)
    assert followed.returncode == 0, followed.stdout
    assert "4 of at most 4 trials done" in followed.stdout
    state = json.loads(cluster.search("status", "job", *there, "--json").stdout)
    assert (state["job_status"], state["status"], state["finished"]) == ("SUCCEEDED", "finished", 4)
    assert (site.storage / "job" / "report" / "report.html").is_file()


@pytest.mark.slow
def test_stopped_search_is_saved_and_goes_on_when_it_is_submitted_again(site):
    cluster, there = site.cluster, ("--address", site.cluster.dashboard)
    submit = ("submit", *quick("name=again", *LONG), *there, *site.places, *PACE)
    assert cluster.search(*submit).returncode == 0
    wait_until(lambda: len(site.read("again").finished) >= 1, 180, "a finished trial")
    wait_until(
        lambda: any(t.status == "pending" and t.history.epochs for t in site.read("again").trials), 60, "a middle"
    )
    refused = cluster.search(*submit)
    assert (refused.returncode, "already runs as job" in refused.stderr) == (2, True)
    stopped = cluster.search("stop", "again", *there)
    assert (stopped.returncode, "STOPPED" in stopped.stdout) == (0, True)
    before = site.read("again")
    assert before.status == "stopped"
    assert site.run_statuses("again")["search"] == ["KILLED"]
    assert set(site.run_statuses("again")["trials"]) == {"FINISHED", "KILLED"}

    other = cluster.search("submit", *quick("name=again"), *there, *site.places)
    assert (other.returncode, "`training.epochs` was 4000 and now is 20" in other.stderr) == (2, True)

    assert cluster.search(*submit).returncode == 0
    assert cluster.search("logs", "again", "-f", *there).returncode == 0
    after = site.read("again")
    assert after.status == "finished"
    ended = {trial.trial_id: trial.ended for trial in after.trials}
    assert all(ended[trial.trial_id] == trial.ended for trial in before.finished)
    assert site.run_statuses("again") == {"search": ["FINISHED"], "trials": ["FINISHED"] * 4}


@pytest.mark.slow
def test_trials_of_a_lost_node_go_on_elsewhere_from_their_checkpoint(new_site):
    from ray import tune

    site = new_site()
    node = site.cluster.add_node()
    run = ("run", *quick("name=lost", *LONG), "--address", site.cluster.address, *site.places, *PACE)
    driver = site.cluster.begin_search(*run)
    wait_until(
        lambda: sum(t.status == "pending" and bool(t.history.epochs) for t in site.read("lost").trials) == 2,
        180,
        f"two trials with a checkpoint ({driver.log})",
    )
    node.child("raylet").kill()
    assert driver.process.wait(300) == 0, driver.log.read_text()
    assert site.read("lost").status == "finished"
    store = SearchStore(str(site.storage), "lost")
    trials = tune.ExperimentAnalysis(store.folder, storage_filesystem=store.filesystem).trials
    moved = [trial for trial in trials if trial.run_metadata.num_failures]
    assert moved
    for trial in moved:
        last = trial.run_metadata.last_result
        assert 0 < last["iterations_since_restore"] < last["training_iteration"]
    assert site.run_statuses("lost") == {"search": ["FINISHED"], "trials": ["FINISHED"] * 4}


@pytest.mark.slow
def test_search_goes_on_after_the_head_was_lost(new_site):
    first = new_site()
    there = ("--address", first.cluster.dashboard)
    submit = ("submit", *quick("name=head", *LONG), *first.places, *PACE)
    assert first.cluster.search(*submit, *there).returncode == 0
    wait_until(lambda: len(first.read("head").finished) >= 1, 180, "a finished trial")
    first.cluster.end()
    before = first.read("head")
    assert before.status == "running"
    second = new_site()
    there = ("--address", second.cluster.dashboard)
    assert second.cluster.search(*submit, *there).returncode == 0
    assert second.cluster.search("logs", "head", "-f", *there).returncode == 0
    after = second.read("head")
    ended = {trial.trial_id: trial.ended for trial in after.trials}
    assert all(ended[trial.trial_id] == trial.ended for trial in before.finished)
    assert after.status == "finished"
    assert second.run_statuses("head") == {"search": ["FINISHED"], "trials": ["FINISHED"] * 4}


@pytest.mark.slow
def test_teacher_is_prepared_by_a_node(site, tmp_path):
    code = """
import functools, pathlib, sys
from search.settings.search_file import load_config
from search.settings.launch import Launch
from search.prepare.preparation import in_cluster, teach
from search.cluster.connection import ray_session
from search.records import Listener
from trainables.datasets import load_dataset

class News(Listener):
    news = []
    def stage(self, text): print(text)
    def teacher(self, progress): self.news.append(progress)

address, folder = sys.argv[1], pathlib.Path(sys.argv[2])
config = load_config("digits-quick", ["teacher.training.epochs=2", *sys.argv[3:]])
launch = Launch(output=folder, storage=str(folder), address=address, tracking_uri="", experiment="",
                cache=folder / "cache", data_root=folder)
listener = News()
with ray_session(address):
    dataset = load_dataset(config.data, default_root=folder)
    prepared = in_cluster(functools.partial(teach, config, dataset, launch), listener, gpus=0)
print(prepared.teacher_parameters, prepared.assets.teacher_accuracy > 0.5, listener.news[-1].epoch)
"""
    done = site.cluster.python("-c", code, site.cluster.address, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split()[1:] == ["True", "2.0"]
    diverging = "teacher.training.learning_rate=1e30"
    done = site.cluster.python("-c", code, site.cluster.address, str(tmp_path), diverging)
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("trainables.errors.ModelError")


def test_entry_point_of_the_rayjob_goes_on_with_a_search_that_has_begun():
    manifest = yaml.safe_load((pathlib.Path(__file__).parents[3] / "deploy" / "rayjob.yaml").read_text())
    python, *module, command, source = shlex.split(manifest["spec"]["entrypoint"])[:6]
    assert (python, module, command) == ("python", ["-P", "-m", "search"], "run")
    assert load_config(source)
    arguments = shlex.split(manifest["spec"]["entrypoint"])[5:]
    context = cli.get_command(click.Context(cli), command).make_context("run", arguments)
    assert (context.params["resume"], context.params["address"]) == (True, "auto")
    shared = [mount["mountPath"] for pod in _pods(manifest) for mount in pod["containers"][0]["volumeMounts"]]
    assert len(set(shared)) == 1
    assert all(context.params[place].startswith(f"{shared[0]}/") for place in ("storage", "output", "cache"))


def _pods(manifest):
    groups = [manifest["spec"]["rayClusterSpec"]["headGroupSpec"]]
    groups += manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    return [group["template"]["spec"] for group in groups]
