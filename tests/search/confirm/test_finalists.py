"""The choice of finalists, from made-up searches."""

import pytest

from policies.registry import create_policy
from search.confirm.finalists import choose_finalists
from search.confirm.plan import plan_confirmation, settings_of
from search.errors import SearchError
from search.evidence import judge
from search.evidence.wording.growth import smaller_search_sentence
from search.records.search import SearchRecord, TrialRecord
from search.settings.confirmation import ConfirmationSettings
from tests.search.tiny import tiny_config
from trainables.errors import ConfigError
from trainables.records.conduct import Conduct
from trainables.records.trial import TrialHistory

CONFIG = tiny_config('families=["fixed", "norm_balance", "step_schedule"]')
A = {"learning_rate": 0.01, "temperature": 4.0}
B = {"learning_rate": 0.03, "temperature": 2.0}
C = {"learning_rate": 0.02, "temperature": 8.0}


def search(*trials, status="finished"):
    """Return a search of trials given as (family, score, shared, parameters); without a score a trial has failed."""
    records = []
    for number, (family, score, shared, parameters) in enumerate(trials, start=1):
        policy = create_policy(family, dict(parameters))
        records.append(
            TrialRecord(
                trial_id=f"t{number}",
                number=number,
                status="failed" if score is None else "finished",
                family=family,
                parameters=policy.values(),
                shared=shared,
                rule=policy.rule(),
                complexity=policy.complexity,
                history=TrialHistory(score=score),
            )
        )
    return SearchRecord(name="tiny", config=CONFIG.model_dump(mode="json"), status=status, trials=tuple(records))


def fixed(weight, score, shared=A):
    return "fixed", score, shared, {"weight": weight}


def rule(score, shared=A, **parameters):
    return "norm_balance", score, shared, parameters


def step(score, shared=A):
    return "step_schedule", score, shared, {}


def chosen(record, config=CONFIG, **settings):
    return choose_finalists(record, config, ConfirmationSettings(**settings)).finalists


def test_a_family_is_represented_by_its_best_trial_with_its_own_settings():
    finalists = chosen(search(fixed(0.5, 0.8), rule(0.7), rule(0.9, B, balance=2.0), rule(0.85, C)))
    best = finalists[0]
    assert (best.key, best.role, best.trial, best.search_score) == ("norm_balance", "rule", 3, 0.9)
    assert (best.shared, best.parameters["balance"]) == (B, 2.0)


def test_rules_come_best_first_then_the_best_constant_and_both_extremes_at_its_settings():
    finalists = chosen(search(fixed(0.5, 0.8, B), step(0.81, B), rule(0.9, B)))
    assert [f.key for f in finalists] == ["norm_balance", "step_schedule", "fixed-0.5", "fixed-0", "fixed-1"]
    assert [f.role for f in finalists[2:]] == ["constant", "labels_alone", "teacher_alone"]
    assert all(f.shared == B for f in finalists[2:])


def test_a_best_constant_that_rounds_to_1_is_another_finalist_than_the_teacher_alone():
    finalists = chosen(search(fixed(0.9999998, 0.8), rule(0.9)))
    roles = {f.key: f.role for f in finalists[1:]}
    assert roles == {"fixed-0.9999998": "constant", "fixed-0": "labels_alone", "fixed-1": "teacher_alone"}


def test_constants_are_retried_at_the_settings_of_the_best_rules():
    finalists = chosen(search(fixed(0.5, 0.8), fixed(0.9, 0.79), fixed(0.25, 0.78), rule(0.9, B), step(0.85, C)))
    retried = {f.key: f for f in finalists[5:]}
    # Better rules and weights come first; these are the first four of six.
    assert list(retried) == [
        "fixed-0.5-at-norm_balance",
        "fixed-0.9-at-norm_balance",
        "fixed-0.5-at-step_schedule",
        "fixed-0.25-at-norm_balance",
    ]
    assert retried["fixed-0.9-at-norm_balance"].shared == B
    assert retried["fixed-0.5-at-step_schedule"].shared == C
    assert all(f.trial is None and f.search_score is None for f in retried.values())


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_constants_than_asked_for_are_retried(most):
    record = search(fixed(0.5, 0.8), fixed(0.9, 0.79), fixed(0.25, 0.78), rule(0.9, B), step(0.85, C))
    assert len(chosen(record, more_constants=most)) == 5 + most


def test_who_would_come_twice_comes_once():
    finalists = chosen(search(fixed(1.0, 0.8), fixed(0.0, 0.7), fixed(0.5, 0.6), rule(0.9)))
    assert [f.key for f in finalists] == ["norm_balance", "fixed-1", "fixed-0", "fixed-0.5"]
    assert len({f.key for f in finalists}) == len(finalists)


