"""Numbers a search's trials by their places, so that a trial keeps its number when the search grows."""

from __future__ import annotations

from search.settings import CONSTANT_FAMILY, SearchConfig


class TrialNumbers:
    """The numbers of a search's trials, from 1.

    Rules come first, round by round, and then constants. A search that has grown has one such block of numbers for each
    of its sizes: what a size adds to the earlier ones comes after them.

    Args:
        config: of the search.
    """

    def __init__(self, config: SearchConfig) -> None:
        students = tuple(config.students)
        self._rules: dict[tuple[str, str, int], int] = {}
        self._constants: dict[tuple[str, int], int] = {}
        number = 0
        for size in config.sizes:
            families = [family for family in size.families if family != CONSTANT_FAMILY]
            for turn in range(size.trials_per_family):
                for student in students:
                    for family in families:
                        if (student, family, turn) not in self._rules:
                            number += 1
                            self._rules[student, family, turn] = number
            for index in range(size.most_constants):
                for student in students:
                    if (student, index) not in self._constants:
                        number += 1
                        self._constants[student, index] = number
        self._turns = {number: turn for (_, _, turn), number in self._rules.items()}

    def rule(self, student: str, family: str, turn: int) -> int:
        """Return the number of a family's trial in a student's round, from 0."""
        return self._rules[student, family, turn]

    def constant(self, student: str, index: int) -> int:
        """Return the number of a student's constant by its place in their sequence, from 0."""
        return self._constants[student, index]

    def turn(self, number: int) -> int | None:
        """Return the round of a rule's trial, from 0; None for a constant's number."""
        return self._turns.get(number)
