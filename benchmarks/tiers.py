"""Helps to choose a way of measuring: what each costs, and how well it follows the whole student's gradients.

    python benchmarks/tiers.py --write docs/measuring.md

Runs `step.py` and `tracking.py` and puts their tables between the marks that FILE has for them; about ten minutes on a
quiet core.
"""

from __future__ import annotations

import argparse
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import step
import tracking

from search.settings import default_cache

_COLUMNS = (step.CASES[1], step.CASES[3])


class Row(NamedTuple):
    """A line of the guide: settings, the names that the two benchmarks give them, and when to take them."""

    settings: str
    cost: str
    amortised: str | None
    way: str | None
    when: str


ROWS = (
    Row(
        '`tier = "full"`',
        "full",
        f"full, every {step.EVERY}th",
        "full",
        "the reading that the formulas mean; the default",
    ),
    Row(
        '`tier = "last_block"`',
        "last block",
        f"last block, every {step.EVERY}th",
        "last block",
        "every step of a larger student, also with losses that are not on logits",
    ),
    Row(
        '`tier = "logit"`',
        "logit",
        f"logit, every {step.EVERY}th",
        "logit",
        "every step at no price: single batches with a wrong teacher or wrong labels; sharded students",
    ),
    Row(
        '`pair = "halves"`',
        "full, halves",
        f"full, halves, every {step.EVERY}th",
        "full, halves",
        "what counts is whether the losses conflict at all: a cosine without the noise that both share",
    ),
    Row(
        '`tier = "last_block"`, `pair = "halves"`',
        "last block, halves",
        f"last block, halves, every {step.EVERY}th",
        "last block, halves",
        "the same, at every step",
    ),
    Row("a rule of one λ a sample", "one λ a sample", None, None, "single pictures are wrong, not whole batches"),
)


def guide(costs: dict[str, dict[str, step.Cost]], found: dict[str, dict[str, tracking.Agreement]]) -> Iterator[str]:
    """Yield Markdown: one row for each way."""
    places = [f"cost: {case}" for case in _COLUMNS]
    yield (
        f"| settings | {' | '.join(places)} | every {step.EVERY}th step | follows `full`: cosine | norm ratio |"
        " norm ratio is `full`'s × | tells wrong teacher, labels | take it when |"
    )
    yield "| --- |" + " --- |" * (6 + len(places))
    for row in ROWS:
        each = [f"{_median(costs[str(case)][row.cost]):.2f}" for case in _COLUMNS]
        later = (
            ""
            if row.amortised is None
            else " / ".join(f"{_median(costs[str(case)][row.amortised]):.2f}" for case in _COLUMNS)
        )
        yield f"| {row.settings} | {' | '.join(each)} | {later} | {' | '.join(_follows(row, found))} | {row.when} |"


def _median(cost: step.Cost) -> float:
    return sorted(cost.ratios)[len(cost.ratios) // 2]


def _follows(row: Row, found: dict[str, dict[str, tracking.Agreement]]) -> list[str]:
    if row.way is None:
        return [""] * 4
    agreements = [ways[row.way] for ways in found.values()]
    tells = [a.tells for a in agreements if a.tells is not None]
    return [
        _range([a.correlations[0] for a in agreements]),
        _range([a.correlations[1] for a in agreements]),
        _range([a.factor for a in agreements]),
        f"{_range([one for one, _ in tells])}, {_range([other for _, other in tells])}",
    ]


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low}–{high}"


def _between_marks(text: str, mark: str, content: list[str]) -> str:
    """Return `text` with `content` between <!-- mark --> and <!-- /mark -->."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    body = "\n".join(content)
    text, count = pattern.subn(lambda m: f"{m[1]}\n{body}\n\n{m[2]}", text)
    if count != 1:
        raise SystemExit(f"the file must have one pair of marks <!-- {mark} --> and <!-- /{mark} -->, but has {count}.")
    return text


def main() -> None:
    """Measure, and print the tables or write them into a document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=pathlib.Path, metavar="FILE", help="a document with marks for the tables")
    parser.add_argument("--rounds", type=int, default=9, help="timings of each kind of step")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each case")
    parser.add_argument("--cache", type=pathlib.Path, default=default_cache(), help="of teachers and data sets")
    arguments = parser.parse_args()
    costs = step.measure(arguments.rounds)
    found = tracking.agreements(arguments.seeds, arguments.cache)
    conditions = f"Measured on {step.conditions(arguments.rounds)}; trainings with {arguments.seeds} seeds."
    parts = {
        "guide": [*guide(costs, found), "", conditions],
        "costs": list(step.table(costs)),
        "tracking": list(tracking.table(found)),
    }
    if arguments.write is None:
        print(*(line for part in parts.values() for line in [*part, ""]), sep="\n")
        return
    text = arguments.write.read_text(encoding="utf-8")
    for mark, content in parts.items():
        text = _between_marks(text, mark, content)
    arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
