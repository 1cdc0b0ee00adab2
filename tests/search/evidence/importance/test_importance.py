import random

import optuna
import pytest

from search.drawing.canvas import style
from search.evidence.importance.importance import INTERVAL_TRIALS, MINIMUM_TRIALS, _importance, importances
from search.report.figures.importance import importance_figure


def planted(trial, make_search, effect, count=16, family="norm_ratio_threshold", seed=3):
    """Return a search of one family whose score is `effect(parameters, learning_rate)` plus noise."""
    rng = random.Random(seed)
    trials = []
    for number in range(1, count + 1):
        parameters = {
            "threshold": 0.1 * 200 ** rng.random(),
            "above": rng.random(),
            "below": rng.random(),
            "smoothing": 0.99 * rng.random(),
        }
        learning_rate = 10 ** rng.uniform(-3, -1)
        score = effect(parameters, learning_rate) + rng.gauss(0, 0.003)
        trials.append(trial(number, family, (score,), parameters=parameters, learning_rate=learning_rate))
    return make_search(*trials)


def of_family(search, family="norm_ratio_threshold"):
    return next(item for item in importances(search) if item.family == family)


@pytest.mark.parametrize("name", ["above", "below"])
def test_the_parameter_that_matters_comes_first(trial, make_search, name):
    search = planted(trial, make_search, lambda parameters, _: 0.7 + 0.1 * parameters[name])
    item = of_family(search)
    assert item.shares[0].name == name
    assert item.shares[0].share > 0.5
    assert sum(share.share for share in item.shares) == pytest.approx(1.0)


def test_a_learning_rate_that_matters_comes_first(trial, make_search):
    search = planted(trial, make_search, lambda _, learning_rate: 0.8 if learning_rate > 0.01 else 0.6)
    assert of_family(search).shares[0].name == "learning_rate"
    together = importances(search)[0]
    # One family and one temperature leave a single setting that varies over all trials together.
    assert (together.family, together.shares) == (None, None)


def test_a_family_that_matters_comes_first_over_all_trials(trial, make_search):
    rng = random.Random(0)
    trials = [
        trial(
            n, family, (0.7 + 0.1 * (family == "fixed") + rng.gauss(0, 0.005),), learning_rate=rng.uniform(0.01, 0.02)
        )
        for n, family in enumerate(["fixed", "norm_balance"] * 8, start=1)
    ]
    together = importances(make_search(*trials))[0]
    assert together.family is None
    assert together.shares[0].name == "family"


def test_what_never_varied_has_no_share(trial, make_search):
    search = planted(trial, make_search, lambda parameters, _: parameters["above"])
    names = {share.name for share in of_family(search).shares}
    assert names == {"threshold", "above", "below", "smoothing", "learning_rate"}


def test_importances_are_the_same_each_time(full_search):
    first = importances(full_search)
    _importance.cache_clear()
    assert importances(full_search) == first


def test_few_trials_give_a_reason_instead(trial, make_search):
    search = planted(trial, make_search, lambda parameters, _: parameters["above"], count=MINIMUM_TRIALS - 1)
    item = of_family(search)
    assert item.shares is None
    assert item.reason == f"needs {MINIMUM_TRIALS} finished trials, has {MINIMUM_TRIALS - 1}"


def test_a_choice_that_matters_comes_first(trial, make_search):
    tiers = ("full", "logit", "last_block")
    trials = [
        trial(
            n,
            "norm_balance",
            (0.7 + 0.1 * (n % 3 == 1) + 0.001 * (n % 5),),
            parameters={"tier": tiers[n % 3], "balance": 0.1 + 0.2 * (n * 7 % 16)},
        )
        for n in range(1, 17)
    ]
    shares = of_family(make_search(*trials), "norm_balance").shares
    assert shares[0].name == "tier"
    assert shares[0].share > 0.5


def test_equal_scores_give_a_reason_instead(trial, make_search):
    trials = [trial(n, "fixed", (0.5,), parameters={"weight": n / 20}, learning_rate=n / 100) for n in range(1, 12)]
    item = of_family(make_search(*trials), "fixed")
    assert (item.shares, item.reason) == (None, "all scores are equal")


def test_values_outside_the_declared_range_are_taken_in(trial, make_search):
    trials = [
        trial(n, "norm_balance", (0.5 + n / 100,), parameters={"balance": 100.0 * n}, learning_rate=0.01 * n)
        for n in range(1, 12)
    ]
    assert of_family(make_search(*trials), "norm_balance").shares is not None


