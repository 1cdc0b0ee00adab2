"""The distillation loss on logits, and the logarithms of probabilities.

N: samples of a batch; C: classes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(teacher/T) ‖ softmax(student/T)), averaged over the batch.

    Args:
        student_logits: [N, C].
        teacher_logits: [N, C]; no gradient flows into it. -∞ leaves a class out.
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
    log_student = finite_log_softmax(student_logits.float() / temperature)
    log_teacher = finite_log_softmax(teacher_logits.detach().float() / temperature)
    return torch.nn.functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True) * temperature**2


def finite_log_softmax(values: Tensor) -> Tensor:
    """As `log_softmax`, but the lowest finite number stands for -∞.

    So a class that is left out by a logit of -∞ adds nothing to a divergence, in which 0·(-∞) is NaN.
    """
    logs = log_softmax(values)
    lowest = torch.finfo(logs.dtype).min
    return logs.clamp_min(lowest) if logs.requires_grad else logs.clamp_min_(lowest)


def log_softmax(values: Tensor) -> Tensor:
    """The logarithms of the classes' probabilities, [N, C], as `torch.log_softmax(values, dim=1)` has them to rounding.

    With fewer classes than a vector register holds numbers, PyTorch takes them one by one on a CPU. It is several times
    faster where the samples are neighbours in memory, as they are in what is returned then.
    """
    if values.is_cpu and 4 < values.shape[1] < _REGISTER:
        return torch.log_softmax(values.t().contiguous(), dim=0).t()
    return torch.log_softmax(values, dim=1)


_REGISTER = {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 4)
"""Numbers in single precision."""
