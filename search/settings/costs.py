"""Names the costs that a search may weigh against the score. Imports no torch."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Cost: TypeAlias = Literal["complexity", "parameters", "flops"]
"""A cost: the numbers that a rule needs, a student's trainable parameters, or its FLOPs for one picture."""
COSTS: tuple[Cost, ...] = get_args(Cost)

COST_TITLES: dict[Cost, str] = {
    "complexity": "numbers in the rule",
    "parameters": "parameters of the student",
    "flops": "FLOPs of the student",
}
