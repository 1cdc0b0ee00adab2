"""Measures whether a search that also weighs complexity finds simpler trees, and what that costs in score.

    python benchmarks/complexity.py --searches 12

The score of a tree is made up: a parabola in one of its λ, with noise of deviation 0.02. Questions gain nothing.
"""

from __future__ import annotations

import statistics

import numpy as np
from scaffold import parser, table

from policies.registry import create_policy
from search.plan import PlannedSearch
from search.settings import load_config
from trainables.suggestion import policy_parameters

_ALIKE = 0.03
"""Scores this close to the best count as equally good, given the noise."""


def search(costs: str, trials: int, seed: int) -> list[tuple[float, int]]:
    """Search the family `tree`; return the score and the complexity of each trial."""
    config = load_config("digits-quick", ['families=["tree"]', f"trials_per_family={trials}", f"seed={seed}", costs])
    searcher, noise, found = PlannedSearch(config), np.random.default_rng(seed), []
    for number in range(trials):
        suggestion = searcher.suggest(str(number))
        assert isinstance(suggestion, dict)
        score = -((suggestion["tree.low_low"] - 0.7) ** 2) + 0.02 * float(noise.standard_normal())
        searcher.on_trial_complete(str(number), {"score": score})
        found.append((score, create_policy("tree", policy_parameters(suggestion)).complexity))
    return found


def main() -> None:
    """Run the searches and print the table."""
    options = parser(__doc__, cache=False, write=False)
    options.add_argument("--searches", type=int, default=12)
    searches = options.parse_args().searches
    rows = []
    for trials in (8, 16, 40):
        for costs in ("[]", '["complexity"]'):
            found = [search(f"costs={costs}", trials, seed) for seed in range(searches)]
            later = statistics.fmean(numbers for trial in found for _, numbers in trial[trials // 2 :])
            tops = [max(score for score, _ in trial) for trial in found]
            fewest = statistics.fmean(
                min(numbers for score, numbers in trial if score >= top - _ALIKE)
                for trial, top in zip(found, tops, strict=True)
            )
            rows.append([str(trials), costs, f"{later:.1f}", f"{statistics.fmean(tops):.3f}", f"{fewest:.1f}"])
    head = ["trials", "costs", "numbers in the later half", "best score", "fewest numbers of those as good"]
    print(*table(head, rows), sep="\n")


if __name__ == "__main__":
    main()
