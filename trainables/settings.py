"""The base of every settings class: frozen, strict about names, and clear about mistakes."""

from __future__ import annotations

import types
import typing
from typing import Any, Self

import pydantic

from policies.errors import KDPolicySearchError, nearest
from trainables.errors import ConfigError


class Settings(pydantic.BaseModel):
    """A frozen group of settings in which an unknown key is an error."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any], section: str = "") -> Self:
        """Checked settings from plain values.

        Args:
            values: by name.
            section: where they stand in the file, for messages: `student.options`.

        Raises:
            ConfigError: names every wrong field, the rule it breaks, the value found and, for an unknown key, the
                nearest known one.
        """
        try:
            return cls.model_validate(values)
        except pydantic.ValidationError as error:
            raise ConfigError("\n".join(_explain(cls, problem, section) for problem in error.errors())) from error


def _explain(root: type[pydantic.BaseModel], problem: Any, section: str) -> str:
    location = tuple(part for part in problem["loc"] if not _is_tag(part))
    field = ".".join(str(part) for part in (section, *location) if part != "")
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, KDPolicySearchError):
        return f"`{field}`: {cause}" if field else str(cause)
    if cause is not None and isinstance(problem["input"], dict | pydantic.BaseModel):
        # A rule on several settings: its own words name them and their values.
        rule = str(cause) if str(cause).endswith("?") else f"{cause}."
        return f"`{field}`: {rule}" if field else rule
    if problem["type"] == "extra_forbidden":
        known = _fields_at(root, location[:-1])
        return f"`{field}` is not a known setting; known here: {', '.join(known)}.{nearest(str(location[-1]), known)}"
    if problem["type"] == "missing":
        return f"`{field}` is missing; it must be given."
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] in ("model_type", "dict_type"):
        message = "should be a table of settings"  # which is what search files call it
    return f"`{field}` {message[0].lower()}{message[1:]}, but got {problem['input']!r}."


def _is_tag(part: object) -> bool:
    """Whether a part of a location names a union's branch, which by our convention stands in brackets."""
    return isinstance(part, str) and part.startswith("(")


def _fields_at(root: type[pydantic.BaseModel], path: tuple[Any, ...]) -> list[str]:
    model = root
    for part in path:
        field = model.model_fields.get(str(part))
        inner = _models_in(field.annotation) if field else []
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, typing.Annotated):
        return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]
    return []
