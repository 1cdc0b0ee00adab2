"""Tasks that break one clause of the contract each, as changes of the two good ones."""

from __future__ import annotations

import dataclasses

from tests.trainables.tasks.task_files import DIABETES, DIGITS, own
from trainables.config import OwnTask


@dataclasses.dataclass(frozen=True)
class Broken:
    """A fault: the clause that catches it, what it says, and the changes of a good task's text."""

    clause: str
    message: str
    good: str
    changes: tuple[tuple[str, str], ...]

    @property
    def task(self) -> OwnTask:
        """The task with the fault."""
        source = {"Digits": DIGITS, "Diabetes": DIABETES}[self.good]
        for old, new in self.changes:
            assert old in source, old
            source = source.replace(old, new)
        return own(source, self.good)


def digits(clause: str, message: str, *changes: tuple[str, str]) -> Broken:
    """Return a fault of the classification."""
    return Broken(clause, message, "Digits", changes)


def diabetes(clause: str, message: str, *changes: tuple[str, str]) -> Broken:
    """Return a fault of the regression."""
    return Broken(clause, message, "Diabetes", changes)


READ = "x, y = self.rows()\n        return Sets"
TEST = "test=lambda: (x[540:], y[540:])"
CLASS = "class Digits"
TASK_LOSS, DISTILL_LOSS = "return (outputs - batch.labels) ** 2", "return (outputs - teacher_outputs) ** 2"
METRICS = 'return {"rmse":'
LAYER = "nn.ReLU(), nn.Linear"

BORN = """class Born(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(float(np.random.rand())))

    def forward(self, x):
        return x * self.scale


class Digits"""
NOISE = """class Noise(nn.Module):
    def forward(self, x):
        return torch.relu(x) * float(1 + np.random.rand() * self.training)


class Digits"""
COUNTER = """class Counter(nn.Module):
    seen = 0

    def forward(self, x):
        self.seen += self.training
        return torch.relu(x) / self.seen if self.training else torch.relu(x)


class Digits"""
OPTIMIZER = """def optimizer(self, student, learning_rate, total_steps):
        return torch.optim.Adam(list(student.parameters())[:1])

    def student(self):"""

BROKEN = (
    digits("sets_are_well_formed", "inputs of the test set", (TEST, "test=lambda: (x[540:, :60], y[540:])")),
    digits(
        "sets_are_well_formed",
        "test set are not finite",
        (TEST, "test=lambda: (np.full_like(x[540:], np.nan), y[540:])"),
    ),
    digits(
        "sets_are_the_same_each_time",
        "training set differs between two calls",
        (READ, "x, y = self.rows()\n        x = x + np.random.rand()\n        return Sets"),
    ),
    digits(
        "sets_share_no_sample",
        "training and validation set share the inputs of 1 samples",
        ("(x[240:540], y[240:540])", "(x[239:540], y[239:540])"),
    ),
    digits("sets_share_no_sample", "validation and test", (TEST, "test=lambda: (x[539:], y[539:])")),
    digits(
        "the_test_set_stays_closed",
        "test set was opened",
        ("def teacher(self):\n        x, y = self.rows()", "def teacher(self):\n        x, y = self.sets().test()"),
    ),
    digits("the_student_can_be_trained", "other weights each time", (LAYER, f"Born(), {LAYER}"), (CLASS, BORN)),
    diabetes("the_student_can_be_trained", "has no graph", (TASK_LOSS, f"return ({TASK_LOSS[7:]}).detach()")),
    diabetes(
        "the_student_can_be_trained",
        "'bad' of an untrained student is not finite",
        (METRICS, 'return {"bad": float("nan"), "rmse":'),
    ),
    diabetes(
        "a_loss_belongs_to_its_samples",
        "`task_loss` are not in the order",
        (TASK_LOSS, f"return ({TASK_LOSS[7:]}).sort().values"),
    ),
    diabetes(
        "a_loss_belongs_to_its_samples",
        "`distill_loss` depends on other samples",
        (DISTILL_LOSS, f"d = {DISTILL_LOSS[7:]}\n        return d / d.mean()"),
    ),
    diabetes(
        "a_loss_belongs_to_its_samples",
        "`task_loss` changes with the order",
        (TASK_LOSS, f"return ({TASK_LOSS[7:]})[:4].mean()"),
    ),
    diabetes(
        "masked_positions_do_not_count",
        "positions with the label -100",
        ("data.target - 152) / 77).astype(np.float32)", "data.target - 152) // 77).astype(np.int64)"),
        (READ, "x, y = self.rows()\n        y[::3] = IGNORED\n        return Sets"),
    ),
    diabetes(
        "arguments_stay_unchanged",
        "`distill_loss` writes to its arguments",
        (DISTILL_LOSS, f"batch.inputs.mul_(2)\n        {DISTILL_LOSS}"),
    ),
    diabetes(
        "arguments_stay_unchanged", "`metrics` writes to its arguments", (METRICS, f"labels.zero_()\n        {METRICS}")
    ),
    diabetes(
        "metrics_do_not_depend_on_the_order",
        "'first' changes with the order",
        (METRICS, 'return {"first": float(outputs[0] - labels[0]), "rmse":'),
    ),
    digits(
        "the_teacher_is_the_same_each_time",
        "two calls of `teacher` give other outputs",
        ("        return network\n", "        network.weight.data += np.random.rand()\n        return network\n"),
    ),
    diabetes(
        "the_teachers_outputs_belong_to_their_samples",
        "outputs on the train set fit the labels no better",
        ("train=answers[:200]", "train=answers[:200][::-1].copy()"),
    ),
    digits("the_optimizer_resumes", "leaves out", ("def student(self):", OPTIMIZER)),
    digits(
        "trainings_repeat_themselves", "two trainings under one seed", (LAYER, "Noise(), nn.Linear"), (CLASS, NOISE)
    ),
    digits(
        "trainings_repeat_themselves",
        "stopped and resumed gives another student",
        (LAYER, "Counter(), nn.Linear"),
        (CLASS, COUNTER),
    ),
)
