"""A function or class of the user's own as a part of a pictures task: its name and the text of its file.

Student, teacher, data and augmentation may each be one. The text travels with the settings. Imports no torch.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from policies.errors import KDPolicySearchError, nearest
from policies.extensions import told
from policies.own_file import line_in, load_module
from trainables.errors import ConfigError

_OWN = re.compile(r"[^:]+\.py:[^\W\d]\w*")
_Result = TypeVar("_Result")


def is_own(name: str) -> bool:
    """Tell whether a name is FILE.py:NAME, a part of the user's own."""
    return _OWN.fullmatch(name) is not None


def own_object(origin: str, source: str, what: str) -> Callable[..., Any]:
    """Return the function or class that an origin names in a file's text; the same text gives the same object.

    Args:
        origin: `my_model.py:TinyNet`.
        source: the file's text.
        what: the kind of part, for messages.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: the text is missing, or the file has no such function or class.
    """
    file, _, name = origin.rpartition(":")
    if not source:
        raise ConfigError(
            f"the {what} {origin} comes without the text of {file}; let `search.settings.load_config` read the search"
            " file, which reads this file, too."
        )
    module = load_module(file, source)
    found = vars(module).get(name)
    if not callable(found):
        own = [
            key
            for key, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__ and not key.startswith("_")
        ]
        raise ConfigError(
            f"{file} has no function or class {name!r}; found in it: {', '.join(own) or 'none'}.{nearest(name, own)}"
        )
    own_part: Callable[..., Any] = found
    return own_part


def check_call(function: Callable[..., Any], origin: str, given: tuple[str, ...], options: Mapping[str, Any]) -> None:
    """Check that a function or class takes the arguments that it will get.

    Args:
        function: the function or class.
        origin: its name, for messages.
        given: the names of the positional arguments.
        options: further arguments, by name.

    Raises:
        ConfigError: it does not take them; the message names the option or the argument.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some classes written in C have none
        return
    keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = signature.parameters.values()
    taken = [parameter.name for parameter in parameters if parameter.kind in keyword][len(given) :]
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    for option in options:
        if option not in taken and not anything:
            raise ConfigError(
                f"{origin} takes no option {option!r}; its options: {', '.join(taken) or 'none'}."
                f"{nearest(option, taken)}"
            )
    try:
        signature.bind(*given, **options)
    except TypeError as error:
        arguments = ", ".join((*given, *(f"{name}={value!r}" for name, value in options.items())))
        raise ConfigError(
            f"{origin} is called as {origin.rpartition(':')[2]}({arguments}), which does not fit its arguments"
            f" {signature}: {error}; give the missing ones as `options`, or change the arguments."
        ) from error


def call_own(origin: str, what: str, function: Callable[[], _Result], error_type: type[KDPolicySearchError]) -> _Result:
    """Call code of the user's own.

    Args:
        origin: `my_model.py:TinyNet`.
        what: what is done, for messages, such as "building the model".
        function: calls it.
        error_type: the type of the error that is raised in place of the user's.

    Raises:
        KDPolicySearchError: it fails; the message names file, line and error.
    """
    try:
        return function()
    except KDPolicySearchError:
        raise
    except Exception as error:  # whatever the user's own code raises
        where = line_in(origin.rpartition(":")[0], error)
        raise error_type(f"{what} by {origin} failed{where}: {told(error)}.") from error
