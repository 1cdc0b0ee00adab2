"""One real confirmation on this machine, tested in many ways. The module shares a Ray session and a search."""

import contextlib
import dataclasses
import functools
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import pyarrow.fs
import pytest
import ray
import torch
from rich.console import Console

from policies.errors import KDPolicySearchError
from search import cli
from search.cluster.connection import ray_session
from search.confirm import figures as confirm_figures
from search.confirm.plan import settings_of
from search.confirm.run import confirm_search
from search.confirm.store import ConfirmationStore, Unit, read_confirmation, units_of
from search.confirm.tasks import run_units
from search.confirm.training import train_finalist
from search.evidence import judge
from search.prepare import preparation
from search.prepare import test_pictures as confirm_data
from search.prepare.test_pictures import prepare_ground
from search.progress.confirmation import ConfirmationBoard, ConfirmationProgress
from search.records import Listener
from search.records.confirmation import ConfirmationRecord, Finalist, SeedResult, SetScore
from search.records.search import SearchRecord
from search.report.terminal.confirmation import render_confirmation
from search.run.search import run_search
from search.settings.confirmation import ConfirmationSettings
from search.store.folder import SearchStore
from search.tracking.store import open_client
from tests.search.tiny import QuietListener, tiny_config
from trainables.classifier import load_classifier
from trainables.config.own_kpi import OwnKPI
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.evaluation import evaluate
from trainables.models import create_model
from trainables.models.cost import measure_figures
from trainables.pictures.sets import TrialAssets
from trainables.training.data import DeviceAssets

CONFIG = tiny_config("space.learning_rate={ low = 3e-3, high = 3e-2, log = true }")
TWO = ConfirmationSettings(seeds=2)


class ConfirmationListener(Listener):
    """Keeps all news that it receives."""

    def __init__(self):
        self.stages, self.units, self.begun, self.ended = [], [], None, False

    def stage(self, text):
        self.stages.append(text)

    def confirmation_begins(self, record):
        self.begun = record

    def result(self, result):
        self.units.append((result.finalist, result.seed))

    def end(self):
        self.ended = True


@pytest.fixture(scope="module", autouse=True)
def session():
    with ray_session(None):
        yield


