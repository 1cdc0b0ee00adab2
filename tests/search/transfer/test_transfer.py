"""One real transfer on this machine, tested in many ways. The module shares a Ray session and a pilot."""

import contextlib
import dataclasses
import json
import pathlib
import shutil
import sys

import pytest

import search
from policies.errors import KDPolicySearchError
from search import cli
from search.cluster.connection import ray_session
from search.evidence import transfer_findings
from search.prepare import test_pictures as opened
from search.records import Listener
from search.run.search import run_search
from search.settings import TransferSettings
from search.store import SearchStore
from search.tracking.store import open_client
from search.transfer import read_transfer, transfer_search
from tests.search.tiny import QuietListener, tiny_config

PILOT = tiny_config("space.learning_rate={ low = 3e-3, high = 3e-2, log = true }", "data.train_size=80")
# The ranges of the learning rate have no value in common, so what is tuned at scale is never the pilot's.
SCALED = tiny_config(
    "name=scaled",
    "training.epochs=8",
    "data.train_size=120",
    "space.learning_rate={ low = 1e-3, high = 2e-3, log = true }",
)
TWO = TransferSettings(seeds=2, rules=1, retuned=1, constants=6)


class Units(Listener):
    """Keeps which trainings ended; interrupts after some of them if asked."""

    def __init__(self, most=None):
        self.done, self.stages, self._most = [], [], most

    def stage(self, text):
        self.stages.append(text)

    def result(self, result):
        self.done.append((result.finalist, result.seed))
        if self._most is not None and len(self.done) >= self._most:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", autouse=True)
def session():
    with ray_session(None):
        yield


@pytest.fixture(scope="module")
def pilot(launch):
    return run_search(PILOT, launch, QuietListener()).search


