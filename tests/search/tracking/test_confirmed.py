"""A confirmation in MLflow: verdict, finalists and the champion in the registry, however often it is projected."""

from __future__ import annotations

import datetime
import io
import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from search.confirm.champion import choose_champion
from search.confirm.champion_card import ALIAS
from search.errors import TrackingError
from search.evidence import judge
from search.records.confirmation import ConfirmationRecord
from search.settings.search_file import load_config
from search.tracking import TrackedConfirmation, TrackingReport, registry, sync
from search.tracking.store import open_client
from tests.search.evidence_record import around, confirmation, constant, rule
from tests.search.ports import free_port
from tests.search.tracking.tracking_record import (
    EXPERIMENT,
    START,
    make_search,
    make_trial,
    points_of,
    runs_of,
    served,
)
from trainables.classifier import Classifier, restore_classifier
from trainables.pictures.format import PictureFormat

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

CONFIG = load_config("digits-quick")
PICTURES = PictureFormat(shape=(1, 8, 8), classes=tuple("0123456789"), mean=(70.0,), std=(90.0,))
STUDENT = Classifier(CONFIG.student, PICTURES).eval()
SEEDS = 4


def made_up(name: str, ahead: float = 3.0, seeds: int = SEEDS, shift: float = 0.0) -> ConfirmationRecord:
    """Return a confirmation in which the rule leads by so many points."""
    noise = [0.2, -0.1, 0.0, -0.1, -0.2, 0.2][:seeds]
    scores = [
        (rule("norm_balance"), around(0.90 + (ahead + shift) / 100, *noise)),
        (constant(0.9), around(0.90 + shift / 100, *reversed(noise))),
        (constant(0.0), around(0.80, *noise)),
    ]
    record = confirmation(scores, teacher=0.98)
    results = [r.model_copy(update={"began": START.timestamp() + 1000 + 10 * r.seed}) for r in record.results]
    return record.model_copy(update={"search": name, "pictures": PICTURES, "results": tuple(results)})


def weights(_: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(STUDENT.network.state_dict(), stream)
    return stream.getvalue()


def confirm(uri: str, record: ConfirmationRecord, **changes: Any) -> TrackingReport:
    search = make_search(record.search, make_trial(1), **changes)
    champion = choose_champion(record, judge(search, record), CONFIG)
    tracked = TrackedConfirmation(record=record, champion=champion, read_student=weights)
    return sync(search, uri, EXPERIMENT, confirmation=tracked)


def finalists_of(uri: str, search: str) -> dict[str, Any]:
    runs = runs_of(uri, search, "finalist")
    by_key = {run.data.tags["kd.finalist"]: run for run in runs}
    assert len(by_key) == len(runs)
    return by_key


def versions_of(uri: str, name: str) -> tuple[list[Any], str | None]:
    """Return all versions of a registered model, and the champion's number."""
    client = open_client(uri)
    versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))
    champion = client.get_registered_model(name).aliases.get(ALIAS)
    return versions, None if champion is None else str(champion)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    assert confirm(uri, made_up("won")).complete
    return uri


def test_the_searchs_own_run_leads_with_the_verdict(uri: str) -> None:
    (parent,) = runs_of(uri, "won", "search")
    tags, metrics = parent.data.tags, parent.data.metrics
    assert tags["kd.verdict"].startswith("Norm balance beats the best constant λ = 0.9 by")
    assert (tags["kd.verdict_kind"], tags["kd.winner"]) == ("rule", "norm_balance")
    note = tags["mlflow.note.content"]
    assert note.startswith(f"**{tags['kd.worth']}**\n\n**{tags['kd.verdict']}**")
    assert tags["kd.worth_kind"] == "pays"
    assert metrics["confirmed/worth_low"] < metrics["confirmed/worth"] < metrics["confirmed/worth_high"]
    assert note.index("| **norm balance** | 93.00 %") < note.index("A search for the rule")
    assert metrics["confirmed/winner_test_score"] == pytest.approx(0.93)
    assert metrics["confirmed/constant_test_score"] == pytest.approx(0.90)
    assert metrics["confirmed/gain"] == pytest.approx(0.03)
    assert metrics["confirmed/gain_low"] < 0.03 < metrics["confirmed/gain_high"]
    assert metrics["confirmed/p_corrected"] < 0.05
    assert metrics["confirmed/teacher_test_accuracy"] == 0.98
    client = open_client(uri)
    verdict = pathlib.Path(client.download_artifacts(parent.info.run_id, "verdict.md")).read_text(encoding="utf-8")
    assert tags["kd.verdict"] in verdict


