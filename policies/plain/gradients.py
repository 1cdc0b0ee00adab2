"""Writes the response of each rule on two gradients: from smoothed readings to λ.

The lines read `log_ratio` and `cosine` (or `log_loss_ratio`), and set `self.weight`. Those with published weights set
`w_d` and `w_t` instead.
"""

from __future__ import annotations

from typing import NamedTuple

from policies.policy import Policy


class Response(NamedTuple):
    """The readings of a rule, its memory, and the lines that follow from its smoothed readings."""

    readings: tuple[str, ...]
    lines: str
    state: tuple[str, ...] = ()
    published: bool = False
    """True if the lines set `w_d` and `w_t`."""


_PAIR = ("log_ratio", "cosine")
_ABC = """
ratio = math.exp(log_ratio)
a, b, c = ratio, 1.0 / ratio, cosine  # ‖g_d‖², ‖g_t‖², ⟨g_d, g_t⟩, at ‖g_d‖·‖g_t‖ = 1
"""

_SIMPLE = {
    "norm_balance": Response(("log_ratio",), "self.weight = BALANCE / (BALANCE + math.exp(log_ratio))"),
    "cosine_gate": Response(_PAIR, "w_d, w_t = max(0.0, cosine), 1.0", published=True),
    "cosine_ramp": Response(_PAIR, "self.weight = min(1.0, max(0.0, WEIGHT + SLOPE * cosine))"),
    "safe_interval": Response(
        _PAIR,
        f"""{_ABC}
low, high = (0.0, 1.0) if c >= 0.0 else (-c / (a - c), b / (b - c))  # between them neither loss rises
low = min(low, high)
self.weight = min(max(WEIGHT, low), high)
""",
    ),
    "taylor_curvature": Response(
        _PAIR,
        f"""{_ABC}
spread = max(0.0, a + b - 2.0 * c)
self.weight = min(1.0, max(0.0, (1.0 / STEP - 1.0) * (c - b) / spread)) if spread else 0.5
""",
    ),
    "upgrad": Response(
        _PAIR,
        f"""{_ABC}
conflict = max(0.0, -c)
w_d = PREFERENCE + (1.0 - PREFERENCE) * conflict / a
w_t = (1.0 - PREFERENCE) + PREFERENCE * conflict / b
""",
        published=True,
    ),
    "cagrad": Response(
        _PAIR,
        f"""{_ABC}
bound = RADIUS * 0.5 * math.sqrt(max(0.0, a + b + 2.0 * c))
spread = max(0.0, a + b - 2.0 * c)
slope = 0.5 * (a - b)
excess = bound * bound * spread - slope * slope
if spread == 0.0:
    worst = 0.5
elif excess > 0.0:
    height = math.sqrt(max(0.0, a * b - c * c) / (spread * spread * excess))
    worst = min(1.0, max(0.0, (b - c) / spread - slope * height))
elif slope == 0.0:
    worst = 0.5  # ‖g_d‖ = ‖g_t‖
else:
    worst = float(slope < 0.0)
length_sq = worst * worst * a + 2.0 * worst * (1.0 - worst) * c + (1.0 - worst) ** 2 * b
turn = bound / max(math.sqrt(max(0.0, length_sq)), 1e-8 * bound) if bound > 0.0 else 0.0
w_d, w_t = 0.5 + turn * worst, 0.5 + turn * (1.0 - worst)
""",
        published=True,
    ),
    "gradvac": Response(
        _PAIR,
        """
ratio, target, pull = math.exp(log_ratio), self.target, 0.0
self.target = (1.0 - DECAY) * target + DECAY * cosine
if cosine < target:
    sine = max(math.sqrt(1.0 - target * target), 1e-8)
    pull = target * math.sqrt(1.0 - cosine * cosine) / sine - cosine
w_d, w_t = 1.0 + pull / ratio, 1.0 + pull * ratio
""",
        ("self.target = 0.0",),
        published=True,
    ),
    "gradnorm": Response(
        ("log_ratio", "log_loss_ratio"),
        """
if self.initial is None:
    self.initial = log_loss_ratio
lag = log_loss_ratio - self.initial
self.weight = 0.5 + 0.5 * math.tanh(0.5 * (ASYMMETRY * lag - log_ratio))
""",
        ("self.initial = None",),
    ),
}

_GAINS = {
    "task": ("c - b", "b"),
    "distill": ("a - c", "a"),
    "mean": ("0.5 * (a - b)", "0.25 * max(0.0, a + b + 2.0 * c)"),
}
_UNITS = {"none": "0.0", "l2": "log_ratio", "loss": "log_loss_ratio"}


def gradient_response(policy: Policy) -> Response | None:
    """Return the response of a built-in rule on two gradients; None for all other rules."""
    values = policy.values()
    if policy.family in ("cosine_threshold", "norm_ratio_threshold"):
        return _threshold(policy.family == "cosine_threshold", bool(values["hysteresis"]))
    if policy.family == "taylor":
        gain, length_sq = _GAINS[str(values["goal"])]
        return Response(
            _PAIR,
            f"""{_ABC}
length = math.sqrt({length_sq}) * math.sqrt(max(0.0, a + b - 2.0 * c))
advantage = max(-1.0, min(1.0, ({gain}) / length)) if length > 0.0 else 0.0
self.weight = 0.5 + 0.5 * math.tanh(0.5 * SHARPNESS * advantage)
""",
        )
    if policy.family == "mgda":
        unit = str(values["normalization"])
        readings = (*_PAIR, "log_loss_ratio") if unit == "loss" else _PAIR
        return Response(
            readings,
            f"""
unit = {_UNITS[unit]}  # log(n_d/n_t), by which the gradients are divided first
ratio = math.exp(log_ratio - unit)
toward_distill, toward_task = max(0.0, 1.0 / ratio - cosine), max(0.0, ratio - cosine)
total = toward_distill + toward_task
least = toward_distill / total if toward_distill != toward_task else 0.5
self.weight = least / (least + (1.0 - least) * math.exp(unit))
""",
        )
    return _SIMPLE.get(policy.family)


def _threshold(on_cosine: bool, margin: bool) -> Response:
    name = "cosine" if on_cosine else "log_ratio"
    middle = "THRESHOLD" if on_cosine else "math.log(THRESHOLD)"
    if not margin:
        return Response((name,), f"self.weight = ABOVE if {name} > {middle} else BELOW")
    half = "HYSTERESIS" if on_cosine else "math.log1p(HYSTERESIS)"
    return Response(
        (name,),
        f"""
if self.above is None:
    self.above = {name} > {middle}
elif {name} > {middle} + {half}:
    self.above = True
elif {name} <= {middle} - {half}:
    self.above = False
self.weight = ABOVE if self.above else BELOW
""",
        ("self.above = None",),
    )
