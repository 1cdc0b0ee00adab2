"""Confirmations on a Ray cluster of several nodes, as users run them."""

import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from search.confirm.store import read_confirmation, units_of
from search.store.folder import SearchStore
from tests.search.cluster.cluster_fixture import RayCluster, Site, TrackingServer, quick
from tests.search.tracking.tracking_record import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A head that runs trials."""
    with tempfile.TemporaryDirectory(prefix="kd", dir="/tmp", ignore_cleanup_errors=True) as path:
        folder = pathlib.Path(path)
        tracking = TrackingServer(folder / "mlflow")
        cluster = RayCluster(folder / "c", folder / "cache", head_cpus=1)
        try:
            cluster.await_head()
            yield Site(cluster, folder / "shared", tracking.uri())
        finally:
            cluster.end()
            tracking.end()


def confirmation(site, name):
    return read_confirmation(SearchStore(str(site.storage), name))


def trained(site, name):
    record = confirmation(site, name)
    return 0 if record is None else len(record.results)


def test_submitted_search_is_confirmed_when_it_has_finished_and_more_seeds_are_added_later(site):
    cluster, there = site.cluster, ("--address", site.cluster.dashboard)
    for seeds in (2, 3):
        settings = quick("name=sent", f"confirm.seeds={seeds}")
        done = cluster.search("submit", *settings, "--confirm", *there, *site.places)
        assert done.returncode == 0, done.stderr
        followed = cluster.search("logs", "sent", "-f", *there, seconds=500)
        assert followed.returncode == 0, followed.stdout
        record = confirmation(site, "sent")
        assert (record.complete, len(record.seeds)) == (True, seeds)
        total = len(units_of(record))
        assert f"{total}/{total} trainings done" in followed.stdout


def test_trainings_of_a_lost_node_are_done_elsewhere(site):
    cluster, there = site.cluster, ("--address", site.cluster.address)
    longer = ("name=lost", "training.epochs=1500", "confirm.seeds=3")
    searched = cluster.search("run", *quick(*longer), *there, *site.places, seconds=500)
    assert searched.returncode == 0, searched.stderr
    node = cluster.add_node()
    driver = cluster.begin_search("confirm", "lost", *there, *site.places)
    wait_until(lambda: trained(site, "lost") >= 3, 240, f"three trainings ({driver.log})")
    node.child("raylet").kill()
    assert driver.process.wait(300) == 0, driver.log.read_text()
    assert confirmation(site, "lost").complete