def test_weights_that_hardly_differ_are_retried_once():
    finalists = chosen(search(fixed(0.5, 0.8), fixed(0.52, 0.79), fixed(0.9, 0.78), rule(0.9, B)))
    assert [f.key for f in finalists[4:]] == ["fixed-0.5-at-norm_balance", "fixed-0.9-at-norm_balance"]


def test_a_retried_constant_that_the_search_tried_carries_its_trial():
    finalists = chosen(search(fixed(0.5, 0.8), fixed(0.9, 0.79, B), rule(0.9, B)))
    tried = next(f for f in finalists if f.key == "fixed-0.9-at-norm_balance")
    assert (tried.trial, tried.search_score) == (2, 0.79)


def test_weights_a_tenth_apart_are_two_tries_also_where_binary_numbers_fall_short():
    finalists = chosen(search(fixed(1.0, 0.8), fixed(0.9, 0.79), rule(0.9, B)))
    assert [f.key for f in finalists[3:]] == ["fixed-1-at-norm_balance", "fixed-0.9-at-norm_balance"]


def test_labels_alone_and_teacher_alone_have_their_own_best_settings_where_they_were_tried():
    finalists = chosen(search(fixed(0.5, 0.8, A), fixed(0.0, 0.7, B), fixed(0.0, 0.6, C), fixed(1.0, 0.7, C)))
    own = {f.role: f for f in finalists if f.role in ("labels_alone", "teacher_alone")}
    assert (own["labels_alone"].shared, own["labels_alone"].search_score) == (B, 0.7)
    assert own["teacher_alone"].shared == C


def moved(low, high):
    """Return the conduct of a rule whose λ stayed between these."""
    return Conduct(
        steps=100,
        switches=0,
        weight_mean=(low + high) / 2,
        weight_range=(low, high),
        settled_range=(low, high),
        settled_mean=(low + high) / 2,
        branches=((0, 100),),
        settled_branches=(0,),
        scale_range=(1.0, 1.0),
    )


def did(record, number, conduct):
    """Return the search with the conduct of one trial's rule."""
    trials = [
        t.model_copy(update={"history": t.history.model_copy(update={"conduct": conduct})}) if t.number == number else t
        for t in record.trials
    ]
    return record.model_copy(update={"trials": tuple(trials)})


def test_a_rule_that_never_moved_is_confirmed_as_the_constant_that_it_was():
    selection = choose_finalists(
        did(search(fixed(0.5, 0.8), rule(0.9, B), step(0.85, C)), 2, moved(0.91, 0.91)), CONFIG, ConfirmationSettings()
    )
    assert [f.key for f in selection.finalists if f.role == "rule"] == ["step_schedule"]
    stands = next(f for f in selection.finalists if f.key == "fixed-0.91-as-norm_balance")
    assert (stands.role, stands.family, stands.shared, stands.complexity) == ("constant", "fixed", B, 1)
    assert "acted like a constant, so fixed-0.91-as-norm_balance takes its place" in selection.left_out["norm_balance"]


def test_families_that_come_to_the_same_constant_are_one_finalist():
    record = did(
        did(search(fixed(0.5, 0.8), rule(0.9, B), step(0.85, B)), 2, moved(0.91, 0.91)), 3, moved(0.912, 0.912)
    )
    selection = choose_finalists(record, CONFIG, ConfirmationSettings())
    assert [f.key for f in selection.finalists if "-as-" in f.key] == ["fixed-0.91-as-norm_balance"]
    assert "fixed-0.91-as-norm_balance" in selection.left_out["step_schedule"]
    # If it was tried as a constant anyway, that one stands for it.
    same = did(search(fixed(0.5, 0.8), rule(0.9, A)), 2, moved(0.5, 0.5))
    assert not [f for f in chosen(same) if "-as-" in f.key]


def test_ends_of_the_searched_range_are_told_for_rules_and_the_chosen_constant():
    config = tiny_config(
        'families=["fixed", "norm_balance", "step_schedule"]',
        "space.learning_rate={ low = 1e-3, high = 3e-2, log = true }",
    )
    record = search(fixed(0.5, 0.8, A), rule(0.9, B))
    facts = choose_finalists(record, config, ConfirmationSettings()).constant
    assert (facts.chosen, facts.bracketed) == ("fixed-0.5", False)
    (end,) = (end for end in facts.ends if end.setting == "learning_rate")
    assert (end.finalist, end.setting, end.end, end.value) == ("norm_balance", "learning_rate", "high", 0.03)


