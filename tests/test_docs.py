"""The pages agree with each other, with the site's table of contents, and with the code that they name."""

import ast
import functools
import importlib.util
import itertools
import pathlib
import re
import shlex
from collections.abc import Iterator

import pytest
import yaml

from policies.errors import KDPolicySearchError
from search.cli.program import COMMANDS, cli
from search.recipes import recipe_names
from search.settings.search_file import load_config

ROOT = pathlib.Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
HISTORY = {DOCS / "LOG.md", ROOT / "CHANGELOG.md"}
"""Pages that name modules, settings and commands as they were."""
TODAY = [page for page in PAGES if page not in HISTORY]
FENCE = re.compile(r"^( *)(```+)(\w*)\n(.*?)^\1\2$", flags=re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
CODE = ("policies", "trainables", "search", "tests", "benchmarks", "checks", "examples", "deploy", "docs")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
each_page_of_today = pytest.mark.parametrize("page", TODAY, ids=lambda page: str(page.relative_to(ROOT)))


@functools.cache
def text_of(page: pathlib.Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: pathlib.Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", text_of(page))


def blocks_of(page: pathlib.Path) -> list[tuple[str, str]]:
    """Return language and text of a page's code blocks."""
    return [(language, block) for _, _, language, block in FENCE.findall(text_of(page))]


def spans_of(page: pathlib.Path) -> list[str]:
    """Return what stands between backticks in a page's prose."""
    return [span.replace("\n", " ") for span in INLINE.findall(prose_of(page))]


# Links


@functools.cache
def hooks():
    found = importlib.util.spec_from_file_location("docs_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@functools.cache
def anchors_of(page: pathlib.Path) -> set[str]:
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", prose_of(page), flags=re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = hooks().github_anchor(re.sub(r"(?<!\w)[*_]+|[*_]+(?!\w)|`", "", shown))
        numbered = (f"{anchor}-{number}" for number in itertools.count(1))
        anchors.add(anchor if anchor not in anchors else next(name for name in numbered if name not in anchors))
    return anchors


@each_page
def test_every_link_leads_to_a_file_and_a_heading(page):
    prose = INLINE.sub("", prose_of(page))
    links = re.findall(r"\]\(([^)\s]+)[^)]*\)", prose) + re.findall(r"^\[[^\]]+\]: (\S+)", prose, flags=re.MULTILINE)
    broken = []
    for link in links:
        if re.match(r"[a-z]+:", link):  # https:, mailto:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Larger than memory", "larger-than-memory"),
        ("`torch.compile`", "torchcompile"),
        ("Best λ: why?", "best-λ-why"),
        ("5. Watch, stop, go on", "5-watch-stop-go-on"),
        ("One — two", "one--two"),
        ("a_b² & c-d", "a_b--c-d"),
    ],
)
def test_an_anchor_is_the_one_that_github_makes(heading, anchor):
    assert hooks().github_anchor(heading) == anchor


# The site


def test_the_sites_contents_list_every_page_once():
    def pages(entry) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(inner)

    contents = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(contents) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    ("page", "wide"),
    [
        ("- a\n  b\n\n  c", "- a\n    b\n\n    c"),
        ("1. a\n   - b\n     c\n2. d", "1. a\n    - b\n        c\n2. d"),
        ("a\n- b\n- c", "a\n\n- b\n- c"),
        ("1. a\n\n   b\n2. c", "1. a\n\n    b\n\n2. c"),
        ("about\n36. Then", "about\n36. Then"),
        ("- a\n\n  ```\n    - b\n  ```\n\nc", "- a\n\n    ```\n      - b\n    ```\n\nc"),
        ("```\n- a\n  - b\n```", "```\n- a\n  - b\n```"),
        ("    code\n    - code", "    code\n    - code"),
    ],
)
def test_the_site_shows_the_lists_that_github_shows(page, wide):
    assert hooks().with_wide_lists(page) == wide


# Commands


def lines_of(page: pathlib.Path, *but: str) -> list[str]:
    """Return the lines of a page's code blocks, but for some languages, and what stands between backticks."""
    blocks = [text.replace("\\\n", " ") for language, text in blocks_of(page) if language not in but]
    return [*spans_of(page), *itertools.chain.from_iterable(map(str.splitlines, blocks))]


def commands_in(page: pathlib.Path) -> Iterator[list[str]]:
    """Yield the words after each `kd-search` of a page."""
    for line in lines_of(page, "python"):
        for command in re.findall(r"(?<![\w/.-])kd-search( [^|>;&]*)?", line):
            try:
                yield shlex.split(command, comments=True)
            except ValueError:  # an apostrophe in printed text
                yield command.split()


def options_of(command: str) -> set[str]:
    found = cli.get_command(None, command)
    assert found is not None, f"there is no command {command}"
    return {"-h", "--help"} | {name for option in found.params for name in (*option.opts, *option.secondary_opts)}


@each_page_of_today
def test_every_command_and_option_exists(page):
    for words in commands_in(page):
        if not words or words[0] in ("--help", "--version", "COMMAND"):
            continue
        given = {word.strip("[].,:").partition("=")[0] for word in words[1:] if re.match(r"\[?--?[a-zA-Z]", word)}
        assert given <= options_of(words[0]), words


@each_page_of_today
def test_every_setting_that_a_command_sets_exists(page):
    for line in lines_of(page, "text"):  # "text" is printed, or typed in an earlier release
        settings = [quoted or plain for quoted, plain in re.findall(r"--set (?:'([^']+)'|([a-z][\w.]*=[^\s]+))", line)]
        named = [word for word in line.split() if word in recipe_names()]
        reasons = []
        for recipe in named[:1] or recipe_names():  # `mine.toml` may be any of them
            try:
                load_config(recipe, settings)
                break
            except KDPolicySearchError as error:
                reasons.append(str(error))
        else:
            pytest.fail(f"{line}: {reasons[0]}")


def test_the_readme_shows_every_command():
    shown = {words[0] for words in commands_in(ROOT / "README.md") if words}
    beside = {span.split()[0] for span in spans_of(ROOT / "README.md")}  # "then `status`, `logs -f`, `stop`"
    assert {name for section in COMMANDS.values() for name in section} <= shown | beside


@each_page_of_today
def test_every_recipe_that_is_printed_exists(page):
    named = {words[1] for words in commands_in(page) if words[:1] == ["recipes"] and len(words) > 1}
    assert {name for name in named if name.islower()} <= {*recipe_names()}


@each_page_of_today
def test_every_target_of_make_exists(page):
    known = {*re.findall(r"^([\w-]+):", text_of(ROOT / "Makefile"), flags=re.MULTILINE)}
    named = [re.match(r"make (?:\w+=\S+ )*([a-z][\w-]*)", line) for line in lines_of(page)]
    assert {target[1] for target in named if target} <= known


# Modules


@functools.cache
def names_in(module: pathlib.Path) -> set[str]:
    """Return what a module or a package's face defines or imports."""
    names: set[str] = set()
    for statement in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            names.add(statement.name)
        elif isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
            names |= names_in(ROOT.joinpath(*statement.module.split("."), "__init__.py"))
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names |= {name.asname or name.name for name in statement.names}
        elif isinstance(statement, ast.Name) and isinstance(statement.ctx, ast.Store):
            names.add(statement.id)
    return names


def is_code(dotted: str) -> bool:
    """Tell whether a dotted name is a folder, a module, or what one of them defines."""
    place = ROOT
    for name in dotted.split("."):
        if (place / name).is_dir():
            place = place / name
        elif (place / f"{name}.py").is_file():
            place = place / f"{name}.py"
        else:
            faces = [place] if place.suffix else [place / "__init__.py", place / "__init__.pyi"]
            return any(name in names_in(face) for face in faces if face.is_file())
    return True


@each_page_of_today
def test_every_module_and_file_that_a_page_names_exists(page):
    def exists(word: str) -> bool:
        if re.fullmatch(rf"({'|'.join(CODE)})(\.\w+)+", word) and not re.search(r"\.(json|toml|md|db|py)$", word):
            return is_code(word)
        if re.fullmatch(rf"({'|'.join(CODE)})/[\w./*-]*", word):
            return any(ROOT.glob(word.rstrip("/")))
        return True

    assert [word for word in itertools.chain.from_iterable(map(str.split, spans_of(page))) if not exists(word)] == []


def check_imports(source: str) -> None:
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.ImportFrom) and statement.module.partition(".")[0] in CODE:
            for name in statement.names:
                assert is_code(f"{statement.module}.{name.name}"), ast.unparse(statement)


@each_page_of_today
def test_every_import_on_a_page_works(page):
    for language, block in blocks_of(page):
        if language == "python":
            check_imports(block)


@pytest.mark.parametrize("program", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_every_import_of_a_benchmark_works(program):
    """Benchmarks run seldom, so nothing else would notice."""
    check_imports(program.read_text(encoding="utf-8"))


def test_every_room_in_the_tables_of_the_architecture_exists():
    tables = re.findall(r"^\| `(\w+)/`.*\n\|[- |]+\n((?:\|.*\n)+)", text_of(DOCS / "architecture.md"), re.MULTILINE)
    assert len(tables) == 3
    for folder, rows in tables:
        for row in rows.splitlines():
            for room in INLINE.findall(row.split("|")[1]):
                assert (ROOT / folder / room).exists(), f"{folder}/{room}"
