"""Mistakes in a task are found before anything is spent, with file, line and remedy."""

import numpy as np
import pytest
import torch

from policies.errors import KDPolicySearchError
from tests.trainables.tasks.task_files import DIABETES, DIGITS, HEAD, own
from trainables.tasks import (
    StoredOutputs,
    create_task,
    read_sets,
    samples_of,
    shared_samples,
    stored_outputs,
    try_out_task,
)

STUDENT = "        return nn.Sequential(nn.Linear(64, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 10))"
SETS = next(line for line in DIGITS.splitlines() if "return Sets" in line)


def tried(source, name="Digits", **options):
    task = own(source, name, **options)
    created = create_task(task)
    train, _, _ = read_sets(task, created)
    return try_out_task(task, created, train)


def test_a_sound_task_passes():
    assert tried(DIGITS) == (10, set(), "logits")
    assert tried(DIABETES, "Diabetes") == (0, {"rmse", "absolute_error"}, "outputs")
    means = DIABETES.replace("(outputs - batch.labels) ** 2", "((outputs - batch.labels) ** 2).mean()")
    assert tried(means, "Diabetes").given == "losses"


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize("line", ["augment: bool = True", 'unit: str = "scans"', "classification: bool = False"])
def test_an_option_with_a_name_of_the_base_is_refused(line):
    message = f"the option `{line.split(':')[0]}` .* has a name that trainables.tasks.Task uses itself; rename it"
    with pytest.raises(KDPolicySearchError, match=message):
        create_task(own(DIGITS.replace('unit = "scans"', line), "Digits"))


def test_the_test_set_is_not_opened():
    tried(DIGITS.replace("lambda: (x[540:], y[540:])", "lambda: 1 / 0"))


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (DIGITS, "Numbers", "my_task.py has no task 'Numbers'; tasks in it .*: Digits"),
        (HEAD + "class Empty(Task):\n    pass\n", "Empty", "`Empty` must define `sets` and `student` and `teacher`"),
        (
            DIABETES.replace("def task_loss", "def the_loss"),
            "Diabetes",
            "must define both losses or neither, but lacks `task_loss`",
        ),
        (
            DIABETES.replace("def metrics", "def figures"),
            "Diabetes",
            "is no classification and has no default metric, so it must define `metrics`",
        ),
        (DIGITS.replace(SETS, "        return 1 / 0"), "Digits", r"`sets` of .* failed, line \d+ \(`return 1 / 0`\)"),
        (DIGITS.replace(SETS, "        return x, y"), "Digits", "`sets` of .* must return trainables.tasks.Sets"),
        (DIGITS.replace("y[:240])", "y[:200])"), "Digits", "of inputs and labels, all parts .* but have 240, 200"),
        (DIGITS.replace("(x[:240], y[:240])", "(x[:0], y[:0])"), "Digits", "the task's train set has no sample"),
        (DIGITS.replace("x[240:540]", "x[240:540, :9]"), "Digits", r"are float32 \[64\] and float32 \[9\]"),
        (
            DIGITS.replace("y[:240])", "y[:240].astype(str))"),
            "Digits",
            "must hold numbers, but there is a part of type",
        ),
        (DIGITS.replace(STUDENT, "        return None"), "Digits", "`student` of .* must return a torch.nn.Module"),
        (
            DIGITS.replace(STUDENT, "        return nn.Linear(9, 10)"),
            "Digits",
            r"`forward\(student, inputs\)` of the task my_task.py:Digits failed.*shapes cannot be multiplied",
        ),
        (
            DIGITS.replace(STUDENT, "        return nn.Linear(64, 4)"),
            "Digits",
            r"labels of my_task.py:Digits must lie in 0…3",
        ),
        (DIGITS.replace(STUDENT, "        return nn.Flatten()"), "Digits", "has no trainable parameter"),
        (
            DIGITS.replace(
                STUDENT,
                "        net = nn.Linear(64, 10)\n        net.bias.data += float(np.random.rand())\n        return net",
            ),
            "Digits",
            "gives other weights each time",
        ),
        (
            DIABETES.replace("return (outputs - batch.labels) ** 2", "return (outputs - batch.labels).detach()"),
            "Diabetes",
            "`task_loss` of .* must depend on the student's outputs, but has no graph",
        ),
        (
            DIABETES.replace("(outputs - teacher_outputs) ** 2", "(outputs - teacher_outputs)[:, None] ** 2"),
            "Diabetes",
            r"`distill_loss` of .* must return one value, or one a sample \(\[8\]\), but got \[8, 1\]",
        ),
        (DIGITS.replace(", test=lambda: (x[540:], y[540:])", ""), "Digits", "has no test set, .* give `test` to Sets"),
        (
            DIGITS.replace("        return Sets", "        x[3, 5] = np.nan\n        return Sets"),
            "Digits",
            "train set must hold finite",
        ),
        (
            DIABETES.replace("(outputs - labels).abs()}", "[1.0]}"),
            "Diabetes",
            "the metric 'absolute_error' must be one number, or a tensor .* but is a list",
        ),
        (DIGITS.replace("hidden: int = 12", "hidden = 12"), "Digits", "failed when it was loaded: .*`hidden = 12`"),
        (DIABETES.replace("classification = False", "classification = True"), "Diabetes", "are float32; a task with"),
    ],
)
def test_a_mistake_is_named(source, name, message):
    with pytest.raises(KDPolicySearchError, match=message):
        tried(source, name)


def test_an_unknown_option_is_named():
    with pytest.raises(KDPolicySearchError, match="`task.options.hiden` is not a known setting; .* Did you mean"):
        tried(DIGITS, hiden=3)


def test_samples_in_two_sets_are_counted():
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    assert shared_samples(samples_of((x[:6], y[:6]), "train"), samples_of((x[4:], y[4:]), "validation")) == 2


def test_a_map_style_data_set_is_read_like_arrays():
    x, y = torch.arange(12.0).view(6, 2), torch.arange(6)
    pairs = [(x[i], int(y[i])) for i in range(6)]
    for given in (torch.utils.data.TensorDataset(x, y), pairs, (x, y), (x.numpy().astype(np.float64), y.numpy())):
        samples = samples_of(given, "train")
        assert (samples.inputs.dtype, samples.labels.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(samples.inputs, x.numpy())
        np.testing.assert_array_equal(samples.labels, y.numpy())


def test_stored_outputs_must_fit_their_set():
    samples = samples_of((np.zeros((4, 2)), np.zeros(4, int)), "train")
    with pytest.raises(KDPolicySearchError, match="must have one row a sample, 4, but have 3"):
        stored_outputs(StoredOutputs(train=np.zeros((3, 2)), validation=None), "train", samples)
    with pytest.raises(KDPolicySearchError, match="lack those on the validation set"):
        stored_outputs(StoredOutputs(train=np.zeros((4, 2)), validation=None), "validation", samples)
    with pytest.raises(KDPolicySearchError, match="must be finite"):
        stored_outputs(StoredOutputs(train=np.full((4, 2), np.nan), validation=None), "train", samples)
