"""Training functions as a user would write them, as texts."""

from trainables.config import OwnFunction

DIGITS = """
import torch
from sklearn.datasets import load_digits
from torch import nn

from trainables.functions import Run

EPOCHS, STEPS = 4, 5


def data():
    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=torch.Generator().manual_seed(0))
    return torch.tensor(digits.data / 16.0, dtype=torch.float32)[order], torch.tensor(digits.target)[order]


def distil(run: Run):
    x, y = data()
    student = nn.Sequential(nn.Linear(64, run.options["hidden"]), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 10))
    optimizer = torch.optim.Adam(student.parameters(), lr=run.learning_rate)
    balancer = run.balancer(student, total_steps=EPOCHS * STEPS)

    def right(part):
        student.eval()
        with torch.no_grad():
            return student(x[part]).argmax(1) == y[part]

    def save(folder):
        torch.save([student.state_dict(), optimizer.state_dict()], folder / "state.pt")

    def load(folder):
        mine, its = torch.load(folder / "state.pt", weights_only=True)
        student.load_state_dict(mine)
        optimizer.load_state_dict(its)

    run.restore(load)
    for _ in run.epochs(EPOCHS):
        student.train()
        for part in torch.randperm(200).split(40):
            optimizer.zero_grad()
            # A teacher that is nearly sure of the right digit.
            teacher = 4.0 * nn.functional.one_hot(y[part], 10).float() + 0.01 * torch.randn(len(part), 10)
            balancer.backward_on_logits(student(x[part]), teacher, y[part])
            optimizer.step()
        run.report(accuracy=right(slice(200, 700)).double().mean(), wrong=float((~right(slice(200, 700))).sum()))
        run.save(save)
    if run.confirming:
        correct = right(slice(700, None))
        run.report_test(per_sample=correct, ids=range(700, len(x)))
    run.keep(student, x[:1])
"""


def own(source=DIGITS, **settings):
    """The function as a setting."""
    return OwnFunction(origin="train.py:distil", source=source, options={"hidden": 8}, **settings)
