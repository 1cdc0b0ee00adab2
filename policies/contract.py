"""Turns functions that check a user's work into clauses of a contract, whose errors say what is broken and where."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from policies.errors import KDPolicySearchError
from policies.extensions import told

_Subject = TypeVar("_Subject")

Clause: TypeAlias = Callable[[Any], None]
"""A function that takes what is checked, and raises AssertionError if it breaks the clause."""


def clause(
    group: list[Clause], subject: Callable[[Any], _Subject], name_of: Callable[[Any], str]
) -> Callable[[Callable[[_Subject], None]], Clause]:
    """Add a check to a group of clauses, and turn any error in it into a broken clause.

    The message names what is checked and the clause. For an error of the user's own code it also names the line.

    Args:
        group: the clauses.
        subject: turns what is checked into what the check takes.
        name_of: names what is checked.
    """

    def of_group(check: Callable[[_Subject], None]) -> Clause:
        @functools.wraps(check)
        def checked(given: Any) -> None:
            name = name_of(given)
            try:
                check(subject(given))
            except (AssertionError, KDPolicySearchError) as error:
                raise AssertionError(f"`{name}` breaks `{check.__name__}`: {error}") from error
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{frame.filename}, line {frame.lineno} (`{frame.line}`)"
                raise AssertionError(
                    f"`{name}` breaks `{check.__name__}`: {told(error)}; raised in {where}."
                ) from error

        group.append(checked)
        return checked

    return of_group


def require(holds: bool, message: str) -> None:
    """Raise AssertionError with a message if something does not hold; unlike `assert`, also under `python -O`."""
    if not holds:
        raise AssertionError(message)