@pytest.fixture(scope="module", autouse=True)
def hasty():
    """Measure latencies for a moment only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confirm_figures, "measure_figures", functools.partial(measure_figures, seconds=0.01))
        yield


@pytest.fixture(scope="module")
def searched(launch):
    return run_search(CONFIG, launch, QuietListener()).search


@pytest.fixture(scope="module")
def done(searched, launch):
    listener = ConfirmationListener()
    return confirm_search("tiny", launch, listener, TWO).record, listener


@pytest.fixture
def elsewhere(searched, launch, tmp_path):
    """Copy the search, unconfirmed, to a storage of its own."""
    shutil.copytree(
        pathlib.Path(launch.storage, "tiny"), tmp_path / "tiny", ignore=shutil.ignore_patterns("confirm", ".lock")
    )
    return dataclasses.replace(launch, output=tmp_path, storage=str(tmp_path))


@pytest.fixture(scope="module")
def ground(searched, launch):
    return prepare_ground(CONFIG, launch, ConfirmationListener())


def files_of(launch):
    folder = pathlib.Path(launch.storage, "tiny", "confirm")
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[!.]*-*")}


def test_every_finalist_is_trained_on_every_fresh_seed(done, searched):
    record, listener = done
    assert record.complete
    assert record.seeds == (2, 3)
    assert not set(record.seeds) & {r.seed for t in searched.trials for r in t.history.replicates}
    assert {f.role for f in record.finalists} >= {"rule", "labels_alone", "teacher_alone"}
    wanted = [(f.key, seed) for seed in record.seeds for f in record.finalists]
    assert sorted(listener.units) == sorted(wanted)
    assert [(r.finalist, r.seed) for r in record.results] == wanted
    assert (listener.begun.results, listener.ended) == ((), True)
    assert all(r.test.accuracy > 0.3 and r.seconds > 0 for r in record.results)


def test_teacher_students_and_their_costs_are_measured_too(done, ground, searched):
    record, _ = done
    assert record.test_size == len(ground.pictures.test)
    assert record.teacher.agreement is None
    assert record.teacher.accuracy > 0.5
    assert record.student_figures.parameters == searched.finished[0].history.parameters
    assert record.teacher_figures.parameters == searched.teacher_parameters


def test_what_is_read_back_is_what_was_returned(done, launch):
    assert read_confirmation(SearchStore(launch.storage, "tiny")) == done[0]


def test_kept_students_score_what_the_record_says(done, ground, launch):
    record, kept = done[0], ConfirmationStore(SearchStore(launch.storage, "tiny"))
    data = DeviceAssets(ground.pictures.assets, select_compute(CONFIG.device))
    test = data.evaluation_set(ground.pictures.test, ground.pictures.test_targets)
    student = create_model(CONFIG.student, image_shape=data.image_shape, classes=data.classes)
    for result in record.results[:3]:
        path = kept.student_path(Unit(result.finalist, result.seed))
        student.load_state_dict(torch.load(path, weights_only=True))
        scores = evaluate(student, test).scores
        assert (scores.accuracy, scores.agreement) == (result.test.accuracy, result.test.agreement)
        assert scores.loss == pytest.approx(result.test.loss, rel=1e-5)


def test_no_search_reads_the_test_pictures(launch, monkeypatch):
    class Sealed:
        def __getattribute__(self, name):
            raise AssertionError(f"a search asked the test pictures for {name}")

        def __len__(self):  # which is logged when they are loaded
            return 497

    def sealed(*arguments, **options):
        return dataclasses.replace(load_dataset(*arguments, **options), test=Sealed())

    monkeypatch.setattr(preparation, "load_dataset", sealed)
    prepared = preparation.prepare(CONFIG, launch, QuietListener(), threading.Event())
    shared = [getattr(prepared.assets, field.name) for field in dataclasses.fields(TrialAssets)]
    assert not [value for value in shared if type(value) is Sealed]
    with pytest.raises(AssertionError, match="asked the test pictures"):
        prepare_ground(CONFIG, launch, ConfirmationListener())


@pytest.mark.parametrize("family", ["fixed", "norm_balance"])
def test_under_a_seed_of_the_search_the_student_is_that_of_the_trial(family, searched, ground):
    trial = next(t for t in searched.finished if t.family == family)
    finalist = Finalist(
        key="x", role="rule", rule="", complexity=1, trial=trial.number, search_score=trial.score,
        family=family, parameters=trial.parameters, shared=trial.shared,
    )  # fmt: skip
    task = ray.remote(train_finalist)
    for replicate in trial.history.replicates:
        seeds = (replicate.seed, 77)
        trained, _ = ray.get(task.remote(finalist, seeds, CONFIG.base_trial(), ground.pictures))
        assert trained.result.validation.accuracy == replicate.validation_accuracy
        assert trained.result.validation.loss == replicate.validation_loss


def test_a_finished_confirmation_is_not_repeated(done, launch):
    before, listener = files_of(launch), ConfirmationListener()
    assert confirm_search("tiny", launch, listener, TWO).record == done[0]
    assert (listener.begun, files_of(launch)) == (None, before)


def test_more_seeds_train_the_new_ones_only_and_fewer_take_none_away(done, elsewhere, launch):
    shutil.copytree(pathlib.Path(launch.storage, "tiny/confirm"), pathlib.Path(elsewhere.storage, "tiny/confirm"))
    before, listener = files_of(elsewhere), ConfirmationListener()
    grown = confirm_search("tiny", elsewhere, listener, ConfirmationSettings(seeds=3)).record
    assert (grown.complete, grown.seeds, grown.settings["seeds_asked"]) == (True, (2, 3, 4), [2, 3])
    assert {seed for _, seed in listener.units} == {4}
    assert {name: files_of(elsewhere)[name] for name in before} == before
    listener = ConfirmationListener()
    assert confirm_search("tiny", elsewhere, listener, TWO).record == grown
    assert "3 seeds were requested before, and all are kept" in listener.stages


def test_an_interrupted_confirmation_keeps_what_is_done_and_goes_on_from_there(elsewhere):
    class Impatient(ConfirmationListener):
        def result(self, result):
            super().result(result)
            if len(self.units) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    many = ConfirmationSettings(seeds=30)
    listener = Impatient()
    stopped = confirm_search("tiny", elsewhere, listener, many)
    assert (stopped.interrupted, stopped.record.complete, listener.ended) == (True, False, True)
    before = files_of(elsewhere)
    assert len(stopped.record.results) >= 2
    assert "not finished" in text_of(stopped.record)
    listener = ConfirmationListener()
    done = confirm_search("tiny", elsewhere, listener, many)
    assert done.record.complete
    assert len(listener.units) == len(done.record.results) - len(stopped.record.results)
    assert {name: files_of(elsewhere)[name] for name in before} == before


def test_after_kill_9_nothing_is_trained_again_that_had_ended(elsewhere, capsys, monkeypatch):
    arguments = ["confirm", "tiny", "--seeds", "60", "--families", "fixed", "--more-constants", "0"]
    places = ["--output", str(elsewhere.output), "--cache", str(elsewhere.cache.parent)]
    process = subprocess.Popen(
        [sys.executable, "-m", "search", *arguments, *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))},
        cwd=pathlib.Path(__file__).parents[3],
    )
    deadline = time.monotonic() + 120
    while len([name for name in files_of(elsewhere) if name.endswith(".json")]) < 3:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    process.stdout.close()
    before = {name: stamp for name, stamp in files_of(elsewhere).items() if name.endswith(".json")}
    total = len(units_of(read_confirmation(SearchStore(elsewhere.storage, "tiny"))))
    assert 3 <= len(before) < total
    state = json.loads(command(monkeypatch, capsys, "status", "tiny", "--json", *places[:2])[1])
    assert state["confirmation"] == f"interrupted, {len(before)} of {total} trainings on 60 fresh seeds"

    listener = ConfirmationListener()
    kept = read_confirmation(SearchStore(elsewhere.storage, "tiny"))
    record = confirm_search("tiny", elsewhere, listener, settings_of(CONFIG, kept)).record
    assert record.complete
    assert len(listener.units) == total - len(before)
    assert {name: files_of(elsewhere)[name] for name in before} == before


def test_a_confirmation_and_another_of_the_same_search_keep_apart(done, launch):
    with (
        SearchStore(launch.storage, "tiny").locked(),
        pytest.raises(KDPolicySearchError, match="'tiny' is running already"),
    ):
        confirm_search("tiny", launch, ConfirmationListener(), TWO)


def test_a_confirmation_stands_on_what_the_search_stood_on(elsewhere, monkeypatch):
    real = confirm_data.foundation_of
    monkeypatch.setattr(confirm_data, "foundation_of", lambda *ground: dataclasses.replace(real(*ground), teacher="x"))
    with pytest.raises(
        KDPolicySearchError, match="other inputs than those found now .a teacher with other weights or settings."
    ):
        confirm_search("tiny", elsewhere, ConfirmationListener(), TWO)


def test_other_test_pictures_or_finalists_are_refused(done, launch, monkeypatch):
    with pytest.raises(KDPolicySearchError, match="began with other finalists: norm_balance, .*`--families`.*aside"):
        confirm_search("tiny", launch, ConfirmationListener(), ConfirmationSettings(seeds=2, families=("fixed",)))
    monkeypatch.setattr(confirm_data, "_digest", lambda _: "other pictures")
    with pytest.raises(KDPolicySearchError, match="began with another test set"):
        confirm_search("tiny", launch, ConfirmationListener(), ConfirmationSettings(seeds=3))


def test_an_unfinished_search_is_not_confirmed(elsewhere):
    path = pathlib.Path(elsewhere.storage, "tiny/search.json")
    path.write_text(path.read_text().replace('"status": "finished"', '"status": "stopped"'))
    with pytest.raises(KDPolicySearchError, match="must have finished.*kd-search resume tiny"):
        confirm_search("tiny", elsewhere, ConfirmationListener(), TWO)


HALF = Finalist(
    key="half", role="constant", family="fixed", parameters={"weight": 0.5}, shared={}, rule="", complexity=1,
    trial=None, search_score=None,
)  # fmt: skip


def run_finalists(units, config, ground, *finalists, done, failed=None):
    """Train one group after another, each as large as possible; return what failed."""
    config = config.model_copy(update={"resources": config.resources.model_copy(update={"max_concurrent": 1})})
    by_key = {finalist.key: finalist for finalist in finalists}
    failed = {} if failed is None else failed
    run_units(units, by_key, config, ground.pictures, retries=0, done=done, tick=lambda: None, failed=failed)
    return failed


def test_a_finalist_that_fails_fails_alone_and_each_of_its_trainings_is_named(ground):
    bad = HALF.model_copy(update={"key": "bad", "parameters": {"weight": 7.0}})
    units = [Unit("bad", 2), Unit("half", 2), Unit("bad", 3), Unit("half", 3)]
    trained = []
    failed = run_finalists(units, CONFIG, ground, HALF, bad, done=trained.append)
    assert [(t.result.finalist, t.result.seed) for t in trained] == [("half", 2), ("half", 3)]
    assert list(failed) == [Unit("bad", 2), Unit("bad", 3)]
    assert "weight" in failed[Unit("bad", 2)]
    assert "Traceback" not in failed[Unit("bad", 2)]


def test_a_seed_that_fails_takes_none_of_its_group_with_it(ground):
    units = [Unit("half", seed) for seed in (2, 3, 4)]
    sound = []
    assert run_finalists(units, CONFIG, ground, HALF, done=sound.append) == {}
    seconds = {trained.result.seconds for trained in sound}
    assert len(seconds) == 1, "they were no group"
    loss = sound[1].result.test.loss
    source = f"""