def test_families_that_are_left_out_are_named_with_the_reason():
    record = search(fixed(0.5, 0.8), rule(0.9), step(None))
    selection = choose_finalists(record, CONFIG, ConfirmationSettings(families=("step_schedule",)))
    assert selection.left_out == {
        "norm_balance": "not asked for",
        "step_schedule": "none of its trials has finished",
    }
    assert all(f.family == "fixed" for f in selection.finalists)


def test_given_constants_are_finalists_at_the_best_constants_settings_unless_they_have_their_own():
    record = search(fixed(0.6, 0.9, B), rule(0.8, B))
    given = [{"weight": 0.9, "temperature": 4.0}, {"weight": 0.2}]
    finalists = chosen(record, more_constants=0, constants=given)
    assert [(f.role, f.parameters["weight"], f.shared) for f in finalists[-2:]] == [
        ("constant", 0.9, {**B, "temperature": 4.0}),
        ("constant", 0.2, B),
    ]
    assert len({f.key for f in finalists}) == len(finalists)


def test_a_given_constant_that_is_a_finalist_already_is_trained_once():
    record = search(fixed(0.6, 0.9), rule(0.8))
    without = chosen(record, more_constants=0)
    assert chosen(record, more_constants=0, constants=[{"weight": 0.6}, {"weight": 0.0}]) == without


def test_a_given_constant_must_not_set_what_the_search_holds_at_one_value():
    given = [{"weight": 0.9, "temperature": 4.0}]
    config = tiny_config(
        'families=["fixed", "norm_balance", "step_schedule"]', "space={learning_rate={low=0.01, high=0.1}}"
    )
    with pytest.raises(
        SearchError, match=r"`confirm.constants\[0\].temperature` must belong to a setting that is searched"
    ):
        chosen(search(fixed(0.6, 0.9)), config, constants=given)
    with pytest.raises(ConfigError, match=r"`space.temperature` is not given"):
        tiny_config("space={learning_rate={low=0.01, high=0.1}}", "confirm.constants=[{weight=0.9, temperature=4.0}]")


def test_without_constants_in_the_search_the_usual_ones_stand_in():
    config = tiny_config('families=["norm_balance"]')
    finalists = chosen(search(rule(0.9, B)), config)
    assert [f.key for f in finalists] == ["norm_balance", "fixed-0", "fixed-1", "fixed-0.9", "fixed-0.5"]
    assert all(f.shared == B for f in finalists)


def test_a_search_without_searched_settings_has_constants_at_its_own():
    finalists = chosen(search(fixed(0.5, 0.8, {}), fixed(0.9, 0.7, {}), rule(0.9, {})))
    assert [f.key for f in finalists] == ["norm_balance", "fixed-0.5", "fixed-0", "fixed-1", "fixed-0.9"]
    assert all(f.shared == {} for f in finalists)


def test_a_search_in_which_nothing_finished_cannot_be_confirmed():
    with pytest.raises(SearchError, match="no trial of the search 'tiny' has finished"):
        chosen(search(fixed(0.5, None)))


def test_an_unknown_family_is_told_with_the_nearest_one():
    with pytest.raises(SearchError, match="got 'norm_balanse'. Did you mean 'norm_balance'"):
        chosen(search(fixed(0.5, 0.8)), families=("norm_balanse",))
    with pytest.raises(ConfigError, match="`confirm.families` must be among `families`.*got 'tree'"):
        tiny_config('confirm.families=["tree"]')
    with pytest.raises(ConfigError, match="`confirm.seeds` should be greater than or equal to 2, but got 1"):
        tiny_config("confirm.seeds=1")


def test_a_confirmation_goes_on_though_a_rule_is_worded_in_another_way_by_now():
    record = search(fixed(0.5, 0.90), rule(0.92))
    began = plan_confirmation(record, CONFIG, ConfirmationSettings(seeds=2), None).record
    trials = [t.model_copy(update={"rule": "λ, told otherwise."}) for t in record.trials]
    reworded = record.model_copy(update={"trials": tuple(trials)})
    goes_on = plan_confirmation(reworded, CONFIG, ConfirmationSettings(seeds=3), began).record
    assert goes_on.finalists == began.finalists
    trials = [t.model_copy(update={"shared": B}) for t in record.trials]
    with pytest.raises(SearchError, match="began with other finalists"):
        plan_confirmation(
            record.model_copy(update={"trials": tuple(trials)}), CONFIG, ConfirmationSettings(seeds=3), began
        )


