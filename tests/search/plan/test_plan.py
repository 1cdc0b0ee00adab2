"""A search's plan depends on its settings and on what has ended, not on workers or kills."""

import random
import statistics

import pytest
from ray.tune.search import Searcher

from policies import create_policy
from search.plan.plan import planned_trials
from search.plan.searcher import PlannedSearch, dump_runs
from search.settings.search_file import load_config
from trainables.suggestion import policy_parameters

FEW = 'families=["fixed", "norm_balance", "cosine_threshold"]'
CONFIG = load_config("digits-quick", [FEW, "constant.most_trials=14"])
RACING = load_config("digits-quick", [FEW, "constant.most_trials=14", "racing=true", "replicates=5"])


def score_of(suggestion):
    """Return the scores of a trial's seeds: a function of what is trained, as on a CPU."""
    noise = random.Random(repr(sorted(item for item in suggestion.items() if item[0] != "trial")))
    weight = suggestion.get("fixed.weight", suggestion.get("norm_balance.balance", 0.5))
    worth = 0.8 - (weight - 0.3) ** 2 - (suggestion["learning_rate"] - 0.02) ** 2
    return [worth + noise.gauss(0.0, 0.01) for _ in suggestion["seeds"]]


def drive(config, workers=1, *, seed=0, kills=0, fails=lambda suggestion: False, tmp_path=None):
    """Return all that a search tries, in the order of beginning, by workers that end in a random order.

    After a kill the latest trials to begin may be forgotten, and those that ended last may run again.
    """
    chance, searcher = random.Random(seed), PlannedSearch(config)
    begun, running, steps = {}, {}, 0
    kill_at = set(chance.sample(range(5, 60), kills))
    for step in range(100_000):
        if step in kill_at:
            runs = list(searcher._runs.values())
            lost = {run.trial_id for run in runs if not run.ended and chance.random() < 0.5}
            newest = {run.suggestion["trial"]: run.trial_id for run in runs}.values()  # a later heat needs its first
            again = {r.trial_id for r in runs[-3:] if r.ended and r.trial_id in newest and chance.random() < 0.5}
            kept = [run._replace(ended=run.ended and run.trial_id not in again) for run in runs]
            (tmp_path / "state").write_bytes(dump_runs(run for run in kept if run.trial_id not in lost))
            searcher = PlannedSearch(config)
            searcher.restore(str(tmp_path / "state"))
            running = {run.trial_id: run.suggestion for run in searcher._runs.values() if not run.ended}
        suggestion = searcher.suggest(f"t{step}") if len(running) < workers else None
        if suggestion == Searcher.FINISHED:
            if not running:
                return begun
        elif suggestion is not None:
            running[f"t{step}"] = suggestion
            key = suggestion["trial"], tuple(suggestion["seeds"])
            assert begun.setdefault(key, suggestion) == suggestion, "the same place was proposed differently"
            continue
        assert running, "nothing runs and nothing is proposed"
        trial_id = chance.choice(sorted(running))
        ended = running.pop(trial_id)
        searcher.on_trial_complete(
            trial_id, None if fails(ended) else {"seed_scores": score_of(ended)}, error=fails(ended)
        )
    raise AssertionError(f"no end after {steps} steps")


def first_heats(begun, config):
    trials = {}
    for (number, _), suggestion in begun.items():
        trials.setdefault(number, suggestion)
    return [trials[number] for number in sorted(trials)]


@pytest.mark.parametrize("config", [CONFIG, RACING], ids=["plain", "racing"])
def test_the_same_seed_gives_the_same_search_for_any_number_of_workers(config):
    alone = drive(config)
    for workers in (2, 3, 4, 9):
        assert drive(config, workers, seed=workers) == alone


