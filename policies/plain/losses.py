"""Writes rules on the training's progress and on the two losses."""

from __future__ import annotations

from policies.plain.gradients import Response
from policies.plain.parts import BOUNDED, Plain
from policies.policy import Policy

_PROGRESS = "progress = min(1.0, self.step / self.total_steps)\n"
_MIX = "weight * distill_loss + (1.0 - weight) * task_loss"
_SCHEDULES = {
    "linear_schedule": "weight = min(1.0, max(0.0, START + (END - START) * progress))",
    "cosine_schedule": "weight = min(1.0, max(0.0, END + 0.5 * (START - END) * (1.0 + math.cos(math.pi * progress))))",
    "step_schedule": "weight = BEFORE if progress < SWITCH else AFTER",
    "warm_up": "weight = WEIGHT * (progress / SHARE) if progress < SHARE else WEIGHT",
}

_READINGS = ("log_distill", "log_task")
_RESPONSES = {
    "loss_ratio": Response(_READINGS, "w_d, w_t = BALANCE * math.exp(log_task - log_distill), 1.0", published=True),
    "uncertainty": Response(
        _READINGS,
        """
w_d, w_t = 0.5 * math.exp(-self.s_d), 0.5 * math.exp(-self.s_t)
self.s_d, self.s_t = descended(self.s_d, log_distill), descended(self.s_t, log_task)
""",
        ("self.s_d, self.s_t = START, 0.0  # log-variances",),
        published=True,
    ),
    "famo": Response(
        _READINGS,
        """
if self.last is not None:
    fell_distill, fell_task = self.last[0] - log_distill, self.last[1] - log_task
    share = logistic(self.logit)
    moved = (1.0 - DECAY) * self.logit - 2.0 * RATE * share * (1.0 - share) * (fell_distill - fell_task)
    self.logit = min(max(moved, -40.0), 40.0)
self.last = log_distill, log_task
self.weight = logistic(self.logit + log_task - log_distill)
""",
        ("self.logit, self.last = 0.0, None",),
    ),
}

_LOGISTIC = """
def logistic(x):
    small = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else small) / (1.0 + small)
"""
_DESCENDED = '''
def descended(s, log_loss):
    """Move a log-variance towards the logarithm of its loss, never past it."""
    moved = s - 0.5 * RATE * (1.0 - math.exp(log_loss - s))
    return min(moved, log_loss) if s < log_loss else max(moved, log_loss)
'''
HELPERS = {"famo": _LOGISTIC, "uncertainty": _DESCENDED}
"""Functions that a family's lines call."""

_DWA = Plain(
    arguments=("total_steps",),
    helpers=(BOUNDED, _LOGISTIC),
    state=(
        "self.weight = 0.5",
        "self.stretch, self.count, self.sums = 0, 0, (0.0, 0.0)  # the stretch of the training that runs now",
        "self.before = None  # the mean losses (distillation, task) of the stretch before it",
    ),
    readings=f"""
{_PROGRESS}distill, task = bounded(distill_loss), bounded(task_loss)
if math.isfinite(distill) and math.isfinite(task):
    stretch = int(progress / PERIOD + 1e-9)
    if stretch > self.stretch and self.count:
        means = self.sums[0] / self.count, self.sums[1] / self.count
        if self.before is not None:
            self.weight = logistic((means[0] / self.before[0] - means[1] / self.before[1]) / TEMPERATURE)
        self.before, self.count, self.sums = means, 0, (0.0, 0.0)
    self.stretch = stretch
    self.count, self.sums = self.count + 1, (self.sums[0] + distill, self.sums[1] + task)
""",
)


def schedule(policy: Policy) -> Plain | None:
    """Return the code of a constant, a schedule or DWA; None for all other rules."""
    if policy.family == "fixed":
        alone = {0.0: "task_loss", 1.0: "distill_loss"}
        return Plain(
            mix=alone.get(float(policy.values()["weight"]), "WEIGHT * distill_loss + (1.0 - WEIGHT) * task_loss")
        )
    if policy.family == "dwa":
        return _DWA
    if policy.family in _SCHEDULES:
        return Plain(arguments=("total_steps",), before=_PROGRESS + _SCHEDULES[policy.family], mix=_MIX)
    return None


def loss_response(policy: Policy) -> Response | None:
    """Return the response of a built-in rule on the two losses; None for all other rules."""
    return _RESPONSES.get(policy.family)
