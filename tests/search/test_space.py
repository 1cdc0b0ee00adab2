import collections
import pickle

import optuna
import pytest

from policies import FAMILIES, create_policy
from search.config import load_config
from search.searcher import create_searcher
from search.space import build_space, first_points, is_baseline
from trainables.suggestion import policy_parameters

CONFIG = load_config("digits-quick")


def ask(space, **fixed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(fixed)
    trial = study.ask()
    constants = space(trial)
    return {**trial.params, **constants}


def tuned(config):
    """All suggestions of a search, told scores that reward a high λ and a low learning rate."""
    searcher = create_searcher(config)
    suggestions = []
    for number in range(config.total_trials):
        suggestion = searcher.suggest(str(number))
        suggestions.append(suggestion)
        score = suggestion.get("fixed.weight", 0.5) - suggestion["learning_rate"]
        searcher.on_trial_complete(str(number), {"score": score, "training_iteration": 1})
    return suggestions, searcher


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_suggestion_holds_all_and_only_what_its_family_needs(family):
    space = build_space(CONFIG.model_copy(update={"families": tuple(FAMILIES)}))
    suggestion = ask(space, family=family)
    expected = {"family", "learning_rate", "temperature"} | {f"{family}.{n}" for n in FAMILIES[family].parameters()}
    assert set(suggestion) == expected
    create_policy(family, policy_parameters(suggestion))


def test_a_search_file_narrows_fixes_and_widens():
    config = load_config(
        "digits-quick",
        [
            "space.policies.fixed.weight={low=0.4,high=0.6}",
            "space.policies.cosine_threshold.smoothing=0.5",
            "space.policies.cosine_threshold.measure_every={low=1.0,high=4.0}",
        ],
    )
    space = build_space(config)
    assert 0.4 <= ask(space, family="fixed")["fixed.weight"] <= 0.6
    suggestion = ask(space, family="cosine_threshold")
    assert suggestion["cosine_threshold.smoothing"] == 0.5
    assert isinstance(suggestion["cosine_threshold.measure_every"], int)


def test_space_is_picklable_since_a_snapshot_holds_it():
    space = build_space(CONFIG)
    assert pickle.loads(pickle.dumps(space)) == space


def test_every_family_gets_the_same_number_of_trials():
    points = first_points(CONFIG, build_space(CONFIG))
    assert len(points) == CONFIG.total_trials
    assert set(collections.Counter(p["family"] for p in points).values()) == {CONFIG.trials_per_family}


def test_the_searcher_keeps_to_the_shares_and_the_known_baselines():
    suggestions, _ = tuned(CONFIG)
    assert collections.Counter(s["family"] for s in suggestions) == dict.fromkeys(
        CONFIG.families, CONFIG.trials_per_family
    )
    constants = [s["fixed.weight"] for s in suggestions if s["family"] == "fixed"]
    assert constants[:4] == [0.9, 0.0, 0.5, 1.0]
    assert all(weight not in (0.9, 0.0, 0.5, 1.0) for weight in constants[4:])
    base = [s for s in suggestions if s["family"] == "fixed"][:4]
    assert {(s["learning_rate"], s["temperature"]) for s in base} == {(0.01, 4.0)}


def test_baselines_are_told_by_their_number():
    numbers = [n for n in range(1, CONFIG.total_trials + 1) if is_baseline(CONFIG, n, "fixed") and n % 6 == 1]
    assert numbers == [1, 7, 13, 19]
    assert not is_baseline(CONFIG, 2, "cosine_schedule")


def test_the_first_round_tries_every_familys_defaults():
    suggestions, _ = tuned(CONFIG)
    for suggestion in suggestions[:6]:
        defaults = create_policy(suggestion["family"]).values()
        assert policy_parameters(suggestion) == pytest.approx(defaults)


def test_a_seed_decides_the_whole_search():
    assert tuned(CONFIG)[0] == tuned(CONFIG)[0]
    other = CONFIG.model_copy(update={"seed": 1})
    assert tuned(CONFIG)[0] != tuned(other)[0]


def test_what_one_family_learns_of_the_learning_rate_serves_all():
    config = CONFIG.model_copy(update={"trials_per_family": 20})
    suggestions, _ = tuned(config)
    late = [s["learning_rate"] for s in suggestions[90:] if s["family"] == "norm_balance"]
    assert max(late) < 0.02  # of 0.003 to 0.03: the lower half is where the scores are better


def test_a_score_that_is_no_number_fails_the_trial_in_the_study():
    searcher = create_searcher(CONFIG)
    for number, score in enumerate((float("nan"), 0.5)):
        searcher.suggest(str(number))
        searcher.on_trial_complete(str(number), {"score": score, "training_iteration": 1})
    searcher.suggest("2")
    searcher.on_trial_complete("2", None, error=True)
    states = [t.state.name for t in searcher._ot_study.trials[:3]]
    assert states == ["FAIL", "COMPLETE", "FAIL"]


def test_a_restored_searcher_passes_over_trials_it_does_not_know(tmp_path):
    searcher = create_searcher(CONFIG)
    searcher.suggest("known")
    searcher.save(str(tmp_path / "state"))
    again = create_searcher(CONFIG)
    again.restore(str(tmp_path / "state"))
    again.on_trial_result("unknown", {"score": 1.0, "training_iteration": 1})
    again.on_trial_complete("unknown", {"score": 1.0})
    again.on_trial_complete("known", {"score": 0.7, "training_iteration": 3})
    again.on_trial_complete("known", {"score": 0.7, "training_iteration": 3})
    assert [t.value for t in again._ot_study.trials if t.state.name == "COMPLETE"] == [0.7]


def test_a_restored_searcher_suggests_what_it_would_have_suggested(tmp_path):
    def go_on(searcher, start, end):
        result = []
        for number in range(start, end):
            result.append(searcher.suggest(str(number)))
            searcher.on_trial_complete(str(number), {"score": number / 100, "training_iteration": 1})
        return result

    whole = create_searcher(CONFIG)
    expected = go_on(whole, 0, 40)
    first = create_searcher(CONFIG)
    go_on(first, 0, 20)
    first.save(str(tmp_path / "state"))
    second = create_searcher(CONFIG)
    second.restore(str(tmp_path / "state"))
    assert go_on(second, 20, 40) == expected[20:]
