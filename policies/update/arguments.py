"""Checks the arguments of a balancer before anything is trained."""

from __future__ import annotations

import math
import numbers
import operator
import os

from policies.errors import PolicyError
from policies.guard import Guard
from policies.policy import Policy


def check_policy(policy: object) -> None:
    """Raises PolicyError if it is no policy; the message says how to make one from a file, a name or a class."""
    if isinstance(policy, Policy):
        return
    if isinstance(policy, os.PathLike) or (isinstance(policy, str) and policy.endswith(".json")):
        remedy = f"for a file, call `LossBalancer.from_file({os.fspath(policy)!r}, student)`"
    elif isinstance(policy, str):
        remedy = f"for a family, pass `create_policy({policy!r})`; for a file, call `LossBalancer.from_file`"
    elif isinstance(policy, type) and issubclass(policy, Policy):
        remedy = f"for the class, pass an object of it, `{policy.__name__}()`"
    else:
        remedy = "create one with `create_policy` or `load_policy`"
    found = policy if isinstance(policy, str | type) else type(policy)
    raise PolicyError(f"`policy` must be a policy, but got {found!r}; {remedy}.")


def check_total_steps(total_steps: object, policy: Policy) -> int | None:
    """Return the number of updates as an int; None if it is not given and not needed.

    Raises:
        PolicyError: it is needed and missing, or is not a whole number of at least 1.
    """
    if total_steps is None:
        if "progress" in policy.needs:
            raise PolicyError(
                f"`{policy.family}` reads progress, so `total_steps` must be given: epochs times updates per epoch."
            )
        return None
    try:
        count = operator.index(total_steps)  # type: ignore[arg-type]  # any object
    except TypeError:
        raise PolicyError(
            f"`total_steps` must be a whole number, but got {total_steps!r}; give epochs times updates per epoch."
        ) from None
    if count < 1:
        raise PolicyError(f"`total_steps` must be at least 1, but got {count}.")
    return count


def check_temperature(temperature: object) -> None:
    """Raises PolicyError if it is not a positive, finite number."""
    if not isinstance(temperature, numbers.Real) or isinstance(temperature, bool):
        raise PolicyError(f"`temperature` must be a number, but got {temperature!r}.")
    if not 0.0 < float(temperature) < math.inf:
        raise PolicyError(f"`temperature` must be positive and finite, but got {temperature!r}.")


def check_guard(guard: object) -> None:
    """Raises PolicyError if it is neither a guard nor 'default' nor None."""
    if guard is None or guard == "default" or isinstance(guard, Guard):
        return
    raise PolicyError(f"`guard` must be a `policies.guard.Guard`, 'default', or None for no guard, but got {guard!r}.")


def check_decide_on(decide_on: object) -> None:
    """Raises PolicyError if it is neither 'update' nor 'first'."""
    if decide_on not in ("update", "first"):
        raise PolicyError(f"`decide_on` must be 'update' or 'first', but got {decide_on!r}.")
