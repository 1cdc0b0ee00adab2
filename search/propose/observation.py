"""The plain data that a proposal is computed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from policies.parameter import Value


@dataclasses.dataclass(frozen=True)
class Observation:
    """One trial of a family, as a sampler sees it.

    Attributes:
        parameters: the family's own varying parameters, by name in the suggestion, for example `norm_balance.balance`.
        context: what the trials of its round share, for example `learning_rate` and `temperature`.
        values: (score,) or (score, complexity); None when the trial failed, or when its score is not used yet.
    """

    parameters: Mapping[str, Value]
    context: Mapping[str, Value]
    values: tuple[float, ...] | None = None
