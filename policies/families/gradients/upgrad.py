"""Removes from each gradient the part that would make the other loss rise."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.mixing import ScaledPolicy, in_words
from policies.geometry import Geometry
from policies.parameter import real
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class UPGrad(ScaledPolicy):
    """w_d = q + (1-q)m/a, w_t = (1-q) + q·m/b, m = max(0, -c): λ = q until the gradients conflict.

    Each gradient is projected onto the cone of directions that raise neither loss. The projections are averaged with
    the preference q, so a small step raises no loss, whatever q. q = ½ is the direction of PCGrad (arXiv 2001.06782),
    whose weights are twice as large.

    Source: Quinton and Rey 2024 (arXiv 2406.16232), the projection of equation 3 for two losses.
    """

    family: ClassVar[str] = "upgrad"
    source: ClassVar[str] = "UPGrad for two losses, arXiv 2406.16232; PCGrad (2001.06782) at q = ½"

    preference: float = real(0.5, low=0.0, high=1.0, meaning="q: λ while the gradients do not conflict")

    def of_pair(self, geometry: Geometry) -> Decision:
        a, b, c = geometry
        conflict = max(0.0, -c)
        return self.mix(
            self.preference + (1.0 - self.preference) * conflict / a,
            (1.0 - self.preference) + self.preference * conflict / b,
            in_words(geometry),
            branch=int(conflict > 0.0),
        )

    def rule(self) -> str:
        return (
            f"λ = {self.preference:.3g} while the gradients do not conflict; else each gives up its part against the"
            " other before they are averaged in that proportion"
            f" ({self._measuring_in_words()}{self._scale_in_words()})."
        )
