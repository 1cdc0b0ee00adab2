"""A real search of two students, raced over seeds, and a confirmation with one of them."""

import functools
import json

import pytest

from search.cluster.connection import ray_session
from search.confirm import figures as confirm_figures
from search.confirm.run import confirm_search
from search.run.publish import publish_report
from search.run.search import run_search
from search.settings.confirmation import ConfirmationSettings
from search.store.folder import SearchStore
from search.store.trials import read_search
from tests.search.confirm.test_confirm import ConfirmationListener
from tests.search.tiny import QuietListener, tiny_config
from trainables.models.cost import measure_figures

SIZES = {"base": (64 + 1) * 32 + (32 + 1) * 10, "wide": (64 + 1) * 48 + (48 + 1) * 10}
CONFIG = tiny_config(
    "name=two",
    'space.students.wide={name="mlp", options={hidden=[48]}}',
    "trials_per_family=2",
    "constant.most_trials=2",
    "constant.promoted=1",
    "replicates=3",
    "racing={ reduction = 2 }",
)


@pytest.fixture(scope="module", autouse=True)
def session():
    with ray_session(None):
        yield


@pytest.fixture(scope="module")
def search(launch):
    return run_search(CONFIG, launch, QuietListener()).search


def test_each_student_is_trained_and_raced_by_itself(search):
    assert search.status == "finished"
    assert {(t.student, t.history.parameters) for t in search.trials} == set(SIZES.items())
    for student in SIZES:
        for family in ("fixed", "norm_balance"):
            statuses = sorted(t.status for t in search.trials if (t.student, t.family) == (student, family))
            assert statuses == ["eliminated", "finished"]
        assert [t.baseline for t in search.of_student(student).trials if t.family == "fixed"] == [True, True]


def test_the_stored_search_knows_what_its_students_cost(search, launch):
    stored = read_search(SearchStore(launch.storage, "two"))
    assert {size.name: size.parameters for size in stored.student_sizes} == SIZES
    base, wide = stored.student_sizes
    assert (base.flops, wide.flops) == (2 * (64 * 32 + 32 * 10), 2 * (64 * 48 + 48 * 10))
    assert [t.student for t in stored.trials] == [t.student for t in search.trials]


def test_the_report_has_a_front_of_student_size(search, launch):
    page = publish_report(search, launch)
    document = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in document["students"]] == ["base", "wide"]
    assert ["parameters"] in [front["costs"] for front in document["fronts"]]
    assert {trial["student"] for trial in document["trials"]} == {"base", "wide"}
    assert {best["number"] for family in document["families"] if (best := family["best"])} <= {
        trial.number for trial in search.of_student(document["student"]).trials
    }


def test_a_confirmation_is_of_one_student(search, launch, monkeypatch):
    monkeypatch.setattr(confirm_figures, "measure_figures", functools.partial(measure_figures, seconds=0.01))
    settings = ConfirmationSettings(seeds=2, families=(), more_constants=0, student="wide")
    listener = ConfirmationListener()
    record = confirm_search(search.name, launch, listener, settings).record
    assert record.complete
    assert {finalist.student for finalist in record.finalists} == {"wide"}
    assert record.student_figures.parameters == SIZES["wide"]
    assert "the student 'wide' is confirmed, of base, wide" in listener.stages
    page = publish_report(search, launch)
    document = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert document["student"] == "wide"
