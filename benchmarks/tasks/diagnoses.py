"""Measures how often `kd-search diagnose` was right: on the tasks, and on shipped searches with known answers.

    python -m benchmarks.tasks.diagnoses                # diagnoses what has not been diagnosed, then writes the table
    python -m benchmarks.tasks.diagnoses bikes stress   # some only
    python -m benchmarks.tasks.diagnoses --table        # only writes the table again

A diagnosis goes to `results/diagnoses/NAME.json`. The answer of a task is that of its confirmation,
`results/NAME.json`, which `python -m benchmarks.tasks` writes. The answers of shipped searches are those of the
documentation's pages. `DIAGNOSES.md`, `diagnoses.csv` and the record in `docs/diagnosis.md` are written from all.
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
from typing import Any, NamedTuple

import search
from benchmarks.tasks.catalogue import ABSENT, FOLDER, TASKS, how_to_get, load, search_file
from policies.families import FAMILIES
from policies.sample import SamplePolicy
from search.diagnosis import Diagnosis

ROOT = FOLDER.parents[1]
RESULTS = FOLDER / "results"
PAGE = ROOT / "docs/diagnosis.md"
_BEGIN, _END = "<!-- record -->", "<!-- /record -->"
KNOWN: dict[str, dict[str, Any]] = {
    "digits-quick": {
        "source": "digits-quick",
        "where": "docs/LOG.md, The first confirmation; the gain was not confirmed",
        "verdict": "constant",
        "worth": "pays",
        "rule": (None, 0.12, -0.25, 0.49),
    },
    "unreliable-samples-digits": {
        "source": "unreliable-samples-digits",
        "where": "docs/unreliable-data.md",
        "verdict": "rule",
        "worth": "pays",
        "constant": (4.95, 2.65, 7.25),
        "rule": ("sample_norm_balance", 4.27, 2.64, 5.89),
    },
    "unreliable-batches-digits": {
        "source": "unreliable-batches-digits",
        "where": "docs/unreliable-data.md",
        "verdict": "cannot_tell",
        "worth": "pays",
        "constant": (5.01, 3.29, 6.73),
        "rule": (None, 0.06, -0.41, 0.53),
    },
    "unseen-classes-digits": {
        "source": "unseen-classes-digits",
        "where": "docs/unreliable-data.md, 24 seeds",
        "verdict": "constant",
        "worth": "pays",
        "constant": (0.99, 0.54, 1.44),
        "rule": ("sample_class_reliability", 0.10, -0.16, 0.36),
    },
    "table": {
        "source": str(ROOT / "examples/table.toml"),
        "where": "docs/example-table.md",
        "verdict": "constant",
        "worth": "pays",
        "constant": (1.91, 1.29, 2.53),
        "rule": ("cosine_schedule", -0.86, -1.43, -0.29),
    },
    "tokens": {
        "source": str(ROOT / "examples/tokens.toml"),
        "where": "docs/example-tokens.md",
        "verdict": "constant",
        "worth": "does_not_pay",
        "constant": (0.24, 0.04, 0.45),
        "rule": ("norm_balance", -0.22, -0.37, -0.07),
    },
    "regression": {
        "source": str(ROOT / "examples/regression.toml"),
        "where": "docs/example-regression.md",
        "verdict": "cannot_tell",
        "worth": "cannot_tell",
        "constant": (-1.61, -4.22, 0.992),
        "rule": ("cosine_schedule", 1.04, -0.03, 2.11),
    },
}
"""Shipped searches -> what their confirmations said. Gains are (mean, low, high) in points or the metric's unit: of the
best constant over the labels alone, and of the nearest rule over the constant, with its family."""
_WORDS = {
    "tune_a_constant": "tune a constant",
    "try_per_sample_rules": "per-sample rules",
    "try_gradient_rules": "rules on gradients",
    "distillation_will_not_help": "will not help",
    "other_rules": "another rule",
    "cannot_tell": "cannot tell",
}


class Truth(NamedTuple):
    """The answer of a confirmation."""

    answers: tuple[str, ...]
    """The answers that are right; empty if the confirmation cannot tell, even whether distillation pays."""
    verdict: str
    worth: str | None
    constant: tuple[float, float, float] | None
    rule: tuple[float, float, float] | None
    family: str | None
    where: str
    cpu_seconds: float | None


def truth_of(name: str) -> Truth | None:
    """Return what is known of a search; None if it has not been confirmed yet."""
    if name in KNOWN:
        known = KNOWN[name]
        family, *rule = known["rule"]
        constant = known.get("constant")
        return Truth(
            answers_of(known["verdict"], known["worth"], family),
            known["verdict"], known["worth"], constant, tuple(rule), family, known["where"], None,
        )  # fmt: skip
    place = RESULTS / f"{name}.json"
    if not place.exists():
        return None
    found = json.loads(place.read_text(encoding="utf-8"))
    best = found["best_rule"]
    return Truth(
        answers_of(found["verdict"], found["worth"], best["family"]),
        found["verdict"],
        found["worth"],
        _triple(found["constant"]["over_labels"]),
        _triple(best["over_constant"]),
        best["family"],
        "benchmarks/tasks/results",
        found["cpu_seconds"],
    )


def _triple(gain: dict[str, float] | None) -> tuple[float, float, float] | None:
    return (0.0, 0.0, 0.0) if gain is None else (gain["mean"], gain["low"], gain["high"])


def answers_of(verdict: str, worth: str | None, family: str | None) -> tuple[str, ...]:
    """Return the answers of a diagnosis that agree with a confirmation.

    A confirmed rule decides by its kind. Else a constant is right if distillation pays, and "will not help" if it does
    not. Where the confirmation names a constant but cannot tell whether that pays, both are right. Where it cannot tell
    whether a rule is better but distillation pays, "tune a constant" is what it recommends as the safe choice.
    """
    if worth == "does_not_pay":
        return ("distillation_will_not_help",)
    if verdict == "rule":
        assert family is not None
        return (kind_of(family),)
    if worth == "pays":
        return ("tune_a_constant",)
    return ("tune_a_constant", "distillation_will_not_help") if verdict == "constant" else ()


def kind_of(family: str) -> str:
    """Return the answer under which a family of rules falls."""
    policy = FAMILIES[family]
    if issubclass(policy, SamplePolicy):
        return "try_per_sample_rules"
    return "try_gradient_rules" if "geometry" in policy.needs else "other_rules"


def diagnose(name: str, output: pathlib.Path) -> None:
    """Diagnose a search, unless it has been, and keep the record."""
    place = RESULTS / "diagnoses" / f"{name}.json"
    if place.exists():
        print(f"{name}: diagnosed already")
        return
    if name in TASKS:
        try:
            load(name).sets()
        except ABSENT as error:
            print(f"{name}: skipped, its data are absent ({error}). To get them: {how_to_get(name)}")
            return
    source = KNOWN[name]["source"] if name in KNOWN else str(search_file(name))
    found = search.diagnose(source, output=output)
    print(f"{name}: {found.answer}, {found.cost.cpu_seconds:.0f} s of CPU time")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(found.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


class Row(NamedTuple):
    """One search of the record."""

    name: str
    found: Diagnosis
    truth: Truth | None

    @property
    def mark(self) -> str:
        """`right`, `wrong`, `no answer`, or `–` where the truth is not known."""
        if self.truth is None or not self.truth.answers:
            return "–"
        if self.found.answer == "cannot_tell":
            return "no answer"
        return "right" if self.found.answer in self.truth.answers else "wrong"

    @property
    def leaning(self) -> str:
        """The mark of the likeliest answer."""
        if self.truth is None or not self.truth.answers:
            return "–"
        return "right" if self.found.leaning in self.truth.answers else "wrong"

    @property
    def factor(self) -> float:
        """Points in a unit of score."""
        return 100.0 if self.found.objective.name == "accuracy" else 1.0


def rows() -> list[Row]:
    """Return all diagnoses with what is known by now."""
    places = [(name, RESULTS / "diagnoses" / f"{name}.json") for name in (*TASKS, *KNOWN)]
    return [
        Row(name, Diagnosis.parse(json.loads(place.read_text(encoding="utf-8"))), truth_of(name))
        for name, place in places
        if place.exists()
    ]


def write_record(found: list[Row]) -> None:
    """Write `DIAGNOSES.md` and `diagnoses.csv`, and the record into its page."""
    text = [
        "# The record of the diagnoses",
        "",
        "`python -m benchmarks.tasks.diagnoses` writes this file. [The page](../../docs/diagnosis.md) explains it.",
        "",
        *_record(found),
        "",
    ]
    (FOLDER / "DIAGNOSES.md").write_text("\n".join(text), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(_BEGIN)[0], page.split(_END)[1]
    record = "\n".join(_record(found))
    PAGE.write_text(f"{before}{_BEGIN}\n\n{record}\n\n{_END}{after}", encoding="utf-8")
    with (FOLDER / "diagnoses.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("search", "answer", "leaning", "chance", "mark", "mark_of_leaning", "verdict", "worth", "family",
             "constant_gain", "constant_low", "constant_high", "confirmed_constant_gain", "sample_gain",
             "gradient_gain", "confirmed_rule_gain", "trainings", "share", "cpu_seconds", "cpu_seconds_of_search")
        )  # fmt: skip
        writer.writerows(_flat(row) for row in found)


def _record(found: list[Row]) -> list[str]:
    """Return the counts and the table in Markdown."""
    head = (
        "search", "diagnosis", "likeliest", "confirmed", "", "constant over labels: diagnosed", "confirmed",
        "trainings, of the search's", "CPU time, of search and confirmation",
    )  # fmt: skip
    table = [head, ("---",) * len(head)]
    for row in found:
        gain, truth, factor = row.found.constant_gain, row.truth, row.factor
        cpu, own = truth.cpu_seconds if truth else None, row.found.cost.cpu_seconds
        table.append(
            (
                row.name,
                _WORDS[row.found.answer],
                f"{_WORDS[row.found.leaning]}, {100 * row.found.chances[row.found.leaning]:.0f} %",
                _confirmed(truth),
                row.mark,
                _gain((factor * gain.mean, factor * gain.low, factor * gain.high)),
                _gain(truth.constant) if truth else "–",
                f"{row.found.cost.trainings}, {100 * row.found.cost.share:.0f} %",
                f"{own:.0f} s" + (f" of {cpu:.0f} s, {100 * own / cpu:.0f} %" if cpu else ""),
            )
        )
    return [*_counts(found), "", *(f"| {' | '.join(cells)} |" for cells in table)]


def _counts(found: list[Row]) -> list[str]:
    """Say how often the diagnoses were right."""
    settled = [row for row in found if row.mark != "–"]
    strict = [row for row in settled if row.truth and (row.truth.verdict != "cannot_tell" or _not_paying(row.truth))]
    leanings = [row.leaning for row in settled].count("right")
    chance = sum(row.found.chances[row.found.leaning] for row in settled) / max(1, len(settled))
    usual = sum("tune_a_constant" in row.truth.answers for row in settled if row.truth)
    sized = [(row, row.truth.constant) for row in found if row.truth and row.truth.constant]
    inside = [_low(row) <= gain[0] <= _high(row) for row, gain in sized]
    overlapping = [_low(row) <= gain[2] and gain[1] <= _high(row) for row, gain in sized]
    return [
        f"- Of {len(found)} searches, {len(settled)} have a confirmed answer. {_marks(settled)}",
        f"- In {len(strict)} of these the confirmation also settled whether a rule is better. {_marks(strict)}",
        f"- The likeliest answer, which is told in any case, was right in {leanings} of {len(settled)}; its probability"
        f" was {100 * chance:.0f} % in the mean. Always to say “tune a constant” would be right in {usual}.",
        f"- The interval of the constant's gain over the labels alone held the confirmed gain in {sum(inside)} of"
        f" {len(inside)}, and met its interval in {sum(overlapping)}.",
    ]


def _marks(rows: list[Row]) -> str:
    marks = [row.mark for row in rows]
    return (
        f"The diagnosis was right in {marks.count('right')} and wrong in {marks.count('wrong')}, and could not tell in"
        f" {marks.count('no answer')}."
    )


def _not_paying(truth: Truth) -> bool:
    return truth.worth == "does_not_pay"


def _low(row: Row) -> float:
    return row.found.constant_gain.low * row.factor


def _high(row: Row) -> float:
    return row.found.constant_gain.high * row.factor


def _confirmed(truth: Truth | None) -> str:
    if truth is None:
        return "not yet"
    if not truth.answers:
        return "cannot tell"
    words = " or ".join(_WORDS[answer] for answer in truth.answers)
    return f"{words} (rule: cannot tell)" if truth.verdict == "cannot_tell" else words


def _gain(gain: tuple[float, float, float] | None) -> str:
    if gain is None:
        return "–"
    mean, low, high = (f"{value:+.2f}".replace("-", "−") for value in gain)
    return f"{mean} ({low} to {high})"


def _flat(row: Row) -> tuple[Any, ...]:
    found, truth, factor = row.found, row.truth, row.factor
    gain = found.constant_gain

    def mean(estimate: Any) -> float | None:
        return None if estimate is None else factor * estimate.mean

    return (
        row.name, found.answer, found.leaning, found.chances[found.leaning], row.mark, row.leaning,
        truth and truth.verdict, truth and truth.worth, truth and truth.family,
        factor * gain.mean, factor * gain.low, factor * gain.high, truth and truth.constant and truth.constant[0],
        mean(found.sample_gain), mean(found.gradient_gain), truth and truth.rule and truth.rule[0],
        found.cost.trainings, found.cost.share, found.cost.cpu_seconds, truth and truth.cpu_seconds,
    )  # fmt: skip


def main() -> None:
    """Read the options, diagnose, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = (*TASKS, *KNOWN)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"searches, of {', '.join(names)} [all]")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/tasks"), help="files [%(default)s]")
    parser.add_argument("--table", action="store_true", help="write the table only")
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"searches must be among {', '.join(names)}, but got {', '.join(sorted(unknown))}")
    for name in [] if given.table else given.names or names:
        diagnose(name, given.output)
    write_record(rows())


if __name__ == "__main__":
    main()