@pytest.mark.parametrize("config", [CONFIG, RACING], ids=["plain", "racing"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_kills_change_no_proposal_and_nothing_is_proposed_twice(config, workers, tmp_path):
    undisturbed = drive(config)
    for seed in range(3):
        assert drive(config, workers, seed=seed, kills=11, tmp_path=tmp_path) == undisturbed
    points = [
        tuple(sorted((k, v) for k, v in s.items() if k not in ("trial", "seeds")))
        for s in first_heats(undisturbed, config)
    ]
    assert len(set(points)) == len(points)


def test_failures_are_inputs_too():
    def fails(suggestion):
        return suggestion["trial"] % 5 == 2

    alone = drive(CONFIG, fails=fails)
    assert drive(CONFIG, 4, seed=1, fails=fails) == alone
    assert alone != drive(CONFIG)


def test_another_seed_gives_another_search():
    assert drive(CONFIG) != drive(CONFIG.model_copy(update={"seed": 1}))


def test_another_family_changes_nothing_for_the_others_own_startup():
    more = load_config(
        "digits-quick",
        ['families=["upgrad", "fixed", "norm_balance", "cosine_threshold"]', "constant.most_trials=14"],
    )

    def of(config):
        found = first_heats(drive(config), config)
        own = [s["norm_balance.balance"] for s in found if s["family"] == "norm_balance"]
        return own[:3], [s["fixed.weight"] for s in found if s["family"] == "fixed"]

    assert of(CONFIG) == of(more)


def test_every_round_tries_every_rule_once_at_one_learning_rate_and_temperature():
    trials = [s for s in first_heats(drive(CONFIG), CONFIG) if s["family"] != "fixed"]
    rounds = [trials[i : i + 2] for i in range(0, len(trials), 2)]
    assert len(rounds) == CONFIG.trials_per_family
    for of_round in rounds:
        assert [s["family"] for s in of_round] == list(CONFIG.rule_families)
        assert len({(s["learning_rate"], s["temperature"]) for s in of_round}) == 1
    assert len({r[0]["learning_rate"] for r in rounds[::2]}) == CONFIG.trials_per_family / 2


def test_every_second_round_is_held_at_the_best_constants_settings_known_by_then():
    begun = first_heats(drive(CONFIG), CONFIG)
    constants = {(s["learning_rate"], s["temperature"]) for s in begun if s["family"] == "fixed"}
    rules = [s for s in begun if s["family"] == "norm_balance"]
    assert all((s["learning_rate"], s["temperature"]) in constants for s in rules[1::2])


def test_the_first_round_tries_every_rules_defaults():
    for suggestion in first_heats(drive(CONFIG), CONFIG)[: len(CONFIG.rule_families)]:
        assert policy_parameters(suggestion) == pytest.approx(create_policy(suggestion["family"]).values())


def test_the_lag_is_a_setting():
    longer = CONFIG.model_copy(update={"proposal_lag": 4})
    assert drive(longer) == drive(longer, 5, seed=2) != drive(CONFIG)


def test_constants_take_nothing_from_the_rules_share_and_their_number_is_known_at_the_end():
    begun = drive(CONFIG)
    trials = first_heats(begun, CONFIG)
    assert sum(s["family"] == "fixed" for s in trials) <= 14
    for family in CONFIG.rule_families:
        assert sum(s["family"] == family for s in trials) == CONFIG.trials_per_family
    assert planned_trials(CONFIG, []) is None


def test_constants_of_a_race_begin_with_two_seeds_and_the_best_few_get_the_rest():
    begun = [s for s in drive(RACING, 3).values() if s["family"] == "fixed"]
    assert {tuple(s["seeds"]) for s in begun} == {(0, 1), (2, 3, 4)}
    promoted = [s["fixed.weight"] for s in begun if s["seeds"] == [2, 3, 4]]
    assert len(promoted) == RACING.constant.promoted
    assert abs(statistics.fmean(promoted) - 0.3) < 0.2


def test_rounds_minding_two_students_keep_each_at_its_own_settings():
    config = load_config(
        "digits-quick",
        [
            FEW,
            "constant.most_trials=6",
            "trials_per_family=4",
            'space.students.wide={name="mlp",options={hidden=[64]}}',
        ],
    )
    begun = drive(config, 2)
    assert drive(config, 5, seed=3) == begun
    for student in ("base", "wide"):
        of_student = [s for s in first_heats(begun, config) if s["student"] == student]
        assert sum(s["family"] == "norm_balance" for s in of_student) == 4
