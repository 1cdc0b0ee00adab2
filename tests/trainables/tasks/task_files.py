"""Tasks of a user's own for tests, as the text of their file."""

from trainables.config import OwnTask

HEAD = """
import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

from trainables.tasks import IGNORED, Sets, StoredOutputs, Task, TaskBatch
"""

DIGITS = (
    HEAD
    + """
class Digits(Task):
    unit = "scans"
    hidden: int = 12

    def rows(self):
        data = load_digits()
        return (data.data / 16).astype(np.float32), data.target

    def sets(self):
        x, y = self.rows()
        return Sets(train=(x[:240], y[:240]), validation=(x[240:540], y[240:540]), test=lambda: (x[540:], y[540:]))

    def student(self):
        return nn.Sequential(nn.Linear(64, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 10))

    def teacher(self):
        x, y = self.rows()
        solution = np.linalg.lstsq(x, 10 * np.eye(10)[y], rcond=None)[0].astype(np.float32)
        network = nn.Linear(64, 10, bias=False)
        network.weight.data = torch.from_numpy(solution.T.copy())
        return network
"""
)

DIABETES = (
    HEAD
    + """
class Diabetes(Task):
    unit = "patients"
    classification = False

    def rows(self):
        data = load_diabetes()
        return data.data.astype(np.float32) * 20, ((data.target - 152) / 77).astype(np.float32)

    def sets(self):
        x, y = self.rows()
        return Sets(train=(x[:200], y[:200]), validation=(x[200:320], y[200:320]), test=(x[320:], y[320:]))

    def student(self):
        return nn.Sequential(nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 1), nn.Flatten(0))

    def teacher(self):
        x, y = self.rows()
        answers = x @ np.linalg.lstsq(x, y, rcond=None)[0]
        return StoredOutputs(train=answers[:200], validation=answers[200:320], test=lambda: answers[320:])

    def task_loss(self, outputs, batch):
        return (outputs - batch.labels) ** 2

    def distill_loss(self, outputs, teacher_outputs, batch, temperature):
        return (outputs - teacher_outputs) ** 2

    def metrics(self, outputs, labels):
        return {"rmse": float(((outputs - labels) ** 2).mean().sqrt()), "absolute_error": (outputs - labels).abs()}
"""
)

MASKED = (
    HEAD
    + """
class Masked(Task):
    def sets(self):
        generator = np.random.default_rng(0)
        x = generator.integers(0, 9, (300, 7))
        y = (x + np.roll(x, 1, axis=1)) % 3
        y[generator.random(y.shape) < 0.3] = IGNORED
        return Sets(train=(x[:120], y[:120]), validation=(x[120:200], y[120:200]), test=(x[200:], y[200:]))

    def student(self):
        return nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 3))

    def teacher(self):
        return nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 3))
"""
)

HINTS = (
    HEAD
    + """
from pydantic import Field
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, width, dropout=0.0):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(width, 10)
        self.hint = nn.Linear(width, 16)

    def forward(self, x):
        features = self.body(x)
        return {"logits": self.head(features), "hint": self.hint(features)}


class Hints(Task):
    rows: int = 200
    hint_weight: float = 1.0
    dropout: float = Field(0.0, ge=0, lt=1)
    width: int = 12
    layers: int = 1
    slope: float = 0.0

    def sets(self):
        data = load_digits()
        x, y, n = (data.data / 16).astype(np.float32), data.target, self.rows
        return Sets(train=(x[:n], y[:n]), validation=(x[200:400], y[200:400]), test=lambda: (x[400:], y[400:]))

    def student(self):
        return Net(self.width, self.dropout)

    def teacher(self):
        return Net(32)

    def forward(self, network, inputs):
        outputs = network(inputs)
        return {**outputs, "logits": outputs["logits"] * (1 + self.slope)}

    def logits(self, outputs):
        return outputs["logits"]

    def task_loss(self, outputs, batch):
        return F.cross_entropy(outputs["logits"], batch.labels, reduction="none")

    def distill_loss(self, outputs, teacher_outputs, batch, temperature):
        student, teacher = (F.log_softmax(o["logits"] / temperature, 1) for o in (outputs, teacher_outputs))
        soft = temperature**2 * F.kl_div(student, teacher, reduction="none", log_target=True).sum(1)
        return soft + self.hint_weight * (outputs["hint"] - teacher_outputs["hint"]).square().mean(1)

    def metrics(self, outputs, labels):
        return {"weighted": self.hint_weight * float(outputs["hint"].square().mean())}
"""
)


def own(source: str, name: str, **options: object) -> OwnTask:
    """Return a task of a file's text."""
    return OwnTask(origin=f"my_task.py:{name}", source=source, options=options)