def picky(model, data):
    loss = float((data.logits.logsumexp(1) - data.logits.gather(1, data.labels[:, None])[:, 0]).mean())
    if abs(loss - {loss!r}) < 1e-5:
        raise ValueError("not this one")
    return 1.0
"""
    config = CONFIG.model_copy(update={"kpis": (OwnKPI(origin="mine.py:picky", source=source),)})
    kept = []
    failed = run_finalists(units, config, ground, HALF, done=kept.append)
    assert list(failed) == [Unit("half", 3)]
    assert "not this one" in failed[Unit("half", 3)]
    expected = [sound[0], sound[2]]
    assert [trained.result.test for trained in kept] == [trained.result.test for trained in expected]


def test_failures_before_an_interrupt_are_not_forgotten(ground):
    bad, failed = HALF.model_copy(update={"key": "bad", "parameters": {"weight": 7.0}}), {}

    def interrupt(trained):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_finalists([Unit("bad", 2), Unit("half", 2)], CONFIG, ground, HALF, bad, done=interrupt, failed=failed)
    assert list(failed) == [Unit("bad", 2)]


def test_an_interrupt_while_a_group_is_kept_loses_none_of_it(ground):
    told = []

    def done(trained):
        told.append(trained.result.seed)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_finalists([Unit("half", seed) for seed in (2, 3, 4)], CONFIG, ground, HALF, done=done)
    assert told == [2, 3, 3, 4]


def test_a_cnns_seeds_are_trained_one_by_one(ground):
    config = tiny_config("student.name=cnn", "student.options={ widths = [4] }", "training.epochs=1")
    trained = []
    assert not run_finalists([Unit("half", 2), Unit("half", 3)], config, ground, HALF, done=trained.append)
    assert len({t.result.seconds for t in trained}) == 2


def test_the_command_line_confirms_and_says_what_came_out(done, launch, monkeypatch, capsys):
    places = ["--output", str(launch.output), "--cache", str(launch.cache.parent)]
    code, out, _ = command(monkeypatch, capsys, "confirm", "tiny", *places)
    assert code == 0
    assert "everything is confirmed already" in out
    assert "best constant" in out
    champion = launch.output / "tiny" / "champion"
    assert f"champion: {champion}" in out
    verdict = json.loads((champion / "verdict.json").read_text(encoding="utf-8"))
    seed, key = verdict["seed"], verdict["finalist"]["key"]
    (result,) = [r for r in done[0].results if (r.finalist, r.seed) == (key, seed)]
    data = load_dataset(CONFIG.data, default_root=launch.data_root)
    with torch.no_grad():
        logits = load_classifier(champion / "student.pt")(torch.from_numpy(data.test.images))
    right = logits.argmax(1) == torch.from_numpy(data.test.labels)
    assert right.double().mean().item() == pytest.approx(result.test.accuracy)
    assert command(monkeypatch, capsys, "sync", "tiny", *places)[0] == 0
    runs = open_client(launch.tracking_uri).search_runs(["1"], "tags.`kd.role` = 'finalist'")
    assert {run.data.tags["kd.finalist"] for run in runs} == {f.key for f in done[0].finalists}
    assert "λ = 0" in out
    code, out, _ = command(monkeypatch, capsys, "status", "tiny", *places)
    total = len(done[0].results)
    assert f"confirmation: finished, {total} of {total} trainings on 2 fresh seeds" in out
    code, _, err = command(monkeypatch, capsys, "confirm", "tiny", "--families", "nrom_balance", *places)
    assert (code, "Did you mean 'norm_balance'" in err) == (2, True)


def test_gates_given_later_turn_every_finalist_down_and_are_taken_back_without_training(
    done, launch, tmp_path, monkeypatch, capsys
):
    shutil.copytree(pathlib.Path(launch.storage, "tiny"), tmp_path / "tiny", ignore=shutil.ignore_patterns(".lock"))
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    places = ["--output", str(tmp_path), "--cache", str(launch.cache.parent), "--tracking-uri", uri]
    assert command(monkeypatch, capsys, "confirm", "tiny", *places)[0] == 0
    before = json.loads((tmp_path / "tiny/champion/verdict.json").read_text(encoding="utf-8"))
    code, out, _ = command(monkeypatch, capsys, "confirm", "tiny", "--set", "gates.accuracy=>= 99.9 %", *places)
    assert (code, "No champion: no finalist keeps every gate." in " ".join(out.split())) == (3, True)
    assert not (tmp_path / "tiny/champion").exists()
    assert not (tmp_path / "tiny/report/policy.json").exists()
    assert "breaks accuracy ≥ 99.90 %" in (tmp_path / "tiny/report/report.html").read_text(encoding="utf-8").replace(
        "\u00a0", " "
    )
    client = open_client(uri)
    (own,) = client.search_runs(["1"], "tags.`kd.role` = 'search'")
    assert (own.data.tags["kd.winner"], own.data.tags["kd.would_have_won"]) == ("none", before["finalist"]["key"])
    assert not client.get_registered_model("tiny").aliases
    code, _, err = command(monkeypatch, capsys, "export", "tiny", *places[:4])
    assert (code, "no champion to export. No champion: no finalist keeps every gate" in err) == (2, True)
    code, out, _ = command(monkeypatch, capsys, "confirm", "tiny", "--set", "gates.accuracy=>= 1 %", *places)
    assert (code, "The gates were changed after results were known." in " ".join(out.split())) == (0, True)
    after = json.loads((tmp_path / "tiny/champion/verdict.json").read_text(encoding="utf-8"))
    assert (after["finalist"], after["seed"]) == (before["finalist"], before["seed"])
    assert list(client.get_registered_model("tiny").aliases) == ["champion"]


def command(monkeypatch, capsys, *arguments):
    """Run `kd-search` in this process; return exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["kd-search", *arguments])
    code = 0
    with contextlib.suppress(SystemExit):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
            raise
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def text_of(record, failed=None):
    search = SearchRecord(name=record.search, config=CONFIG.model_dump(mode="json"))
    console = Console(file=io.StringIO(), width=140)
    console.print(render_confirmation(record, failed or {}, judge(search, record)))
    return console.file.getvalue()


