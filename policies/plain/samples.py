"""Writes rules that give each sample a λ, and rules on how reliable the teacher has been so far."""

from __future__ import annotations

from policies.families.samples.sample_tree import SampleTree
from policies.plain.parts import Plain
from policies.plain.trees import sample_questions
from policies.policy import Policy
from policies.sample import SamplePolicy

_PULLS = """
# The pulls of label and teacher on each sample, [N, C].
(v_t,) = torch.autograd.grad(task_losses.sum(), student_logits, retain_graph=True)
(v_d,) = torch.autograd.grad(distill_losses.sum(), student_logits, retain_graph=True)
length_t, length_d = v_t.norm(dim=1), v_d.norm(dim=1)
"""
_COSINE = """
lengths = (length_d * length_t).clamp_min(torch.finfo(v_d.dtype).tiny)
cosine = ((v_d * v_t).sum(dim=1) / lengths).nan_to_num(0.0).clamp(-1.0, 1.0)
"""
_RATIO = "norm_ratio = (length_d / length_t).nan_to_num(1.0, posinf=1e12).clamp(1e-12, 1e12)\n"
_LOSS_RATIO = """
loss_ratio = task_losses.detach().clamp_min(0.0) / distill_losses.detach().clamp_min(1e-12)
loss_ratio = loss_ratio.nan_to_num(1.0, posinf=1e12).clamp(1e-12, 1e12)
"""
_PROBABILITIES = "teacher = torch.softmax(teacher_logits, dim=1)\n"
_CONFIDENCE = "confidence = teacher.amax(dim=1).nan_to_num(0.0)\n"
_AGREEMENT = "agreement = teacher.gather(1, labels[:, None]).squeeze(1).nan_to_num(0.0)\n"
READINGS = {
    "cosine": _PULLS.lstrip() + _COSINE.lstrip(),
    "norm_ratio": _PULLS.lstrip() + _RATIO,
    "loss_ratio": _LOSS_RATIO.lstrip(),
    "confidence": _PROBABILITIES + _CONFIDENCE,
    "agreement": _PROBABILITIES + _AGREEMENT,
    "progress": (
        "progress = min(1.0, self.step / self.total_steps)\n"
        "progress = torch.full_like(task_losses.detach(), progress, dtype=torch.float64)\n"
    ),
}
"""The lines that give each feature of a sample."""

_WEIGHTS = {
    "sample_cosine_threshold": (
        "cosine",
        "weights = torch.full_like(cosine, BELOW).masked_fill(cosine > THRESHOLD, ABOVE)",
    ),
    "sample_cosine_ramp": ("cosine", "weights = (MIDDLE + SLOPE * cosine).clamp(0.0, 1.0)"),
    "sample_norm_ratio_threshold": (
        "norm_ratio",
        "weights = torch.full_like(norm_ratio, BELOW).masked_fill(norm_ratio > THRESHOLD, ABOVE)",
    ),
    "sample_norm_balance": ("norm_ratio", "weights = 1.0 / (1.0 + norm_ratio / BALANCE)"),
    "sample_agreement_threshold": (
        "agreement",
        "weights = torch.full_like(agreement, BELOW).masked_fill(agreement > THRESHOLD, ABOVE)",
    ),
}
_MIX = "(weights * distill_losses + (1.0 - weights) * task_losses).mean()"

_CELLS = {
    "class_reliability": "label",
    "confidence_reliability": "confidence",
    "sample_class_reliability": "label",
    "sample_confidence_reliability": "confidence",
}
_CELL_LINES = {
    "label": "answers = teacher_logits.argmax(dim=1)\ncells = labels  # each sample's class, by its label\n",
    "teacher": "cells = answers = teacher_logits.argmax(dim=1)  # each sample's class, by the teacher\n",
    "confidence": (
        "confidence, answers = torch.softmax(teacher_logits, dim=1).max(dim=1)\n"
        "cells = (confidence * 10).long().clamp(0, 9)  # ten bins of the teacher's confidence\n"
    ),
}
RATES = """
{cells}overall = (self.agreed.sum() + 1.0) / (self.seen.sum() + 2.0)
rates = ((self.agreed + 2.0 * overall) / (self.seen + 2.0))[cells]  # of agreement so far, [N]
self.agreed.index_add_(0, cells, (answers == labels).double())
self.seen.index_add_(0, cells, torch.ones_like(labels, dtype=torch.float64))
"""


def sample_rule(policy: Policy) -> Plain | None:
    """Return the code of a built-in rule that gives each sample a λ; None for all other rules."""
    if policy.family in _WEIGHTS:
        feature, line = _WEIGHTS[policy.family]
        return Plain(form="logits", before=READINGS[feature] + line, mix=_MIX)
    if policy.family in _CELLS and isinstance(policy, SamplePolicy):
        weights = "weights = (TRUST * rates).clamp_max(1.0).to(task_losses.dtype)"
        return Plain(form="logits", **table(policy), before=rates_of(policy) + weights, mix=_MIX)  # type: ignore[arg-type]
    if isinstance(policy, SampleTree):
        features, lines = sample_questions(policy)
        before = _without_repeats("".join(READINGS[name] for name in features)) + lines
        return Plain(
            form="logits", arguments=("total_steps",) if "progress" in features else (), before=before, mix=_MIX
        )
    return None


def rates_of(policy: Policy) -> str:
    """Return the lines that give each sample's rate of agreement, and count the batch after that."""
    kind = "teacher" if policy.values().get("of") == "teacher" else _CELLS[policy.family]
    return RATES.lstrip().replace("{cells}", _CELL_LINES[kind])


def table(policy: Policy) -> dict[str, tuple[str, ...]]:
    """Return the arguments and the memory of a rule that counts how often teacher and label agree."""
    by_class = _CELLS[policy.family] == "label"
    size = "classes" if by_class else "10"
    return {
        "arguments": ("classes", "device") if by_class else ("device",),
        "state": (f"self.agreed, self.seen = torch.zeros(2, {size}, dtype=torch.float64, device=device)",),
    }


def _without_repeats(lines: str) -> str:
    """Drop a block of lines that stands a second time, such as the pulls that two features are made from."""
    for block in (_PULLS.lstrip(), _PROBABILITIES):
        first, found, rest = lines.partition(block)
        lines = first + found + rest.replace(block, "")
    return lines
