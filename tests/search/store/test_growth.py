"""A search that has begun may change in its size, and in nothing on which its trials depend."""

import pytest

from search.errors import KDPolicySearchError, SearchError
from search.records.search import BudgetEnd, SearchRecord
from search.settings.search_file import load_config
from search.store.checks import check_unchanged
from search.store.growth import confirmation_overrides, continued, grown

CONFIG = load_config("digits-quick", ["trials_per_family=4"])
BEGUN = SearchRecord(name=CONFIG.name, config=CONFIG.model_dump(mode="json"))


def refused(*overrides):
    with pytest.raises(SearchError) as caught:
        grown(BEGUN, overrides)
    return str(caught.value)


def test_a_search_grows_in_every_part_of_its_size():
    more = [*CONFIG.families, "linear_schedule"]
    families = f"families={list(more)}".replace("'", '"')
    config = grown(
        BEGUN,
        [
            families,
            "trials_per_family=6",
            "replicates=5",
            "constant.most_trials=50",
            "space.policies.linear_schedule.start=0.5",
        ],
    )
    assert config.earlier_sizes == (CONFIG.size,)
    assert (config.trials_per_family, config.replicates, config.constant.most_trials) == (6, 5, 50)
    assert config.families == (*CONFIG.families, "linear_schedule")
    assert [heat.seeds for heat in config.heats] == [CONFIG.seeds, tuple(range(CONFIG.replicates, 5))]


def test_nothing_that_changes_nothing_makes_a_size():
    assert grown(BEGUN, []) == CONFIG
    free = grown(BEGUN, ["budget=3h", "resources.max_concurrent=1", "confirm.seeds=20"])
    assert free.earlier_sizes == ()
    assert (free.budget, free.resources.max_concurrent, free.confirm.seeds) == ("3h", 1, 20)


def test_a_search_does_not_shrink():
    told = refused("trials_per_family=2", "replicates=1", "constant.most_trials=3", 'families=["fixed"]')
    for name, old in (("trials_per_family", 4), ("replicates", CONFIG.replicates), ("constant.most_trials", 40)):
        assert f"`{name}` was {old} and may only grow, since a search keeps all that it has" in told
    assert "`families` must keep cosine_schedule" in told


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("seed=3", "`seed` was 0 and now is 3; it decides the initial weights"),
        ("training.epochs=3", "all trials were trained so"),
        ("data.validation_size=99", "all trials were trained and compared on it"),
        ('student.name="cnn"', "rules are compared under the same students"),
        ("teacher.seed=4", "all trials were taught by it"),
        ("sampler=tpe", "what was proposed depends on it"),
        ("racing=true", "the seeds of the trials so far were given out by it"),
        ("space.policies.norm_balance.balance=1.0", "what was proposed depends on it"),
        ("resources.cpus_per_trial=2", "`resources.max_concurrent` may change"),
        ("earlier_sizes=[]", ""),
        ("name=other", "it is the name of the search's folder"),
    ],
)
def test_what_cannot_change_is_named_with_the_reason(override, reason):
    if not reason:
        assert grown(BEGUN, [override]) == CONFIG
        return
    assert reason in refused(override)


def test_all_that_cannot_change_is_named_at_once_and_mistakes_are_mistakes():
    told = refused("seed=3", "training.epochs=3", "trials_per_family=1")
    assert [name for name in ("`seed`", "`training.epochs`", "`trials_per_family`") if name not in told] == []
    with pytest.raises(KDPolicySearchError, match="Did you mean 'replicates'"):
        grown(BEGUN, ["replicate=5"])


def test_a_search_file_of_any_size_that_the_search_had_resumes_it():
    wide = grown(BEGUN, ["trials_per_family=6"])
    check_unchanged(CONFIG, wide)
    check_unchanged(wide, wide)
    with pytest.raises(SearchError, match=r"resume .* --set trials_per_family=…"):
        check_unchanged(load_config("digits-quick", ["trials_per_family=5"]), wide)
    with pytest.raises(SearchError, match="`seed` was 0 and now is 1"):
        check_unchanged(load_config("digits-quick", ["trials_per_family=4", "seed=1"]), wide)
    begun = BEGUN.model_copy(update={"config": wide})
    assert continued(begun, CONFIG) == wide


def test_a_new_budget_opens_the_rounds_that_the_old_one_left():
    planned = load_config("digits-quick", ["budget=1h"])
    ended = planned.resized(trials_per_family=3)
    end = BudgetEnd(budget="1h", rounds=3, planned=planned.trials_per_family, seconds=3500.0, more_seconds=4000.0)
    begun = SearchRecord(name=planned.name, config=ended.model_dump(mode="json"), budget_end=end)
    check_unchanged(planned, ended)
    assert continued(begun, planned) == ended
    more = load_config("digits-quick", ["budget=4h"])
    for config in (continued(begun, more), grown(begun, ["budget=4h"])):
        assert (config.trials_per_family, config.budget) == (planned.trials_per_family, "4h")
        assert config.earlier_sizes == (planned.size,)
    assert grown(begun, ["budget=4h", "trials_per_family=5"]).trials_per_family == 5


def test_a_confirmation_takes_its_own_settings_and_how_many_train_at_a_time():
    given, resources, gates = confirmation_overrides(CONFIG, ["seeds=20", 'confirm.families=["fixed"]'])
    assert given == {"seeds": 20, "families": ("fixed",)}
    assert (resources, gates) == (None, None)
    given, resources, gates = confirmation_overrides(CONFIG, ["resources.max_concurrent=1"])
    assert (given, gates) == ({}, None)
    assert resources.max_concurrent == 1


def test_gates_may_change_at_any_time_since_no_trial_depends_on_them():
    given, resources, gates = confirmation_overrides(CONFIG, ["gates.accuracy=>= 0.9"])
    assert (given, resources, gates) == ({}, None, {"accuracy": ">= 0.9"})
    assert grown(BEGUN, ["gates.accuracy=>= 0.9"]).gates == {"accuracy": ">= 0.9"}
    assert continued(BEGUN, CONFIG.model_copy(update={"gates": {"loss": "<= 1"}})).gates == {"loss": "<= 1"}


def test_a_confirmation_changes_nothing_else():
    with pytest.raises(SearchError, match="(?s)may change:.*`seed` was 0 and now is 3.*`budget`"):
        confirmation_overrides(CONFIG, ["seed=3", "budget=1h", "seeds=4"])
    with pytest.raises(KDPolicySearchError, match="(?s)`confirm.seeds` should be.*`confirm.famlies`.*'families'"):
        confirmation_overrides(CONFIG, ["seeds=1", 'confirm.famlies=["fixed"]'])