def test_what_failed_is_listed(done):
    units = units_of(done[0])
    text = text_of(done[0], dict.fromkeys(units, "out of memory"))
    assert f"{len(units)} trainings failed:" in text
    assert "norm_balance, seed 2: out of memory" in text
    assert f"and {len(units) - 5} more" in text


@pytest.fixture
def record(done):
    """A confirmation with two of its results."""
    return done[0].model_copy(update={"results": done[0].results[:2], "complete": False})


def test_a_board_counts_trainings_by_finalist_and_shows_no_score(record, done):
    board = ConfirmationBoard(record)
    total = len(done[0].results)
    assert (board.line(), board.seconds_left()) == (f"2/{total} trainings done", None)
    for began in (1000, 1010):  # one after another, as for seeds that train as one
        board.count(record.results[0].model_copy(update={"began": began, "seconds": 10.0}))
    assert board.seconds_left() == pytest.approx(10 * (total - 4), abs=1)
    console = Console(file=io.StringIO(), width=140)
    console.print(board.table())
    text = console.file.getvalue()
    assert "3/2" in text
    assert "%" not in text


def test_progress_without_a_terminal_is_plain_lines(record, done):
    console = Console(file=io.StringIO())
    progress = ConfirmationProgress(console)
    progress.confirmation_begins(record)
    progress.result(done[0].results[-1].model_copy(update={"seconds": 30.0}))
    progress.tick()
    progress.end()
    lines = console.file.getvalue().splitlines()
    total = len(done[0].results)
    assert lines[0].endswith("finalists on 2 fresh seeds (2 to 3), 2 already done")
    assert lines[-1].startswith(f"3/{total} trainings done, about ")


