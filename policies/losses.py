"""Computes the distillation loss on logits, and the logarithms of probabilities.

N: samples of a batch; C: classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

_HIGH_TEMPERATURE = 20.0
"""The temperature up to which the largest error of a sample's divergence is below 1e-4, with logits 0.05 apart."""


def distillation_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(teacher/T) ‖ softmax(student/T)), averaged over the batch.

    Args:
        student_logits: [N, C].
        teacher_logits: [N, C]; no gradient flows into it. A logit of -∞ leaves a class out.
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
    log_student = softened(student_logits.float(), temperature)
    log_teacher = softened(teacher_logits.detach().float(), temperature)
    loss = torch.nn.functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return (loss * temperature**2).float()


def softened(logits: Tensor, temperature: float) -> Tensor:
    """Return log softmax(logits/T) by `finite_log_softmax`, in double precision at high temperatures.

    All classes are about equally likely there, and T² times the difference of two such logarithms is mostly rounding
    error in float32. At T = 100, a fifth of the samples of nearly equal logits had a negative divergence.
    """
    if temperature > _HIGH_TEMPERATURE and logits.device.type != "mps":  # MPS has no double precision
        logits = logits.double()
    return finite_log_softmax(logits / temperature)


def finite_log_softmax(values: Tensor) -> Tensor:
    """Return `log_softmax` with the lowest finite number in place of -∞.

    So a class that a logit of -∞ leaves out adds nothing to a divergence, in which 0·(-∞) would be NaN.
    """
    logs = log_softmax(values)
    lowest = torch.finfo(logs.dtype).min
    return logs.clamp_min(lowest) if logs.requires_grad else logs.clamp_min_(lowest)


def log_softmax(values: Tensor) -> Tensor:
    """Return the logarithms of the classes' probabilities, [N, C]: `torch.log_softmax(values, dim=1)` up to rounding.

    With fewer classes than a vector register holds numbers, PyTorch processes them one by one on a CPU. It is several
    times faster if the samples are neighbours in memory. In that case they are so in the result, too.
    """
    if values.is_cpu and 4 < values.shape[1] < _REGISTER:
        return torch.log_softmax(values.t().contiguous(), dim=0).t()
    return torch.log_softmax(values, dim=1)


_REGISTER = {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 4)
"""The count of single-precision numbers that a vector register holds."""
