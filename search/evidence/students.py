"""Compares several students: the cost of each, its best rule, and its own best constant."""

from __future__ import annotations

from search.evidence.ranking import BestTrial, PairedDifference, compare_to_constant, rank_families
from search.records import SearchRecord, StudentSize
from trainables.settings import Settings


class StudentRow(Settings):
    """One student with its best rule and best constant. Scores are the search's own, on the validation pictures."""

    name: str
    size: StudentSize | None
    """The student's size; None where it is not known."""
    family: str | None
    """Family of the best trial; None while no trial has finished."""
    best: BestTrial | None
    """The best trial; None while none has finished."""
    constant: BestTrial | None
    difference: PairedDifference | None
    """The best rule other than a constant, minus the best constant, with this student."""


def compare_students(search: SearchRecord) -> tuple[StudentRow, ...]:
    """Return a row for each student, in the order of the search file; empty if there is one student only."""
    sizes = {size.name: size for size in search.student_sizes}
    names = list(dict.fromkeys([*sizes, *search.students]))
    return tuple(_row(search.of_student(name), name, sizes.get(name)) for name in names) if len(names) > 1 else ()


def _row(search: SearchRecord, name: str, size: StudentSize | None) -> StudentRow:
    first = next((family for family in rank_families(search) if family.best is not None), None)
    comparison = compare_to_constant(search)
    return StudentRow(
        name=name,
        size=size,
        family=first.family if first else None,
        best=first.best if first else None,
        constant=comparison.constant,
        difference=next(iter(comparison.differences), None),
    )
