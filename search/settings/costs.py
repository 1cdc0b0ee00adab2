"""What a search may weigh against the score. Imports no torch."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Cost: TypeAlias = Literal["complexity", "parameters", "flops"]
"""Of a rule: the numbers that it needs. Of a student: its trainable parameters, and the FLOPs of one picture."""
COSTS: tuple[Cost, ...] = get_args(Cost)

COST_TITLES: dict[Cost, str] = {
    "complexity": "numbers in the rule",
    "parameters": "parameters of the student",
    "flops": "FLOPs of the student",
}