def test_a_confirmation_of_a_search_that_has_grown_says_so_and_is_not_mixed_with_another():
    record = search(fixed(0.5, 0.90), rule(0.92))
    began = plan_confirmation(record, CONFIG, ConfirmationSettings(seeds=2), None).record
    assert began.searched == CONFIG.size
    assert smaller_search_sentence(record, began) == ""
    wide = CONFIG.resized(trials_per_family=6)
    same = record.model_copy(update={"config": wide})
    sentence = smaller_search_sentence(same, began)
    assert sentence.startswith("This confirmation is of the smaller search: 4 rules of each of 2 families")
    assert "The search has grown since, to 6 rules" in sentence
    verdict = judge(same, began).verdict
    assert verdict.caveat.startswith(sentence)
    # With the same finalists it goes on, as that of the larger search.
    plan = plan_confirmation(same, wide, ConfirmationSettings(seeds=3), began)
    assert (plan.record.searched, plan.record.identity) == (wide.size, began.identity)
    assert any("has grown since" in remark for remark in plan.remarks)
    better = search(fixed(0.5, 0.90), rule(0.92), rule(0.95, B, balance=2.0)).model_copy(update={"config": wide})
    with pytest.raises(SearchError, match="has grown since its confirmation began with other finalists.*move the"):
        plan_confirmation(better, wide, ConfirmationSettings(seeds=3), began)


def test_seeds_that_a_search_has_trained_since_are_not_fresh():
    record = search(fixed(0.5, 0.90), rule(0.92))
    began = plan_confirmation(record, CONFIG, ConfirmationSettings(seeds=2), None).record
    more = CONFIG.resized(replicates=3)
    with pytest.raises(SearchError, match="has trained on the seeds 2, which were fresh then"):
        plan_confirmation(record.model_copy(update={"config": more}), more, ConfirmationSettings(seeds=2), began)


def test_a_confirmation_of_an_earlier_release_is_of_the_first_size():
    record = search(fixed(0.5, 0.90), rule(0.92))
    old = plan_confirmation(record, CONFIG, ConfirmationSettings(seeds=2), None).record
    old = old.model_copy(update={"searched": None})
    assert smaller_search_sentence(record, old) == ""
    wide = record.model_copy(update={"config": CONFIG.resized(trials_per_family=6)})
    assert smaller_search_sentence(wide, old) != ""


def test_another_student_than_a_confirmation_began_with_is_told_as_such_with_both_ways_on():
    config = tiny_config('families=["fixed"]', 'space.students.wide={name="mlp", options={hidden=[48]}}')
    trials = search(fixed(0.5, 0.90), fixed(0.5, 0.92)).trials
    trials = tuple(t.model_copy(update={"student": s}) for t, s in zip(trials, ("base", "wide"), strict=True))
    two = SearchRecord(name="two", config=config.model_dump(mode="json"), status="finished", trials=trials)
    began = plan_confirmation(two, config, ConfirmationSettings(seeds=2), None).record
    assert began.finalists[0].student == "wide"  # the best trial's
    with pytest.raises(SearchError) as refused:
        plan_confirmation(two, config, ConfirmationSettings(seeds=2, student="base"), began)
    told = str(refused.value)
    assert "of the student 'wide', but got 'base'" in told
    assert "`kd-search confirm two` resumes it with 'wide'" in told
    assert "move the search's folder `confirm` aside (e.g. to `confirm-wide`" in told
    assert "--families" not in told
    assert "delete" not in told
    # The command that the message names continues.
    again = plan_confirmation(two, config, settings_of(config, began), began).record
    assert again.finalists == began.finalists


def test_what_is_worth_a_rule_is_kept_from_the_start_and_cannot_change_after_a_look():
    record = search(fixed(0.5, 0.90), rule(0.92))
    began = plan_confirmation(record, CONFIG, ConfirmationSettings(seeds=2, smallest_gain=1.0), None).record
    assert (began.smallest_gain, began.margin) == (1.0, 0.01)
    assert began.constant is not None
    assert began.constant.chosen == "fixed-0.5"
    on = plan_confirmation(record, CONFIG, settings_of(CONFIG, began, seeds=3), began).record
    assert (on.smallest_gain, on.identity) == (1.0, began.identity)
    with pytest.raises(SearchError, match=r"`smallest_gain` must stay as the confirmation of 'tiny' began \(1\)"):
        plan_confirmation(record, CONFIG, settings_of(CONFIG, began, smallest_gain=0.1), began)


def test_another_confirmation_of_a_search_is_another_use_of_the_test_set():
    record = search(fixed(0.5, 0.90), rule(0.92))
    one, other = (plan_confirmation(record, CONFIG, ConfirmationSettings(seeds=2), None).record for _ in range(2))
    assert one.identity != other.identity
