"""Checks the tensors given to `backward_on_logits`; the errors say what to do with other outputs.

N: samples; C: classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policies.errors import PolicyError

_TWO_LOSSES = "compute both losses and call `balancer.backward(task_loss, distill_loss)`"


def check_shapes(student_logits: Tensor, teacher_logits: Tensor, labels: Tensor) -> None:
    """Make sure that these are logits of classes and their labels.

    Args:
        student_logits: [N, C], C ≥ 2.
        teacher_logits: likewise.
        labels: [N] whole numbers, or [N, C] probabilities.

    Raises:
        PolicyError: they are not; the message names the call for outputs that are no logits of classes.
    """
    shape = student_logits.shape
    if len(shape) == 1 or (len(shape) == 2 and shape[1] < 2):
        raise PolicyError(
            f"`student_logits` must be [samples, classes] with 2 classes or more, but got {list(shape)}: the softmax of"
            f" one output is always 1, so there is nothing to train. For real-valued or yes/no targets, {_TWO_LOSSES}."
            " A yes/no output z of shape [samples, 1] is also the two logits `torch.cat([torch.zeros_like(z), z], 1)`,"
            " which rules on logits can use."
        )
    if len(shape) != 2 or shape != teacher_logits.shape:
        raise PolicyError(
            f"student's and teacher's logits must both be [samples, classes], but got {list(shape)} and"
            f" {list(teacher_logits.shape)}; flatten further dimensions into samples and leave out positions without a"
            " label."
        )
    if labels.shape not in (shape, shape[:1]):
        raise PolicyError(
            f"`labels` must be [samples] or [samples, classes] for logits {list(shape)}, but got {list(labels.shape)}."
        )
    if labels.shape != shape and (labels.is_floating_point() or labels.dtype == torch.bool):
        raise PolicyError(
            f"`labels` [samples] must be whole numbers, but got {labels.dtype}; give class numbers, or the"
            f" probabilities of all classes as [samples, classes]. For real-valued targets, {_TWO_LOSSES}."
        )