def test_a_finalist_is_a_run_with_its_seeds_along_the_axis(uri: str) -> None:
    (parent,) = runs_of(uri, "won", "search")
    finalists = finalists_of(uri, "won")
    assert set(finalists) == {"norm_balance", "fixed-0.9", "fixed-0"}
    run = finalists["norm_balance"]
    assert run.info.run_name == "confirmed norm balance"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (run.data.tags["kd.winner"], finalists["fixed-0.9"].data.tags["kd.winner"]) == ("yes", "no")
    assert finalists["fixed-0.9"].data.tags["kd.best_constant"] == "yes"
    expected = [(seed, pytest.approx(0.93 + noise)) for seed, noise in enumerate((0.002, -0.001, 0.0, -0.001))]
    assert points_of(uri, run, "seed/test_accuracy") == expected
    assert run.data.metrics["test_score"] == pytest.approx(0.93)
    assert run.data.metrics["gain"] == pytest.approx(0.03)
    assert "gain" not in finalists["fixed-0.9"].data.metrics
    assert run.data.params["family"] == "norm_balance"
    assert run.info.start_time == 1000 * (START.timestamp() + 1000)
    assert run.info.end_time == 1000 * (START.timestamp() + 1031)


def test_the_champion_is_a_version_with_all_that_speaks_for_it(uri: str) -> None:
    (version,), champion = versions_of(uri, "won")
    assert (str(version.version), champion) == ("1", "1")
    assert version.run_id == finalists_of(uri, "won")["norm_balance"].info.run_id
    assert version.tags["kd.winner_is"] == "a rule"
    assert version.tags["kd.seed"] == "0"  # the highest validation score
    assert version.tags["kd.verdict"].startswith("Norm balance beats")
    assert "normalisation is part of the model" in version.tags["kd.reads"]
    assert "## The student" in version.description
    client = open_client(uri)
    model = client.get_logged_model(version.tags["kd.model"])
    metrics = {metric.key: metric.value for metric in model.metrics}
    assert metrics["model/test_accuracy"] == pytest.approx(0.932)
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "won", "version": "1"}]
    run = client.get_run(version.run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]


PROGRAM = """
import sys, pathlib, numpy, torch, mlflow
uri, name, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
mlflow.set_tracking_uri(uri)
student = mlflow.pytorch.load_model(f"models:/{name}@champion")
pictures = numpy.load(folder / "pictures.npy")
numpy.save(folder / "logits.npy", student(torch.from_numpy(pictures)).detach().numpy())
path = mlflow.artifacts.download_artifacts(f"models:/{name}@champion", dst_path=str(folder))
served = mlflow.pyfunc.load_model(path)
assert numpy.array_equal(served.predict(pictures), numpy.load(folder / "logits.npy"))
print(served.metadata.signature.inputs, served.metadata.load_input_example(path).shape)
print(sorted({"search", "trainables", "policies"} & set(sys.modules)))
print(path)
"""