@pytest.fixture(scope="module")
def done(pilot, launch):
    def refuse(*_):
        raise AssertionError("the test set was opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "prepare_ground", refuse)
        listener = Units()
        return transfer_search("tiny", SCALED, launch, listener, TWO).record, listener


@pytest.fixture
def elsewhere(done, launch, tmp_path):
    """Copy the pilot with its transfer to a storage of its own."""
    shutil.copytree(pathlib.Path(launch.storage, "tiny"), tmp_path / "tiny", ignore=shutil.ignore_patterns(".lock"))
    return dataclasses.replace(launch, output=tmp_path, storage=str(tmp_path))


def test_the_pilots_best_are_trained_beside_what_was_tuned_at_scale(done):
    record, listener = done
    keys = [finalist.key for finalist in record.trained.finalists]
    assert record.complete
    assert {record.choice, record.constant, record.tuned, "norm_balance", "norm_balance-retuned"} <= set(keys)
    assert sorted(listener.done) == sorted((key, seed) for key in keys for seed in record.trained.seeds)
    assert len(record.bracket.finalists) <= 6


def test_no_seed_chose_what_it_judges(done):
    record, _ = done
    used = [set(PILOT.seeds), set(record.bracket.seeds), set(record.trained.seeds)]
    assert sum(map(len, used)) == len(set.union(*used))


def test_finalists_keep_the_pilots_numbers_and_re_tuned_rules_take_the_constants_settings(done, pilot):
    record, _ = done
    finalists = {finalist.key: finalist for finalist in record.trained.finalists}
    rule = finalists["norm_balance"]
    trial = next(trial for trial in pilot.trials if trial.number == rule.trial)
    assert (rule.parameters, rule.shared) == (trial.parameters, trial.shared)
    again = finalists["norm_balance-retuned"]
    assert (again.parameters, again.shared) == (rule.parameters, finalists[record.tuned].shared)
    low, high = 1e-3, 2e-3
    assert all(low <= one.shared["learning_rate"] <= high for one in record.bracket.finalists)


def test_scores_are_those_of_the_scaled_validation_set(done):
    record, _ = done
    assert record.trained.test_size == SCALED.data.validation_size
    assert all(result.test.accuracy == result.validation.accuracy for result in record.trained.results)


def test_a_finished_transfer_is_not_repeated_and_more_seeds_train_the_new_ones_only(done, elsewhere):
    listener = Units()
    assert transfer_search("tiny", SCALED, elsewhere, listener, TWO).record == done[0]
    assert listener.done == []
    assert any("use --seeds" in stage for stage in listener.stages)
    more = transfer_search("tiny", SCALED, elsewhere, listener, TWO.model_copy(update={"seeds": 3})).record
    assert {seed for _, seed in listener.done} == {done[0].trained.seeds[-1] + 1}
    assert more.trained.settings["seeds_asked"] == [2, 3]
    assert set(done[0].trained.seeds) < set(more.trained.seeds)


def test_an_interrupted_transfer_resumes_and_gives_the_same_results(done, elsewhere):
    shutil.rmtree(pathlib.Path(elsewhere.storage, "tiny", "transfer"))
    first = transfer_search("tiny", SCALED, elsewhere, Units(most=2), TWO)
    assert first.interrupted
    listener = Units()
    again = transfer_search("tiny", SCALED, elsewhere, listener, TWO).record
    assert again.complete
    assert len(listener.done) < len(again.trained.results)
    scores = [
        {key: one.trained.scores(key) for key in (f.key for f in one.trained.finalists)} for one in (again, done[0])
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("config", "settings", "told"),
    [
        (SCALED.model_copy(update={"temperature": 2.0}), TWO, "began with another scaled file"),
        (SCALED, TWO.model_copy(update={"constants": 7}), "began with another `constants`"),
        (SCALED, TWO.model_copy(update={"from_scaled": ("learning_rte",)}), "Did you mean 'learning_rate'"),
    ],
)
def test_another_transfer_under_the_same_name_or_an_unknown_setting_is_refused(done, launch, config, settings, told):
    with pytest.raises(KDPolicySearchError, match=told):
        transfer_search("tiny", config, launch, Units(), settings)


def test_a_scaled_search_for_something_else_is_refused(pilot, launch):
    other = SCALED.model_copy(update={"objective": "recall"})
    with pytest.raises(KDPolicySearchError, match="`objective` must be the same in both"):
        transfer_search("tiny", other, launch, Units(), TWO)


def test_the_command_line_says_what_came_out_and_report_and_mlflow_show_it(done, launch, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("search.cli.transfer.load_config", lambda *_: SCALED)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setattr(
        sys,
        "argv",
        [
            *("kd-search", "transfer", "tiny", "--to", "scaled.toml"),
            *("--seeds", "2", "--rules", "1", "--retuned", "1", "--constants", "6"),
            *("--output", str(launch.output), "--cache", str(launch.cache.parent), "--tracking-uri", uri),
        ],
    )
    with contextlib.suppress(SystemExit):
        cli.main()
    out = capsys.readouterr().out
    assert "Keeping the pilot's choice" in " ".join(out.split())
    page = (launch.output / "tiny" / "report" / "report.html").read_text(encoding="utf-8")
    assert "Does it hold at full size?" in page
    document = json.loads((launch.output / "tiny" / "report" / "report.json").read_text(encoding="utf-8"))
    found = transfer_findings(read_transfer(SearchStore(launch.storage, "tiny"), "scaled"))
    (told,) = document["transfers"]
    assert (told["name"], told["kind"], told["choice"]) == ("scaled", found.kind, found.choice)
    client = open_client(uri)
    (own,) = client.search_runs(["1"], "tags.`kd.role` = 'search'")
    assert own.data.tags["kd.transfer.scaled.kind"] == found.kind
    assert own.data.metrics["transfer/scaled/regret"] == pytest.approx(found.regret.mean, abs=1e-3)
    runs = client.search_runs(["1"], "tags.`kd.role` = 'transferred'")
    assert {run.data.tags["kd.finalist"] for run in runs} == {f"transfer/scaled/{row.key}" for row in found.rows}


def test_python_code_transfers_an_opened_search(done, launch):
    opened_search = search.open("tiny", output=launch.output, cache=launch.cache.parent)
    found = opened_search.transfer(SCALED, seeds=2, rules=1, retuned=1, constants=6, progress=False)
    assert found == transfer_findings(done[0], opened_search.record.unit)
    assert opened_search.transfers == (found,)
