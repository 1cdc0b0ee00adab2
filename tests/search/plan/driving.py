"""Runs a searcher without Ray: trials end in a random order, with scores that a test decides."""

import random

from ray.tune.search import Searcher

from search.plan.searcher import PlannedSearch


def tried(config, score, *, workers=1, seed=0):
    """Return all suggestions of a search, heat by heat, in the order in which they were begun.

    `score` takes a suggestion and returns its score, its seeds' scores, or None for a failure.
    """
    searcher, order, running, begun = PlannedSearch(config), random.Random(seed), {}, []
    for step in range(100_000):
        suggestion = searcher.suggest(f"t{step}") if len(running) < workers else None
        if suggestion == Searcher.FINISHED:
            if not running:
                return begun
        elif suggestion is not None:
            running[f"t{step}"] = suggestion
            begun.append(suggestion)
            continue
        trial_id = order.choice(sorted(running))
        ended = running.pop(trial_id)
        result = result_of(ended, score(ended))
        searcher.on_trial_complete(trial_id, result, error=result is None)
    raise AssertionError("no end")


def result_of(suggestion, score):
    """Return a last result as a trial reports it."""
    if score is None:
        return None
    return {"seed_scores": score if isinstance(score, list) else [score] * len(suggestion["seeds"])}
