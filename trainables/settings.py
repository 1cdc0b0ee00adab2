"""The base of every settings class: frozen, strict about names, and clear about mistakes."""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import pydantic
from pydantic_core import CoreSchema, core_schema

from policies.errors import KDPolicySearchError, nearest
from trainables.errors import ConfigError

_IN_A_SEARCH_FILE = {
    "model_type": "should be a table of settings",
    "dict_type": "should be a table of settings",
    "tuple_type": "should be a list, in brackets",
    "int_type": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "string_type": "should be text",
}
"""The expected value, by pydantic's kind of error, where search files name it differently from Python."""


class _NoBool:
    """Refuses true and false before a list of constants, in which true would match 1.

    Args:
        expected: the constants.
    """

    def __init__(self, expected: Sequence[Any]) -> None:
        self._expected = " or ".join(map(repr, expected))

    def __call__(self, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError(f"should be {self._expected}")
        return value


def _make_numbers_strict(schema: Any) -> None:
    """Make the numbers in a pydantic schema and in all its parts strict, in place."""
    if isinstance(schema, list | tuple):
        for part in schema:
            _make_numbers_strict(part)
    elif isinstance(schema, dict):
        kind = schema.get("type")
        if kind in ("int", "float"):
            schema["strict"] = True
        elif kind == "literal" and not any(isinstance(value, bool) for value in schema["expected"]):
            literal = core_schema.literal_schema(schema["expected"])
            schema.clear()
            schema.update(core_schema.no_info_before_validator_function(_NoBool(literal["expected"]), literal))
        elif kind != "function-before" or not isinstance(schema["function"]["function"], _NoBool):
            for key, part in schema.items():
                if key not in ("default", "metadata", "keys_schema"):  # JSON has no keys but text
                    _make_numbers_strict(part)


class Settings(pydantic.BaseModel):
    """A frozen group of settings in which an unknown key is an error, and true, false or text are no numbers."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    _later: ClassVar[frozenset[str]] = frozenset()
    """The fields that a later release added."""

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Restore a pickle; one of an earlier release gets the defaults of later fields."""
        super().__setstate__(state)
        for name, field in type(self).model_fields.items():
            if name not in self.__dict__ and not field.is_required():
                self.__dict__[name] = field.get_default(call_default_factory=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: pydantic.GetCoreSchemaHandler) -> CoreSchema:
        """Build pydantic's schema with strict numbers; `strict` for all would refuse the lists of a search file."""
        schema = handler(source)
        _make_numbers_strict(schema)
        return schema

    @classmethod
    def parse(cls, values: dict[str, Any], section: str = "") -> Self:
        """Check plain values and return them as settings.

        Args:
            values: the values by name.
            section: their place in the file, for messages, such as `student.options`.

        Raises:
            ConfigError: names every wrong field, the rule it breaks, the value found and, for an unknown key, the
                nearest known one.
        """
        try:
            return cls.model_validate(values)
        except pydantic.ValidationError as error:
            raise ConfigError("\n".join(text for _, text in problems_of(cls, error, section))) from error


def identity_of(settings: Settings) -> dict[str, Any]:
    """Return plain values for keys of caches, without later fields at their defaults, so that earlier keys hold."""
    fields = type(settings).model_fields
    usual = {name for name in settings._later if getattr(settings, name) == fields[name].default}
    return settings.model_dump(mode="json", exclude=usual)


def problems_of(
    model: type[pydantic.BaseModel], error: pydantic.ValidationError, section: str = ""
) -> list[tuple[str, str]]:
    """List what pydantic found wrong in a model's values, as a search file names it.

    Returns:
        Pairs of the model's field, empty for a rule on several, and a sentence.
    """
    return [
        (str(problem["loc"][0]) if problem["loc"] else "", _explain(model, problem, section))
        for problem in error.errors()
    ]


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
        known, name = _fields_at(root, location[:-1]), str(location[-1])
        inside = [f"{outer}.{name}" for outer in known if name in _fields_at(root, (*location[:-1], outer))]
        meant = f" Did you mean {inside[0]!r}?" if len(inside) == 1 else nearest(name, known)
        return f"`{field}` is not a known setting; known here: {', '.join(known)}.{meant}"
    if problem["type"] == "missing":
        return f"`{field}` is missing; it must be given."
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = _IN_A_SEARCH_FILE.get(problem["type"], message)
    message = message.replace("Tuple should have", "should have").removesuffix(" after validation, not 0")
    return f"`{field}` {message[0].lower()}{message[1:]}, but got {problem['input']!r}."


def _is_tag(part: object) -> bool:
    """Tell whether a part of a location names a union's branch; by our convention such a name is in brackets."""
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
