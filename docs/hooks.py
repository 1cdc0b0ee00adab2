"""Hooks that let MkDocs build the site from pages that GitHub shows as they are.

- A link that leaves docs/, such as `../examples/my_rules.py`, leads to a page of the site that shows that file.
- A heading's anchor is the one that GitHub makes of it.
- MkDocs wants a list item's further lines indented by four spaces, GitHub by the column of the item's text.
"""

from __future__ import annotations

import pathlib
import posixpath
import re
import unicodedata
from typing import Any

LINK = re.compile(r"(?<=\]\()(?:\.\./)+[^)#\s]+")
LOCAL = re.compile(r"!?\[([^\]]*)\]\((?!https?:)[^)]*\)")
KEPT = ("L", "M", "Nd", "Pc")
"""Unicode's categories of letters, marks, digits and `_`, which GitHub keeps in an anchor."""
ITEM = re.compile(r"([-*+]|\d+[.)]) +")


def github_anchor(heading: str, separator: str = "-") -> str:
    """Return the anchor of a heading's text."""
    kept = (c for c in heading.strip().lower() if c in " -" or unicodedata.category(c).startswith(KEPT))
    return "".join(kept).replace(" ", separator)


def shown_as(link: str, source: str, docs: pathlib.Path) -> str | None:
    """Return the page that shows a linked file from outside docs/, or None if the link leads to no such file.

    Args:
        link: the relative link.
        source: the path, inside docs/, of the page that has the link.
        docs: the folder docs/.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    outside = path.startswith("../") and not path.startswith("../../") and (docs / path).is_file()
    return f"files/{path.removeprefix('../')}.md" if outside else None


def with_wide_lists(markdown: str) -> str:
    """Indent what belongs to a list's item by four spaces a level, and part items from the paragraphs before them."""
    columns: list[int] = []  # at which the text of the open items begins, from the outermost item in
    lines: list[str] = []
    before = fence = ""
    after_paragraph = False
    for line in markdown.splitlines():
        text = line.lstrip(" ")
        column, depth = len(line) - len(text), len(columns)
        while text and not fence and columns and column < columns[-1]:
            columns.pop()
        levels, start = len(columns), columns[-1] if columns else 0
        item = ITEM.match(text) if not fence and column - start < 4 else None
        if item and item[1] not in ("-", "*", "+", "1.") and before and levels == depth:
            item = None  # a paragraph's line that happens to begin with a number
        if item:
            lines += [""] if before and after_paragraph else []
            columns.append(column + item.end())
            column = start
        elif text.startswith("```") and fence in ("", text):
            fence = "" if fence else re.match("`+", text)[0]
        if item or not before:
            after_paragraph = item is None
        lines.append(" " * (4 * levels + column - start) + text if text else "")
        before = text
    return "\n".join(lines)


def on_config(config: Any) -> None:
    """Set the anchors."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = github_anchor


def on_files(files: Any, config: Any) -> None:
    """Add a page for every file that a page links outside docs/."""
    from mkdocs.structure.files import File, InclusionLevel

    docs = pathlib.Path(config.docs_dir)
    for source in files.documentation_pages():
        for link in LINK.findall(source.content_string):
            page = shown_as(link, source.src_uri, docs)
            if page is None or files.get_file_from_path(page) is not None:
                continue
            name = page.removeprefix("files/").removesuffix(".md")
            path = docs.parent / name
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".md":
                text = LOCAL.sub(r"\1", text)  # its own links lead nowhere from here
            else:
                text = f"# `{name}`\n\n````{path.suffix[1:] or 'text'}\n{text}````\n"
            files.append(File.generated(config, page, content=text, inclusion=InclusionLevel.NOT_IN_NAV))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001
    """Turn links to files outside docs/ into links to the pages that show them, and widen lists."""

    def target(link: re.Match[str]) -> str:
        shown = shown_as(link[0], page.file.src_uri, pathlib.Path(config.docs_dir))
        return link[0] if shown is None else posixpath.relpath(shown, posixpath.dirname(page.file.src_uri) or ".")

    return with_wide_lists(LINK.sub(target, markdown))
