"""Measures what keeping a pilot's choice costs at full size, by `kd-search transfer` over several small pilots.

    python benchmarks/transfer.py --output /tmp/transfers                 # the cases below
    python benchmarks/transfer.py --output /tmp/transfers digits-pictures table-epochs
    python benchmarks/transfer.py --file benchmarks/tasks/visits.toml --pilot training.epochs=4

A case is a search file and the settings by which its pilot is smaller. The pilot is searched, and its finalists are
trained under the file itself. A case that is finished is read and not run again, so the command can be repeated.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import search
from search.evidence import TransferFindings, transfer_headline
from search.settings import given_config
from search.wording import Scale

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
SMALL: dict[str, Any] = {"trials_per_family": 4, "constant.most_trials": 8, "replicates": 2, "evaluations": 2}
"""The size of a pilot's search, so that a case takes minutes on two cores."""
AT_SCALE = {"constants": 6, "rules": 3, "retuned": 1}


class Case(NamedTuple):
    """A search at full size, and the settings by which its pilot is smaller."""

    source: str
    pilot: Mapping[str, Any]
    full: Mapping[str, Any] = MappingProxyType({})
    """Settings of both, beside `SMALL`."""


FAMILIES = ["fixed", "cosine_schedule", "norm_balance", "sample_class_reliability"]
DIGITS = {"families": FAMILIES, "data.validation_size": 500, "data.train_size": 800, "training.epochs": 20}
NOISY = {"families": FAMILIES, "space.policies": {}, "data.train_size": 500}
CASES = {
    "digits-pictures": Case("digits-quick", {"data.train_size": 150}, DIGITS),
    "digits-epochs": Case("digits-quick", {"training.epochs": 3}, DIGITS),
    "digits-student": Case("digits-quick", {"student.options": {"hidden": [6]}}, DIGITS),
    "noisy-pictures": Case("unreliable-samples-digits", {"data.train_size": 120}, NOISY),
    "noisy-epochs": Case("unreliable-samples-digits", {"training.epochs": 6}, NOISY),
    "table-epochs": Case(str(EXAMPLES / "table.toml"), {"training.epochs": 4}),
}


def transferred(name: str, case: Case, output: pathlib.Path, seeds: int) -> TransferFindings:
    """Search a case's pilot and transfer it, or read both."""
    full = given_config(case.source, {**case.full, **SMALL, "racing": False, "name": f"{name}-full"})
    pilot = given_config(case.source, {**case.full, **SMALL, "racing": False, **case.pilot, "name": name})
    found = search.run(pilot, output=output, resume=True, progress=False)
    return found.transfer(full, seeds=seeds, progress=False, **AT_SCALE)


def row(name: str, found: TransferFindings) -> str:
    """Write a case's row of the table."""
    scale, regret, agreement = Scale(found.objective), found.regret, found.agreement
    tuned = next((one for one in found.retuned if found.of(one.key).role != "rule"), None)
    moved = "–" if tuned is None else ", ".join(f"{key} {a:.3g} → {b:.3g}" for key, a, b in tuned.settings)
    cells = (
        name,
        found.of(found.choice).title,
        "–" if regret is None else f"{scale.size(regret.mean)} ({scale.interval(regret.low, regret.high)})",
        "–" if agreement is None else f"{agreement.tau:.2f} ({agreement.low:.2f} to {agreement.high:.2f})",
        moved,
        transfer_headline(found),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the cases that are named, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="all, if none is named")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs"))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--file", help="a search file at full size, in place of the cases")
    parser.add_argument(
        "--pilot", action="append", default=[], metavar="KEY=VALUE", help="what is smaller in its pilot"
    )
    asked = parser.parse_args()
    cases = {name: CASES[name] for name in asked.cases or CASES}
    if asked.file:
        smaller = {key: _value(text) for key, _, text in (one.partition("=") for one in asked.pilot)}
        cases = {pathlib.Path(asked.file).stem: Case(asked.file, smaller)}
    print("| pilot | its choice | regret at full size | Kendall's τ | the constant's numbers | answer |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, case in cases.items():
        print(row(name, transferred(name, case, asked.output, asked.seeds)), flush=True)


def _value(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


if __name__ == "__main__":
    main()