def test_a_search_without_trials_has_no_importances(make_search):
    (together,) = importances(make_search())
    assert together.shares is None


def test_optuna_stays_as_talkative_as_it_was(full_search, capsys):
    before = optuna.logging.get_verbosity()
    importances(full_search)
    assert optuna.logging.get_verbosity() == before
    assert capsys.readouterr().err == ""


def test_what_matters_is_named_with_an_interval(trial, make_search):
    item = of_family(planted(trial, make_search, lambda parameters, _: 0.7 + 0.1 * parameters["above"], count=24))
    first = item.shares[0]
    assert item.clear
    assert 0.0 < first.low < first.share < first.high <= 1.0
    assert first.low > item.shares[1].share
    assert item.sentence.startswith("Within norm ratio threshold, above mattered most (share 0.")
    assert "95 % interval" in item.sentence


def test_among_settings_without_an_effect_none_is_named(trial, make_search):
    searches = [planted(trial, make_search, lambda *_: 0.7, count=16, seed=seed) for seed in range(5)]
    items = [of_family(search) for search in searches]
    assert sum(item.clear for item in items) <= 1  # at most 5 % are promised
    assert all(item.clear or "cannot be told apart" in item.sentence for item in items)


def test_two_settings_that_matter_alike_are_not_told_apart(trial, make_search):
    item = of_family(planted(trial, make_search, lambda p, _: 0.7 + 0.1 * p["above"] + 0.1 * p["below"], count=24))
    assert not item.clear
    assert {share.name for share in item.shares[:2]} == {"above", "below"}


def test_few_trials_have_shares_but_no_interval(trial, make_search):
    search = planted(trial, make_search, lambda parameters, _: parameters["above"], count=INTERVAL_TRIALS - 1)
    item = of_family(search)
    assert item.shares[0].name == "above"
    assert {(share.low, share.high) for share in item.shares} == {(None, None)}
    assert (item.first_in, item.clear) == (None, False)
    assert "too few for an interval" in item.sentence


def test_a_setting_on_a_log_scale_is_weighed_as_it_was_drawn(trial, make_search):
    # Half of all draws lie below 1.4, but only a fifteenth of the range from 0.1 to 20.
    item = of_family(planted(trial, make_search, lambda p, _: 0.8 if p["threshold"] < 1.4 else 0.6, count=24))
    assert item.shares[0].name == "threshold"
    assert item.shares[0].share > 0.9


def test_the_student_is_one_of_the_settings(trial, make_search):
    rng = random.Random(0)
    trials = [
        trial(n, "fixed", (0.7 + 0.1 * (n % 2) + rng.gauss(0, 0.005),), learning_rate=rng.uniform(0.01, 0.02))
        for n in range(1, 25)
    ]
    trials = [t.model_copy(update={"student": "wide"}) if t.number % 2 else t for t in trials]
    together = importances(make_search(*trials))[0]
    assert together.shares[0].name == "student"
    assert together.clear


def test_in_a_race_all_trials_count_by_their_first_heat(trial, make_search):
    search = planted(trial, make_search, lambda parameters, _: 0.7 + 0.1 * parameters["above"], count=24)
    # Only three ran further seeds, so their scores mean something else.
    raced = [
        t.model_copy(update={"opening": t.history, "history": t.history.model_copy(update={"score": 0.0})})
        if t.number <= 3
        else t.model_copy(update={"status": "eliminated"})
        for t in search.trials
    ]
    assert of_family(make_search(*raced)) == of_family(search)


def test_the_figure_says_how_sure_each_block_is_and_leaves_out_what_cannot_be_told(trial, make_search):
    sure = planted(trial, make_search, lambda parameters, _: 0.7 + 0.1 * parameters["above"], count=24)
    with style():
        figure = importance_figure(importances(sure))
    assert "one stands out" in figure.svg
    assert "Whiskers" in figure.caption
    assert figure.finding.startswith("Within norm ratio threshold, above mattered most")
    assert figure.table.columns[3:] == ("share", "low", "high", "first_in")
    few = planted(trial, make_search, lambda parameters, _: parameters["above"], count=INTERVAL_TRIALS - 1)
    with style():
        assert importance_figure(importances(few)) is None
