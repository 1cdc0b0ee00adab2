"""Explains mistakes in the calls of a training loop in the loop's own words.

Beside a small student's step, each check of the arguments costs time. So most checks run once, or only after PyTorch
has failed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.update.graph import nodes_of
from policies.update.student import Student

FAILURES = (RuntimeError, IndexError, TypeError, AttributeError)
"""The errors that PyTorch raises if its arguments do not fit."""

_ORDER = "the order is `backward_on_logits(student_logits, teacher_logits, labels)`"


def check_losses_train(student: Student, task_loss: Tensor, distill_loss: Tensor) -> None:
    """Raises PolicyError if neither loss depends on anything that is trained."""
    if not student.reached_by(nodes_of(task_loss, distill_loss)):
        raise PolicyError(
            "no parameter of the balancer's `student` gets a gradient from `task_loss` or `distill_loss`;"
            f" {_another_model('losses')}."
        )


def check_logits_train(student: Student, student_logits: Tensor, teacher_logits: Tensor) -> bool:
    """Tell whether the student's logits have a graph; without one, PyTorch raises as soon as it is walked.

    Raises:
        PolicyError: they have a graph that does not reach anything that is trained.
    """
    nodes = nodes_of(student_logits)
    if not nodes or student.reached_by(nodes):
        return bool(nodes)
    told = "no parameter of the balancer's `student` gets a gradient from `student_logits`"
    others = nodes_of(teacher_logits)
    if others and student.reached_by(others):
        raise PolicyError(f"{told}, but one does from `teacher_logits`; {_ORDER}.")
    raise PolicyError(f"{told}; {_another_model('logits')}.")


def explain_logits(error: Exception, student_logits: object, teacher_logits: object, labels: object) -> None:
    """Raises PolicyError if the arguments of `backward_on_logits` explain PyTorch's error."""
    given = {"student_logits": student_logits, "teacher_logits": teacher_logits, "labels": labels}
    for name, value in given.items():
        if not isinstance(value, Tensor):
            remedy = "`torch.as_tensor` makes one" if name == "labels" else "pass the logits themselves"
            raise PolicyError(f"`{name}` must be a tensor, but got {type(value).__name__}; {remedy}.") from error
    assert isinstance(student_logits, Tensor)
    assert isinstance(teacher_logits, Tensor)
    assert isinstance(labels, Tensor)
    if not student_logits.requires_grad:
        remedy = "compute them outside of `torch.no_grad()` and do not detach them"
        if teacher_logits.requires_grad:
            remedy = f"`teacher_logits` have one: {_ORDER}"
        raise PolicyError(f"`student_logits` have no graph for gradients; {remedy}.") from error
    if "device-side assert" in str(error):  # nothing on the device can be read any more
        error.add_note(
            f"One cause is a class number in `labels` outside [0, {student_logits.shape[-1]}), such as PyTorch's -100:"
            " leave samples without a label out."
        )
    elif labels.is_cpu and labels.ndim == 1 and len(labels):
        _check_range(error, labels, student_logits.shape[-1])


def explain_losses(error: Exception) -> None:
    """Raises PolicyError if a call of `backward` under `torch.no_grad()` explains PyTorch's error."""
    if not torch.is_grad_enabled():
        raise PolicyError(
            "`backward` was called under `torch.no_grad()`, where there are no gradients; call it outside."
        ) from error


def _check_range(error: Exception, labels: Tensor, classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < classes:
        return
    found = low if low < 0 else high
    remedy = f"the logits have {classes} classes, counted from 0"
    if found == -100:
        remedy = (
            "samples without a label (PyTorch's `ignore_index`) have to be left out: `known = labels >= 0`, then"
            " `student_logits[known], teacher_logits[known], labels[known]`"
        )
    raise PolicyError(f"`labels` must be class numbers in [0, {classes}), but hold {found}; {remedy}.") from error


def _another_model(what: str) -> str:
    return (
        f"the balancer was created from another model than the one that gave these {what} (a copy, or one that was"
        " loaded again); create it from the model that is trained"
    )
