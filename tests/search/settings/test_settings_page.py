"""docs/settings.md has every setting of a search file, with its default and allowed values, and no other."""

import pathlib
import re
import tomllib
import typing

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from search.recipes import read_recipe, recipe_names
from search.settings.search_file import SearchConfig, load_config
from trainables.config import TeacherSettings
from trainables.models import options
from trainables.models.registry import model_names
from trainables.settings import Settings

DOCS = pathlib.Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "settings.md").read_text(encoding="utf-8")
BOUNDS = {annotated_types.Ge: ("≥", "ge"), annotated_types.Gt: (">", "gt")}
BOUNDS |= {annotated_types.Le: ("≤", "le"), annotated_types.Lt: ("<", "lt")}
OPTIONS = {
    "mlp": options.MLPOptions,
    "cnn": options.CNNOptions,
    "small-resnet": options.SmallResNetOptions,
    "resnet8": options.CIFARResNetOptions,
    "resnet8x4": options.WideCIFARResNetOptions,
    "mobilenetv2-cifar": options.MobileNetOptions,
    "wrn-D-W": options.WideResNetOptions,
}


class Row(typing.NamedTuple):
    default: str
    allowed: str
    meaning: str


def rows(head: str, keys: int) -> dict[tuple[str, ...], Row]:
    """Return the rows of all tables that begin with these headings, by the names in their first columns."""
    found = {}
    for table in re.findall(rf"^\| {re.escape(head)} \|.*\n\|[- |]+\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE):
        for line in table.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            key = tuple(re.findall(r"`([^`]+)`", cell)[0] for cell in cells[:keys])
            assert key not in found, f"{key} stands on the page twice"
            found[key] = Row(*cells[keys:])
    return found


SETTINGS = {key: row for (key,), row in rows("setting", 1).items()}
MODEL_OPTIONS = rows("network | option", 2)


def inner_models(annotation: typing.Any) -> list[type[Settings]]:
    """Return the settings that a field holds itself, not those in its lists and tables."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    if typing.get_origin(annotation) in (tuple, dict, list):
        return []
    return [model for argument in typing.get_args(annotation) for model in inner_models(argument)]


def walk() -> dict[str, FieldInfo]:
    """Return every setting by its dotted name; tables like those of the top level are explained there."""
    found, waiting = {}, [("", SearchConfig)]
    while waiting:
        prefix, model = waiting.pop(0)
        for name, field in model.model_fields.items():
            models = inner_models(field.annotation)  # a range has two forms, and is one setting
            if len(models) == 1 and (not prefix or models[0] not in TOP):
                waiting.append((f"{prefix}{name}.", models[0]))
            else:
                found[f"{prefix}{name}"] = field
    # `true` and a file are values, too.
    whole = {name: SearchConfig.model_fields[name] for name in ("racing", "task", "function")}
    whole["teacher.normalization"] = TeacherSettings.model_fields["normalization"]  # so is a name
    inner = ("task.", "function.", "teacher.normalization.")
    texts = {name for name in found if name.endswith(".source")}  # read from the user's files, never written
    return {name: field for name, field in found.items() if not name.startswith(inner) and name not in texts} | whole


TOP = {model for field in SearchConfig.model_fields.values() for model in inner_models(field.annotation)}
FIELDS = walk()


def test_the_page_has_every_setting_and_no_other():
    assert set(SETTINGS) == set(FIELDS)
    of_models = {(name, option) for name, model in OPTIONS.items() for option in model.model_fields}
    assert set(MODEL_OPTIONS) == of_models
    for name in model_names():
        assert f"`{name}`" in SETTINGS["student.name"].allowed


def literals(annotation: typing.Any) -> list[typing.Any]:
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [value for argument in typing.get_args(annotation) for value in literals(argument)]


def toml(value: typing.Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize(
    ("field", "row"),
    [
        *(pytest.param(FIELDS[key], SETTINGS[key], id=key) for key in FIELDS if key in SETTINGS),
        *(
            pytest.param(OPTIONS[name].model_fields[option], row, id=f"{name}.{option}")
            for (name, option), row in MODEL_OPTIONS.items()
        ),
    ],
)
def test_a_row_gives_the_default_and_what_is_allowed(field, row):
    if field.is_required():
        assert row.default == "required"
    elif (default := field.get_default(call_default_factory=True)) is None:
        assert row.default == "–"
    else:
        shown = tomllib.loads(f"shown = {row.default.strip('`')}")["shown"]
        if isinstance(default, Settings):
            assert shown == {}
            assert default == type(default)()
        else:
            assert shown == (list(default) if isinstance(default, tuple) else default)
    for value in literals(field.annotation):
        assert f"`{toml(value)}`" in row.allowed
    for bound in field.metadata:
        if type(bound) in BOUNDS:
            sign, name = BOUNDS[type(bound)]
            assert re.search(rf"{sign} {re.escape(str(getattr(bound, name)))}(?![\d.])", row.allowed)
    assert row.allowed


def test_examples_of_the_page_are_settings_that_are_taken(tmp_path):
    for number, example in enumerate(re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)):
        file = tmp_path / f"{number}.toml"
        teacher = "" if "[teacher]" in example else '[teacher]\ncheckpoint = "teacher.pt"\nmodel = { name = "cnn" }\n'
        file.write_text(f'name = "mine"\nstudent = {{ name = "mlp" }}\n{teacher}{example}', encoding="utf-8")
        assert load_config(str(file)).name == "mine"


def test_recipes_use_what_the_page_explains():
    def keys(values, prefix=""):
        for key, value in values.items():
            name = f"{prefix}{key}"
            if isinstance(value, dict) and name not in SETTINGS:
                yield from keys(value, f"{name}.")
            else:
                yield name

    for recipe in recipe_names():
        unknown = set(keys(tomllib.loads(read_recipe(recipe)))) - set(SETTINGS)
        assert not unknown, (recipe, unknown)
