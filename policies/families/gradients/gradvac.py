"""Pulls gradients that agree less than before back to their earlier agreement."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.mixing import ScaledPolicy, in_words
from policies.geometry import Geometry
from policies.measuring import kept_share
from policies.parameter import real
from policies.policy import Decision, State

# The published program's guard against a target of exactly 1.
_SMALLEST_SINE = 1e-8


@dataclasses.dataclass(kw_only=True, eq=False)
class GradVac(ScaledPolicy):
    """w_d = 1 + k/r, w_t = 1 + k·r, k = (φ̂√(1-ρ²) - ρ√(1-φ̂²))/√(1-φ̂²) while ρ < φ̂, else 0.

    Each gradient gets as much of the other as makes their cosine the target φ̂. The target is a running mean of ρ that
    starts at 0 and keeps 1-β of itself at each measurement. A target that stays at 0 is PCGrad.

    Since the target is itself a mean, the readings are not smoothed unless `smoothing` is set.

    Source: Wang et al. 2021 (arXiv 2010.05874). They keep a target for each group of parameters; here one target covers
    all that are measured.
    """

    family: ClassVar[str] = "gradvac"
    source: ClassVar[str] = "Gradient Vaccine for two losses, arXiv 2010.05874"

    smoothing: float = kept_share(0.0, searched=False)
    decay: float = real(
        0.01,
        low=0.0,
        high=1.0,
        search=(0.01, 0.5),
        log=True,
        tie="steps",
        meaning="β: how fast the target follows the cosine",
    )

    def _begin(self) -> None:
        super()._begin()
        self._target = 0.0

    def of_pair(self, geometry: Geometry) -> Decision:
        cosine, target = geometry.cosine, self._target
        self._target = (1.0 - self.decay) * target + self.decay * cosine
        ratio, pull = geometry.norm_ratio, 0.0
        if cosine < target:
            sine = max(math.sqrt(1.0 - target * target), _SMALLEST_SINE)
            pull = target * math.sqrt(1.0 - cosine * cosine) / sine - cosine
        words = f"{in_words(geometry)}, target {target:.3f}"
        return self.mix(1.0 + pull / ratio, 1.0 + pull * ratio, words, branch=int(cosine < target))

    def rule(self) -> str:
        return (
            "λ = 0.5 while the gradients' cosine is not below its running mean"
            f" (which moves {self.decay:.3g} of the way each time); else each gradient gets as much of the other as"
            f" brings the cosine back to it ({self._measuring_in_words()}{self._scale_in_words()})."
        )

    def state_dict(self) -> State:
        return {**super().state_dict(), "target": self._target}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._target = state["target"]
