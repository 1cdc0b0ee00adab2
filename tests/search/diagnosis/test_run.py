"""Diagnoses from end to end: pictures, a task, a function; their files and errors."""

import json
import pathlib
import sys

import numpy as np
import pytest
import torch

import search
from search import cli
from search.diagnosis import Diagnosis, diagnosis_text, read_diagnosis
from search.diagnosis.reliability import measure_reliability
from search.diagnosis.steps import try_steps
from search.errors import SearchError
from search.prepare import most_trainings, prepare_here
from search.records import Listener
from search.settings import Launch, load_config
from tests.search.tiny import TINY, QuietListener, tiny_config
from tests.trainables.functions.function_files import DIGITS
from trainables.device import select_compute
from trainables.training import Distillation
from trainables.trainings import prepared_on

EXAMPLES = pathlib.Path(__file__).parents[3] / "examples"
FUNCTION = """
name = "function"
trace_points = 4
training.learning_rate = 1e-2
function = { name = "train.py:distil", options = { hidden = 8 } }
"""
SMALL = [part for setting in [*TINY, "teacher.training.epochs=1"] for part in ("--set", setting)]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, cache):
    """Run `kd-search diagnose` in this process and in a folder of its own; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["kd-search", "diagnose", *arguments, "--cache", str(cache)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def pictures(cache, tmp_path_factory):
    """Return a configuration and its data, with wrong labels in the training set."""
    config = tiny_config('corruption={unit="sample", label_share=0.5}')
    launch = Launch.of(tmp_path_factory.mktemp("runs"), cache=cache)
    prepared = prepare_here(config, launch, Listener())
    return config, prepared_on(prepared.assets, select_compute(config.device))


@pytest.fixture(scope="module")
def told(cache, tmp_path_factory):
    """Diagnose from Python; return the diagnosis, what was told on the way, and the folder."""
    listener, folder = QuietListener(), tmp_path_factory.mktemp("python")
    config = tiny_config("teacher.training.epochs=1")
    return search.diagnose(config, seeds=2, progress=listener, output=folder, cache=cache), listener.stages, folder


def test_a_recipe_is_diagnosed_told_and_written(told):
    found, stages, folder = told
    planned = 4 + 9 * 2 + 1
    said = " ".join(stages)
    assert f"{planned} trainings at most" in said
    assert "a training of 12 steps takes" in said
    for title in ("λ = 0:", "λ = 0.5:", "λ = 1:", "sample norm balance", "norm balance"):
        assert title in said
    written = folder / "tiny/diagnosis"
    assert read_diagnosis(written) == found
    assert (written / "diagnosis.txt").read_text() == f"{diagnosis_text(found)}\n"
    assert (written / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    assert found.seeds == (0, 1)
    assert [arm.weight for arm in found.constants if arm.weight != 0.05] == [0.0, 0.15, 0.5, 0.85, 1.0]
    assert found.cost.trainings <= planned
    assert found.cost.search_trainings == most_trainings(tiny_config())
    assert sum(found.chances.values()) == pytest.approx(1.0)
    assert 3 <= len(found.reasons) <= 8
    assert all(len(arm.scores) == 2 for arm in found.arms)


def test_the_command_gives_the_same_diagnosis_as_python(run, told, tmp_path):
    code, out, _ = run("digits-quick", *SMALL, "--seeds", "2", "--json")
    assert code == 0
    record = json.loads(out)
    assert record == json.loads((tmp_path / "runs/tiny/diagnosis/diagnosis.json").read_text())
    assert Diagnosis.parse(record).model_copy(update={"cost": told[0].cost}) == told[0]


def test_a_task_without_logits_for_rules_says_which_cannot_be_used(cache, tmp_path):
    config = load_config(str(EXAMPLES / "regression.toml"), ["training.epochs=2", "evaluations=1"])
    found = search.diagnose(config, seeds=2, progress=False, output=tmp_path, cache=cache)
    unusable = [arm.family for arm in found.arms if arm.problem]
    assert unusable == ["sample_class_reliability"]
    assert found.reliability is None
    assert found.smallest_gain == 0.5
    assert "sample_class_reliability" not in "".join(found.lines)
    assert "looks at logits and labels" in diagnosis_text(found)


def test_of_a_function_the_curve_is_told_and_what_is_missing(cache, tmp_path):
    (tmp_path / "train.py").write_text(DIGITS)
    (tmp_path / "function.toml").write_text(FUNCTION)
    found = search.diagnose(tmp_path / "function.toml", seeds=2, progress=False, output=tmp_path, cache=cache)
    assert len(found.constants) >= 5
    assert (found.reliability, found.local) == (None, None)
    assert len(found.missing) == 2


def test_reliability_counts_labels_as_the_training_has_them(pictures):
    config, data = pictures
    found = measure_reliability(config.base_trial(), data)
    clean = measure_reliability(config.base_trial().model_copy(update={"corruption": None}), data)
    assert found.train.samples == clean.train.samples == len(data)
    assert found.train.agreement == pytest.approx(0.5 * clean.train.agreement, abs=0.12)
    assert found.validation == clean.validation
    labels, teacher = data.validation.labels, data.validation.teacher_logits
    assert clean.validation.agreement == pytest.approx(float((teacher.argmax(1) == labels).double().mean()))
    assert sum(rate.samples for rate in clean.train.by_confidence) == len(data)


def test_steps_that_are_tried_do_not_change_the_training(pictures):
    config, data = pictures
    trial = config.base_trial().model_copy(update={"seeds": (0,)})
    state = torch.random.get_rng_state()
    first = try_steps(trial, data)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert try_steps(trial, data) == first
    assert (first.places, first.batches) == (8, 2)

    alone = Distillation(trial, data)
    for _ in alone.records():
        pass
    assert np.isfinite(first.by_place.mean)


def test_a_student_that_never_stays_finite_is_one_message(cache, tmp_path):
    config = tiny_config("space.learning_rate=1e30", "training.optimizer=sgd")
    with pytest.raises(SearchError, match=r"the labels alone and one more constant λ .* 0 of 5 did; lower `training"):
        search.diagnose(config, seeds=2, progress=False, output=tmp_path, cache=cache)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits-quik"], "Did you mean 'digits-quick'"),
        (["no/such.toml"], "cannot read the search file"),
        (["digits-quick", "--set", "training.epoch=3"], "Did you mean 'epochs'"),
        (["digits-quick", "--seeds", "1"], "--seeds"),
    ],
)
def test_a_mistake_costs_one_message_and_exit_code_2(arguments, message, run):
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err


def test_a_damaged_record_is_one_message(tmp_path):
    (tmp_path / "diagnosis.json").write_text("{")
    with pytest.raises(SearchError, match="`kd-search diagnose` writes it"):
        read_diagnosis(tmp_path)
