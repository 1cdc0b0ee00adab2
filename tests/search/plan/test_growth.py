"""A search that grows, or that its budget ends, is the search that was planned with that size."""

import random

import pytest
from ray.tune.search import Searcher

from search.plan.clock import BudgetClock
from search.plan.numbers import TrialNumbers
from search.plan.plan import planned_trials
from search.plan.searcher import PlannedSearch, Run, dump_runs
from search.settings.search_file import load_config
from tests.search.plan.test_plan import score_of

FAMILIES = 'families=["fixed", "norm_balance", "cosine_threshold"]'
SMALL = ["constant.most_trials=14", "trials_per_family=4", "replicates=3"]
RACING = ["racing=true", "replicates=5"]


def config_of(*overrides):
    return load_config("digits-quick", [FAMILIES, *SMALL, *overrides])


class Ticks:
    """A clock that a test moves."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


def drive(config, tmp_path, before=(), *, workers=2, seed=0, stop_after=None, budget=None):
    """Run or continue a search; return its runs by place and seeds, and the searcher. A training takes a second."""
    ticks, chance = Ticks(), random.Random(seed)
    clock = None if budget is None else BudgetClock(budget, now=ticks)
    searcher = PlannedSearch(config, clock)
    if before:
        (tmp_path / "state").write_bytes(dump_runs(before))
        searcher.restore(str(tmp_path / "state"))
    running = [run.trial_id for run in searcher._runs.values() if not run.ended]
    for step in range(10_000):
        trial_id = f"{len(before)}-{step}"
        suggestion = searcher.suggest(trial_id) if len(running) < workers else None
        if suggestion == Searcher.FINISHED and not running:
            break
        if suggestion is not None and suggestion != Searcher.FINISHED:
            running.append(trial_id)
            continue
        ended = running.pop(chance.randrange(len(running)))
        run = searcher._runs[ended].suggestion
        ticks.seconds += len(run["seeds"]) / workers
        searcher.on_trial_complete(ended, {"seed_scores": score_of(run)})
        if stop_after is not None and sum(r.ended for r in searcher._runs.values()) >= stop_after:
            break
    return searcher


def found(searcher):
    """Return all that a search tried, by family and seeds in the order of numbers, with its scores."""
    places = {}
    for run in sorted(searcher._runs.values(), key=lambda run: (run.suggestion["trial"], run.suggestion["seeds"])):
        suggestion = {key: value for key, value in run.suggestion.items() if key not in ("trial", "seeds")}
        key = suggestion["family"], tuple(run.suggestion["seeds"])
        places.setdefault(key, []).append((suggestion, run.scores))
    return places


def left(searcher):
    return [Run(*run) for run in searcher._runs.values()]


def grow(config, **changes):
    return config.resized(**changes)


@pytest.mark.parametrize("stop_after", [None, 9])
def test_more_rules_give_the_search_that_was_planned_with_them(stop_after, tmp_path):
    small = drive(config_of(), tmp_path, stop_after=stop_after)
    grown = drive(grow(small._config, trials_per_family=7), tmp_path, left(small), workers=3, seed=1)
    assert found(grown) == found(drive(config_of("trials_per_family=7"), tmp_path))


def test_growth_keeps_every_trials_number(tmp_path):
    small = drive(config_of(), tmp_path)
    kept = {run.trial_id: run.suggestion for run in left(small)}
    config = grow(small._config, trials_per_family=6, families=(*small._config.families, "step_schedule"))
    grown = drive(config, tmp_path, left(small))
    assert {key: grown._runs[key].suggestion for key in kept} == kept
    numbers = [run.suggestion["trial"] for run in left(grown)]
    assert len(set(numbers)) == len(numbers) == planned(grown)


def planned(searcher):
    return searcher._plan.trials


def test_a_family_that_is_added_later_has_as_many_rules_at_the_rounds_own_settings(tmp_path):
    small = drive(config_of(), tmp_path)
    grown = drive(grow(small._config, families=(*small._config.families, "step_schedule")), tmp_path, left(small))
    tried, seeds = found(grown), tuple(range(3))
    assert {key: tried[key] for key in found(small)} == found(small)
    added = [suggestion["learning_rate"] for suggestion, _ in tried["step_schedule", seeds]]
    assert added == [suggestion["learning_rate"] for suggestion, _ in tried["norm_balance", seeds]]


def test_without_shared_settings_an_added_family_is_as_if_planned_from_the_start(tmp_path):
    kept = ("space.learning_rate=0.02", "space.temperature=4.0")
    small = drive(config_of(*kept), tmp_path)
    grown = drive(grow(small._config, families=(*small._config.families, "step_schedule")), tmp_path, left(small))
    four = 'families=["fixed", "norm_balance", "cosine_threshold", "step_schedule"]'
    assert found(grown) == found(drive(config_of(*kept, four), tmp_path))


def test_more_constants_continue_where_the_bracket_was_cut_short(tmp_path):
    few = drive(config_of("constant.most_trials=8"), tmp_path)
    config = few._config
    more = config.constant.model_copy(update={"most_trials": 14})
    grown = drive(grow(config, constant=more), tmp_path, left(few))
    constants = "fixed", tuple(range(3))
    assert found(grown)[constants] == found(drive(config_of(), tmp_path))[constants]
    assert len(found(grown)[constants]) > 8


@pytest.mark.parametrize("racing", [(), RACING], ids=["together", "raced"])
def test_more_seeds_are_trained_by_every_trial_that_had_all(racing, tmp_path):
    small = drive(config_of(*racing), tmp_path)
    had = small._config.replicates
    grown = drive(grow(small._config, replicates=had + 2), tmp_path, left(small))
    last, added = small._config.heats[-1].seeds, tuple(range(had, had + 2))
    for family in ("norm_balance", "cosine_threshold", "fixed"):
        before = found(small)
        ended = next(value for (name, seeds), value in before.items() if name == family and seeds[-1] == last[-1])
        again = found(grown)[family, added]
        assert [suggestion for suggestion, _ in again] == [suggestion for suggestion, _ in ended]
    assert {key: found(grown)[key] for key in before} == before


def test_a_race_that_grows_has_the_heats_of_its_new_size_and_takes_nothing_back(tmp_path):
    small = drive(config_of(*RACING), tmp_path)
    grown = drive(grow(small._config, trials_per_family=8), tmp_path, left(small))
    whole = found(drive(config_of(*RACING, "trials_per_family=8"), tmp_path))
    tried = found(grown)
    assert {key: len(trials) for key, trials in tried.items()} == {key: len(trials) for key, trials in whole.items()}
    first = [key for key in whole if key[1][0] == 0]
    assert {key: tried[key] for key in first} == {key: whole[key] for key in first}
    for key, trials in found(small).items():
        assert all(trial in tried[key] for trial in trials)


@pytest.mark.parametrize("racing", [(), RACING], ids=["together", "raced"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_that_its_budget_ends_is_the_one_planned_with_as_many_rules(racing, workers, tmp_path):
    config = config_of(*racing, "trials_per_family=12", "budget=60s")
    ended = drive(config, tmp_path, workers=workers, budget=90.0 / workers)
    rounds = ended._config.trials_per_family
    assert 1 <= rounds < 12
    replay = drive(config_of(*racing, f"trials_per_family={rounds}"), tmp_path)
    assert found(ended) == found(replay)
    assert ended._config.heats == replay._config.heats


def test_a_budget_that_is_ample_or_spent_at_once_gives_all_rounds_or_one(tmp_path):
    ample = drive(config_of("budget=1h"), tmp_path, budget=3600.0)
    assert found(ample) == found(drive(config_of(), tmp_path))
    assert ample._config.earlier_sizes == ()
    at_once = drive(config_of("budget=1s"), tmp_path, budget=1e-9)
    assert found(at_once) == found(drive(config_of("trials_per_family=1"), tmp_path))


def test_a_larger_budget_continues_to_the_search_without_one(tmp_path):
    ended = drive(config_of("trials_per_family=9", "budget=45s"), tmp_path, budget=45.0)
    assert ended._config.trials_per_family < 9
    wide = ended._config.resized(trials_per_family=9)
    continued = drive(wide, tmp_path, left(ended), budget=1e6)
    assert found(continued) == found(drive(config_of("trials_per_family=9"), tmp_path))
    assert wide.earlier_sizes == ended._config.earlier_sizes


def test_a_budget_is_kept_to_about_a_round(tmp_path):
    ticks = Ticks()
    clock, took = BudgetClock(100.0, spent=30.0, now=ticks), []
    clock.trials_begin(trained=20)
    for trained in range(21, 60):
        ticks.seconds += 2.0
        took.append(clock.allows(10, trained))
    # 30 s were spent before, and 10 more trainings of 2 s each must fit: the last answer "yes" is at 80 s.
    assert sum(took) == 25
    assert took == sorted(took, reverse=True)


def test_the_numbers_of_a_search_that_never_grew_count_rounds_and_then_constants():
    config = config_of()
    numbers = TrialNumbers(config)
    rules = [(turn, family) for turn in range(4) for family in ("norm_balance", "cosine_threshold")]
    assert [numbers.rule("base", family, turn) for turn, family in rules] == list(range(1, 9))
    assert [numbers.constant("base", index) for index in range(14)] == list(range(9, 23))
    assert planned_trials(config, ()) is None
