"""Holds the pieces of code that many rules share, and the description of one rule's code.

The pieces are text. They refer to a rule's parameters by their names in capitals, which the written file defines.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

Form = Literal["losses", "logits"]
"""The arguments of `Rule.backward`: two losses, or the student's logits, the teacher's and the labels."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
    """The code of one rule on a batch, apart from what all share.

    Lines are given without indentation, those inside an `if` with four spaces more.
    """

    form: Form = "losses"
    arguments: tuple[str, ...] = ()
    """The arguments of `Rule`: `parameters`, `total_steps`, `classes`."""
    helpers: tuple[str, ...] = ()
    """Functions that stand before the rule."""
    state: tuple[str, ...] = ()
    """Lines that set what the rule remembers."""
    before: str = ""
    """Lines of `backward` at each step, before the readings."""
    readings: str = ""
    """Lines of `backward` at the steps at which the rule measures, which end in a λ."""
    after: str = ""
    """Lines of `backward` at each step, after the readings."""
    mix: str = "self.weight * distill_loss + (1.0 - self.weight) * task_loss"
    """The loss that is walked backward."""


MEAN_LOSSES = '''
def losses(student_logits, teacher_logits, labels):
    """Return cross entropy and T²·KL(teacher ‖ student), both averaged over the batch."""
    task_loss = F.cross_entropy(student_logits, labels{smoothing})
    student, teacher = (F.log_softmax(logits{wide} / T, dim=1) for logits in (student_logits, teacher_logits))
    return task_loss, T**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)
'''

SAMPLE_LOSSES = '''
def losses(student_logits, teacher_logits, labels):
    """Return cross entropy and T²·KL(teacher ‖ student) of each sample, both [N]."""
    task_losses = F.cross_entropy(student_logits, labels{smoothing}, reduction="none")
    student, teacher = (F.log_softmax(logits{wide} / T, dim=1) for logits in (student_logits, teacher_logits))
    return task_losses, T**2 * F.kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)
'''

BOUNDED = '''
def bounded(loss):
    """Return a loss as a number in [1e-12, 1e12]; NaN if it is negative or not finite."""
    value = loss.item()
    return min(max(value, 1e-12), 1e12) if 0.0 <= value < math.inf else math.nan
'''

_ANGLE = '''
def log_ratio_and_cosine(a, b, c):
    """Return log(‖g_d‖/‖g_t‖) and the cosine from a = ‖g_d‖², b = ‖g_t‖², c = ⟨g_d, g_t⟩; NaN if one is not finite."""
    if not all(map(math.isfinite, (a, b, c))):
        return math.nan, math.nan
    ratio = math.sqrt(a) / math.sqrt(b) if b > 0.0 else 1e12 if a > 0.0 else 1.0
    lengths = math.sqrt(a) * math.sqrt(b)
    cosine = max(-1.0, min(1.0, c / lengths)) if lengths > 0.0 else 0.0
    return math.log(min(max(ratio, 1e-12), 1e12)), cosine


def gradients(loss, tensors):
    return torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True, materialize_grads=True)


def inner_product(ones, others):
    return sum(torch.dot(one.flatten(), other.flatten()).item() for one, other in zip(ones, others))
'''

GEOMETRY = (
    _ANGLE
    + '''

def geometry(task_loss, distill_loss, tensors):
    """Measure the gradients g_t and g_d of the two losses in some tensors; return (log(‖g_d‖/‖g_t‖), cosine)."""
    task, distill = gradients(task_loss, tensors), gradients(distill_loss, tensors)
    return log_ratio_and_cosine(
        inner_product(distill, distill), inner_product(task, task), inner_product(distill, task)
    )
'''
)

GEOMETRY_OF_HALVES = (
    _ANGLE
    + '''

def geometry(task_losses, distill_losses, tensors):
    """Measure as over the whole batch, but ⟨g_d, g_t⟩ between two halves of it, which share no noise."""
    middle = len(task_losses) // 2
    share = middle / len(task_losses)
    (task_1, distill_1), (task_2, distill_2) = (
        [gradients(losses[half].mean(), tensors) for losses in (task_losses, distill_losses)]
        for half in (slice(0, middle), slice(middle, None))
    )
    task, distill = (
        [share * one + (1.0 - share) * other for one, other in zip(*halves)]
        for halves in ((task_1, task_2), (distill_1, distill_2))
    )
    inner = 0.5 * (inner_product(distill_1, task_2) + inner_product(distill_2, task_1))
    return log_ratio_and_cosine(inner_product(distill, distill), inner_product(task, task), inner)
'''
)


def indented(text: str, levels: int) -> str:
    """Return lines without blank ones at both ends, indented by so many times four spaces."""
    space = "    " * levels
    return "\n".join(space + line if line else "" for line in text.strip("\n").split("\n"))