class Memory(SearchStore):
    """A search's store in memory instead of an object store."""

    def __init__(self):
        self.name, self.storage, self.folder = "tiny", "s3://bucket", "bucket/tiny"
        self.filesystem = pyarrow.fs._MockFileSystem()


def test_an_object_store_keeps_scores_that_are_not_finite(record):
    kept = ConfirmationStore(Memory())
    assert kept.read() is None
    score = SetScore(accuracy=0.1, loss=float("nan"), calibration_error=0.0, agreement=0.2)
    result = SeedResult(finalist="norm_balance", seed=2, validation=score, test=score, seconds=1.0)
    kept.write(record)
    kept.add(result, b"student")
    found = kept.read()
    assert isinstance(found, ConfirmationRecord)
    assert (found.finalists, found.complete) == (record.finalists, False)
    assert repr(found.results) == repr((result,))  # NaN differs from itself
    assert kept._store.read_bytes(kept.student_path(Unit("norm_balance", 2))) == b"student"


def test_damaged_files_are_told_by_name(record):
    kept = ConfirmationStore(Memory())
    kept.write(record)
    kept._write("norm_balance-2.json", b"{")
    with pytest.raises(
        KDPolicySearchError,
        match="s3://bucket/tiny/confirm/norm_balance-2.json is damaged.*confirm tiny --storage s3://bucket`",
    ):
        kept.read()
    kept._write("norm_balance-2.json", b'{"finalist": "norm_balance"}')
    with pytest.raises(KDPolicySearchError, match="norm_balance-2.json is damaged.*`seed` is missing"):
        kept.read()
    kept._write("confirmation.json", b'{"format": 0}')
    with pytest.raises(KDPolicySearchError, match="another release"):
        kept.read()


def test_settings_not_given_are_as_the_confirmation_began_or_as_the_file_says(record):
    config = tiny_config("confirm.seeds=7", "confirm.more_constants=2")
    assert settings_of(config, None, seeds=None) == ConfirmationSettings(seeds=7, more_constants=2)
    assert settings_of(config, record, seeds=12, families=None) == ConfirmationSettings(seeds=12, more_constants=4)
    assert settings_of(config, record).seeds == 2
