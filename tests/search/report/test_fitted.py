import io

import pytest
from rich.console import Console

from search.report.terminal.fitted import Column, FittedTable

WORDS = (
    "norm ratio threshold",
    "λ = 0.9 while the gradients' cosine is above 0.72, else 0.5",
    "/a/path/without/a/blank",
)
NUMBERS = ("84.97 % ± 0.41", "−0.47 ± 0.44", "7/8 (5 dropped, 1 failed)")


def shown(table, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(table)
    return console.file.getvalue()


def table(**changes):
    columns = (
        Column("family", WORDS, right=False, wraps=True),
        Column("absolute_error (less is better)", NUMBERS),
        Column("median", NUMBERS, spare=1),
        Column("trials", NUMBERS, spare=2),
    )
    return FittedTable(columns, ["bold", "", ""], **changes)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 200])
def test_nothing_is_cut_and_numbers_stay_on_one_line(width):
    text = shown(table(), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
    letters = "".join(text.split())
    if width >= 60:
        assert all(number in text for number in NUMBERS)
    for words in WORDS:
        rest = iter(letters)
        assert all(letter in rest for letter in "".join(words.split()))


def test_columns_give_way_in_their_order_and_are_named():
    assert "wider terminal" not in shown(table(), 120)
    assert "In a wider terminal and on the page: trials." in shown(table(), 80)
    assert "In a wider terminal and in the report: median, trials." in shown(table(elsewhere="in the report"), 60)


def test_a_title_stands_above_and_markup_is_only_text():
    text = shown(FittedTable((Column("[b]x", ["[red]1"]),), [""], title="[i]Search"), 80)
    assert [line.strip() for line in text.splitlines()] == ["[i]Search", "[b]x", "[red]1"]


def test_a_table_without_rows_has_its_headings():
    assert "family" in shown(FittedTable((Column("family", (), wraps=True),), ()), 40)
