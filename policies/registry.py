"""Finds policies by the names of their families: built in, registered by a program, or of an installed package."""

from __future__ import annotations

from typing import Any

from policies.aliases import ALIASES, meaning
from policies.errors import PolicyError, nearest
from policies.extensions import installed_families, load_installed
from policies.families import FAMILIES
from policies.policy import Policy


def policy_class(family: str) -> type[Policy]:
    """Return the class of a family, also by an alias of `policies.aliases`.

    A name that is not known here is looked up among the entry points of installed packages.

    Raises:
        PolicyError: no family has this name; the message names the nearest one.
    """
    target = ALIASES[family][0] if family in ALIASES else family
    if target in FAMILIES:
        return FAMILIES[target]
    installed = installed_families()
    if target in installed:
        return load_installed(target)
    known = list(dict.fromkeys([*FAMILIES, *installed]))
    hint = nearest(family, [*known, *ALIASES])
    raise PolicyError(f"there is no policy family {family!r}; known: {', '.join(known)}.{hint}")


def create_policy(family: str, parameters: dict[str, Any] | None = None) -> Policy:
    """Create a policy of a family; parameters that are not named take their defaults.

    An alias gives a policy of the family that it stands for, with the parameters that it fixes.

    Raises:
        PolicyError: an unknown family or parameter, an invalid value, or another value for what an alias fixes.
    """
    values = dict(parameters or {})
    if family in ALIASES:
        for name, fixed in ALIASES[family][1].items():
            if values.setdefault(name, fixed) != fixed:
                raise PolicyError(
                    f"`{family}` is an alias of {meaning(family)}, but got {name}={values[name]!r}; leave it out, or"
                    f" use `{ALIASES[family][0]}` for another value."
                )
    return policy_class(family).from_parameters(values)