def use_elsewhere(uri: str, name: str, folder: pathlib.Path) -> pathlib.Path:
    """Load the champion in a process of its own and run it; return the downloaded folder."""
    pictures = np.random.default_rng(1).integers(0, 256, (5, 1, 8, 8), dtype=np.uint8)
    np.save(folder / "pictures.npy", pictures)
    command = [sys.executable, "-c", PROGRAM, uri, name, str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    signature, modules, path = done.stdout.strip().splitlines()[-3:]
    assert "uint8" in signature
    assert "(2, 1, 8, 8)" in signature
    assert modules == "[]"
    with torch.no_grad():
        expected = restore_classifier(CONFIG.student, PICTURES, weights(None))(torch.from_numpy(pictures))
    np.testing.assert_allclose(np.load(folder / "logits.npy"), expected.numpy(), rtol=1e-5, atol=1e-5)
    return pathlib.Path(path)


def test_another_process_loads_it_without_this_projects_code_or_data(uri: str, tmp_path: pathlib.Path) -> None:
    evidence = use_elsewhere(uri, "won", tmp_path) / "evidence"
    policy = json.loads((evidence / "policy.json").read_text(encoding="utf-8"))
    assert (policy["family"], policy["evidence"]["confirmed_on_test_set"]) == ("norm_balance", True)
    assert json.loads((evidence / "verdict.json").read_text(encoding="utf-8"))["verdict"]["kind"] == "rule"
    assert "load_model" in (evidence / "README.md").read_text(encoding="utf-8")


def test_a_second_projection_changes_nothing(uri: str) -> None:
    confirm(uri, made_up("twice"))
    before = finalists_of(uri, "twice")
    again = confirm(uri, made_up("twice"))
    assert (again.runs, again.points, again.complete) == (0, 0, True)
    assert {key: run.info.run_id for key, run in finalists_of(uri, "twice").items()} == {
        key: run.info.run_id for key, run in before.items()
    }
    versions, champion = versions_of(uri, "twice")
    assert (len(versions), champion) == (1, "1")


def test_more_seeds_add_points_and_another_winner_takes_the_alias(uri: str) -> None:
    confirm(uri, made_up("grown", ahead=0.0))
    versions, champion = versions_of(uri, "grown")
    assert (versions[0].tags["kd.winner_is"], champion) == ("the best constant λ", "1")
    fourth = made_up("grown", ahead=0.0)
    more = made_up("grown", seeds=6, ahead=3.0)
    known = {(r.finalist, r.seed): r for r in fourth.results if r.finalist != "norm_balance"}
    confirm(uri, more.model_copy(update={"results": tuple(known.get((r.finalist, r.seed), r) for r in more.results)}))
    runs = finalists_of(uri, "grown")
    assert [step for step, _ in points_of(uri, runs["fixed-0.9"], "seed/test_accuracy")] == [0, 1, 2, 3, 4, 5]
    assert [step for step, _ in points_of(uri, runs["fixed-0.9"], "test_score")] == [4, 6]
    # Its first four results differ from before: they are of another training, and the earlier run is gone.
    assert [step for step, _ in points_of(uri, runs["norm_balance"], "test_score")] == [6]
    versions, champion = versions_of(uri, "grown")
    assert [version.tags["kd.winner"] for version in versions] == ["fixed-0.9", "norm_balance"]
    assert champion == "2"
    confirm(uri, made_up("grown", ahead=0.0))
    versions, champion = versions_of(uri, "grown")
    assert (len(versions), champion) == (2, "1")  # the first version again


def test_the_same_student_with_more_seeds_keeps_its_version_but_tells_of_them(uri: str) -> None:
    confirm(uri, made_up("steady"))
    grown = made_up("steady", seeds=5)
    known = {(r.finalist, r.seed): r for r in made_up("steady").results}
    grown = grown.model_copy(update={"results": tuple(known.get((r.finalist, r.seed), r) for r in grown.results)})
    confirm(uri, grown)
    (version,), champion = versions_of(uri, "steady")
    assert (champion, version.tags["kd.seeds"]) == ("1", "5")
    assert "5 fresh seeds" in version.description


def test_no_score_is_shown_before_the_last_training_has_ended(uri: str) -> None:
    record = made_up("unfinished")
    part = record.model_copy(update={"results": record.results[:-1], "complete": False})
    assert confirm(uri, part).complete
    (parent,) = runs_of(uri, "unfinished", "search")
    assert parent.data.tags["kd.confirmation"] == "11 of 12 trainings"
    assert "not finished" in parent.data.tags["mlflow.note.content"]
    assert finalists_of(uri, "unfinished") == {}
    assert not [name for name in parent.data.metrics if name.startswith("confirmed/")]
    assert "kd.verdict" not in parent.data.tags
    confirm(uri, record)
    (parent,) = runs_of(uri, "unfinished", "search")
    assert parent.data.tags["kd.confirmation"] == "finished on 4 fresh seeds"
    assert len(finalists_of(uri, "unfinished")) == 3


def test_a_confirmation_begun_anew_with_others_leaves_no_old_finalist(uri: str) -> None:
    confirm(uri, made_up("anew"))
    other = made_up("anew", shift=1.0)
    keep = ("norm_balance", "fixed-0.9")
    confirm(
        uri,
        other.model_copy(
            update={
                "finalists": tuple(f for f in other.finalists if f.key in keep),
                "results": tuple(r for r in other.results if r.finalist in keep),
            }
        ),
    )
    runs = finalists_of(uri, "anew")
    assert set(runs) == set(keep)
    assert runs["norm_balance"].data.metrics["test_score"] == pytest.approx(0.94, abs=0.001)


def test_a_model_that_is_no_searchs_is_left_alone(uri: str) -> None:
    client = open_client(uri)
    client.create_registered_model("taken")
    report = confirm(uri, made_up("taken"))
    assert not report.complete
    assert "a model 'taken' that no search wrote" in (report.error or "")
    assert versions_of(uri, "taken") == ([], None)
    assert len(finalists_of(uri, "taken")) == 3


def test_an_earlier_search_of_the_same_name_does_not_take_the_alias_back(uri: str) -> None:
    later = START + datetime.timedelta(days=1)
    confirm(uri, made_up("renewed", ahead=0.0))
    confirm(uri, made_up("renewed"), created=later)
    assert versions_of(uri, "renewed")[1] == "2"
    confirm(uri, made_up("renewed", ahead=0.0))
    assert versions_of(uri, "renewed")[1] == "2"


@pytest.mark.parametrize(
    "broken",
    [
        "log_model_artifacts",
        "finalize_logged_model",
        "log_outputs",
        "create_model_version",
        "set_model_version_tag",
        "set_logged_model_tags",
        "set_registered_model_alias",
    ],
)
def test_what_a_failure_left_half_done_is_done_once(uri: str, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    import mlflow

    name = f"half-{broken.replace('_', '-')}"
    with monkeypatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:
            raise OSError("the store is away")

        patch.setattr(mlflow.MlflowClient, broken, fail)
        with pytest.raises(TrackingError, match="the store is away"):
            confirm(uri, made_up(name))
    assert confirm(uri, made_up(name)).complete
    versions, champion = versions_of(uri, name)
    assert (len(versions), champion) == (1, "1")
    client = open_client(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (model,) = client.search_logged_models([experiment], f"tags.`kd.search` = '{name}'")
    assert model.model_id == versions[0].tags["kd.model"]
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": name, "version": "1"}]
    assert [output.model_id for output in client.get_run(versions[0].run_id).outputs.model_outputs] == [model.model_id]
    assert str(model.status) == "READY"


def test_a_student_that_cannot_be_exported_costs_only_its_registration(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_save", lambda *_: (_ for _ in ()).throw(RuntimeError("no such operator")))
    report = confirm(uri, made_up("unexportable"))
    assert not report.complete
    assert "cannot be exported: no such operator" in (report.error or "")
    assert len(finalists_of(uri, "unexportable")) == 3


def test_a_server_that_was_away_gets_all_of_it_once(tmp_path: pathlib.Path) -> None:
    port, store = free_port(), f"sqlite:///{tmp_path}/mlflow.db"
    server = f"http://127.0.0.1:{port}"
    with pytest.raises(TrackingError, match="nothing listens there"):
        confirm(server, made_up("remote"))
    with served(store, port, tmp_path):
        assert confirm(server, made_up("remote")).complete
        assert confirm(server, made_up("remote")).runs == 0
        versions, champion = versions_of(server, "remote")
        assert (len(versions), champion) == (1, "1")
        assert len(finalists_of(server, "remote")) == 3
        use_elsewhere(server, "remote", tmp_path)
