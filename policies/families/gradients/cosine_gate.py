"""λ grows with the agreement of teacher and labels, and is 0 where they conflict."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.mixing import ScaledPolicy, in_words
from policies.geometry import Geometry
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class CosineGate(ScaledPolicy):
    """w_d = max(0, ρ), w_t = 1, so λ = ρ₊/(1 + ρ₊): from 0 for gradients that conflict to ½ for parallel ones.

    Source: the weighted form of Du et al. 2018 (arXiv 1812.02224), the teacher as the auxiliary task; its hard form is
    `cosine_threshold` at 0.
    """

    family: ClassVar[str] = "cosine_gate"
    source: ClassVar[str] = "weighted gradient cosine similarity, arXiv 1812.02224"

    def of_pair(self, geometry: Geometry) -> Decision:
        agreement = max(0.0, geometry.cosine)
        return self.mix(agreement, 1.0, in_words(geometry), branch=int(agreement > 0.0))

    def rule(self) -> str:
        return (
            "λ = ρ/(1 + ρ) while the gradients' cosine ρ is positive, else 0"
            f" ({self._measuring_in_words()}{self._scale_in_words()})."
        )
