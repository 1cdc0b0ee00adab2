"""The distillation loss on logits.

N: samples of a batch; C: classes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(teacher/T) ‖ softmax(student/T)), averaged over the batch.

    Args:
        student_logits: [N, C].
        teacher_logits: [N, C]; no gradient flows into it.
        temperature: T > 0. The factor T² keeps the gradient's size about the same at every T.

    Returns:
        A scalar in nats.

    Raises:
        ValueError: the shapes differ or are not [N, C]; flatten further dimensions into N.

    Source: Hinton, Vinyals and Dean 2015 (arXiv 1503.02531), section 2.
    """
    if student_logits.ndim != 2 or student_logits.shape != teacher_logits.shape:
        raise ValueError(
            "student's and teacher's logits must both be [samples, classes], but got"
            f" {list(student_logits.shape)} and {list(teacher_logits.shape)}"
        )
    log_student = torch.log_softmax(student_logits.float() / temperature, dim=1)
    log_teacher = torch.log_softmax(teacher_logits.detach().float() / temperature, dim=1)
    return torch.nn.functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True) * temperature**2
