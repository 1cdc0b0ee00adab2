"""The common scale of methods whose published weights do not add up to 1."""

from __future__ import annotations

import dataclasses

from policies.parameter import choice


@dataclasses.dataclass(kw_only=True, eq=False)
class PublishedScale:
    """Says whether a rule steps at unit length or at the length that its method was published with.

    A unit length separates an effect of λ from one of the learning rate.
    """

    scale: str = choice(
        "unit",
        options=("unit", "published"),
        searched=False,
        meaning="common factor s: 1, or the sum of the published weights, which also changes the step's length",
    )

    def _scale_in_words(self) -> str:
        return ", at the length that the method was published with" if self.scale == "published" else ""
