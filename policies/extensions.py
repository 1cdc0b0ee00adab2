"""Registers rules from outside this package: those of a program and those that installed packages provide."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import re
import sys
import traceback
from typing import TypeVar

from policies.aliases import ALIASES
from policies.errors import PolicyError
from policies.families import FAMILIES
from policies.policy import BatchPolicy, Policy
from policies.sample import SamplePolicy

ENTRY_POINTS = "kd_policy_search.policies"
"""The entry-point group in which packages provide rules; each entry point has the name of its family."""

FILE = "__kd_policy_file__"
"""The global variable that names the user's file in a module made from that file's text."""

_Class = TypeVar("_Class", bound=type[Policy])


def register_policy(policy: _Class) -> _Class:
    """Make a rule known by its family, as if it were built in; usable as a decorator, above `dataclass`.

    A class replaces its earlier version if it is defined again under its own name (in a notebook, say) or its file has
    changed.

    Raises:
        PolicyError: the class is not a complete rule, does not say where it comes from or what it does, or its family's
            name is taken.
    """
    check_class(policy)
    known = FAMILIES.get(policy.family)
    if policy.family in ALIASES or (known is not None and not _is_version_of(policy, known)):
        taken = f"an alias of `{ALIASES[policy.family][0]}`" if known is None else _name(known)
        raise PolicyError(
            f"`{policy.__name__}.family` must be a new name, but {policy.family!r} is taken by {taken}; choose another."
        )
    FAMILIES[policy.family] = policy
    return policy


def check_class(policy: object) -> None:
    """Make sure that an object is a complete rule.

    Raises:
        PolicyError: it is not; the message says what is missing.
    """
    if not isinstance(policy, type) or not issubclass(policy, BatchPolicy | SamplePolicy):
        raise PolicyError(
            f"{policy!r} is not a rule; it must be a class derived from policies.BatchPolicy (one λ per step) or"
            " policies.SamplePolicy (one λ for each sample)."
        )
    name = policy.__name__
    if inspect.isabstract(policy):
        missing = ", ".join(f"`{method}`" for method in sorted(policy.__abstractmethods__))
        raise PolicyError(f"`{name}` is not complete; define {missing}.")
    if any(isinstance(value, dataclasses.Field) for value in vars(policy).values()):
        raise PolicyError(
            f"`{name}` declares parameters, so put @dataclasses.dataclass(kw_only=True, eq=False) above it."
        )
    family = getattr(policy, "family", None)
    if not isinstance(family, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", family):
        raise PolicyError(
            f"`{name}.family` must be a name of lower-case letters, digits and '_', but got {family!r}; set it in the"
            ' class: family: ClassVar[str] = "my_rule".'
        )
    source = getattr(policy, "source", None)
    if not isinstance(source, str) or not source.strip():
        raise PolicyError(
            f"`{name}.source` must say where the rule comes from (a paper, a person), but got {source!r}."
        )
    if not policy.__doc__ or policy.__doc__.startswith(f"{name}("):  # `dataclass` writes this if there is no docstring
        raise PolicyError(f"`{name}` must have a docstring whose first line says what the rule does.")
    try:
        policy.from_parameters({})
    except Exception as error:  # whatever the user's own code raises
        raise PolicyError(
            f"`{name}` cannot be created with its parameters' defaults: {told(error)}. Declare every field with"
            " `real`, `integer` or `choice` of policies.parameter."
        ) from error


def origin_of(policy: type[Policy]) -> str | None:
    """Return the origin of a user's own rule, `my_rules.py:MyRule` or `package.module:MyRule`; else None."""
    if policy.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return None
    return f"{_file_of(policy) or policy.__module__}:{policy.__qualname__}"


def installed_families() -> list[str]:
    """List the families that installed packages provide, by the names of their entry points; load nothing."""
    return [point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)]


def load_installed(family: str) -> type[Policy]:
    """Load and register the family that an installed package provides.

    Raises:
        PolicyError: it cannot be loaded, is not a complete rule, or has another name than its entry point.
    """
    (point, *_) = importlib.metadata.entry_points(group=ENTRY_POINTS, name=family)
    package = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
    where = f"the entry point {point.name} = {point.value!r}{package}"
    try:
        policy = point.load()
        check_class(policy)
        if policy.family != point.name:
            raise PolicyError(f"it must be named like its family, {policy.family!r}.")
        registered: type[Policy] = register_policy(policy)
    except Exception as error:  # whatever the package's code raises
        reason = str(error) if isinstance(error, PolicyError) else f"{told(error)}."
        raise PolicyError(f"{where} provides no rule: {reason} Fix or uninstall the package.") from error
    return registered


def load_all_installed() -> dict[str, str]:
    """Load every family that installed packages provide; return the errors of those that fail, by name."""
    problems = {}
    for family in installed_families():
        if family in FAMILIES and origin_of(FAMILIES[family]) is not None:
            continue
        try:
            load_installed(family)
        except PolicyError as error:
            problems[family] = str(error)
    return problems


def _is_version_of(policy: type[Policy], known: type[Policy]) -> bool:
    if policy is known or (policy.__module__, policy.__qualname__) == (known.__module__, known.__qualname__):
        return True
    return _file_of(policy) is not None and _file_of(known) is not None


def _file_of(policy: type[Policy]) -> str | None:
    """The user's file that a class was loaded from."""
    file: str | None = vars(sys.modules.get(policy.__module__, sys)).get(FILE)
    return file


def _name(policy: type[Policy]) -> str:
    return f"{policy.__module__}.{policy.__qualname__}"


def told(error: BaseException) -> str:
    """Return an error in one line, without a full stop: the first line of its text, which the others explain."""
    lines = [line for line in "".join(traceback.format_exception_only(error)).strip().splitlines() if line.strip()]
    return lines[-1 if isinstance(error, SyntaxError) else 0].rstrip(".")
