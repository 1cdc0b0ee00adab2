import dataclasses
import math
from typing import ClassVar

import pytest

from policies import FAMILIES, create_policy
from policies.families.schedules.fixed import Fixed
from policies.parameter import choice
from search.propose.proposal import propose
from search.propose.space import build_space, completed
from search.settings.search_file import load_config
from tests.search.plan.driving import tried
from trainables.suggestion import policy_parameters

CONFIG = load_config("digits-quick")


def ask(space, family):
    variables = {**space.shared, **space.own(family)}
    chosen = propose(variables, context={}, contexts={}, observed=[], sampler="random", seed=0, round_number=1)
    return completed(variables, chosen)


def tuned(config):
    """Return all suggestions of rules, with scores that reward a low learning rate."""
    suggestions = tried(config, lambda suggestion: -suggestion["learning_rate"])
    return [suggestion for suggestion in suggestions if suggestion["family"] != "fixed"]


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_suggestion_holds_all_and_only_what_its_family_needs(family):
    space = build_space(CONFIG.model_copy(update={"families": tuple(FAMILIES)}))
    suggestion = ask(space, family)
    expected = {"learning_rate", "temperature"} | {f"{family}.{n}" for n in FAMILIES[family].parameters()}
    assert set(suggestion) == expected
    create_policy(family, policy_parameters({"family": family, **suggestion}))


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
    assert 0.4 <= ask(space, "fixed")["fixed.weight"] <= 0.6
    suggestion = ask(space, "cosine_threshold")
    assert suggestion["cosine_threshold.smoothing"] == 0.5
    assert isinstance(suggestion["cosine_threshold.measure_every"], int)


@dataclasses.dataclass(kw_only=True, eq=False)
class WithChoices(Fixed):
    """A constant with two choices, one of which is searched."""

    family: ClassVar[str] = "with_choices"

    feature: str = choice("cosine", options=("norm_ratio", "cosine", "none"), meaning="what is looked at")
    tier: str = choice("full", options=("full", "logit"), searched=False, meaning="where it is measured")


@pytest.fixture
def with_choices(monkeypatch):
    monkeypatch.setitem(FAMILIES, "with_choices", WithChoices)
    return lambda *overrides: load_config("digits-quick", ['families=["with_choices"]', *overrides])


def test_a_searched_choice_takes_every_option_and_starts_at_its_default(with_choices):
    suggestions = tuned(with_choices("trials_per_family=20"))
    assert suggestions[0]["with_choices.feature"] == "cosine"
    assert {s["with_choices.feature"] for s in suggestions} == {"norm_ratio", "cosine", "none"}
    assert {s["with_choices.tier"] for s in suggestions} == {"full"}
    create_policy("with_choices", policy_parameters(suggestions[-1]))


def test_a_choice_that_pays_is_chosen_more_often(with_choices):
    config = with_choices("trials_per_family=40", "space.policies.with_choices.weight=0.5", "space.learning_rate=0.01")
    suggestions = tried(config, lambda suggestion: 0.5 + 0.1 * (suggestion["with_choices.feature"] == "none"))
    chosen = [suggestion["with_choices.feature"] for suggestion in suggestions]
    assert chosen[-20:].count("none") > 10


def test_a_search_file_lists_and_fixes_options(with_choices):
    config = with_choices(
        'space.policies.with_choices.feature.choices=["none", "norm_ratio"]', "space.policies.with_choices.tier=logit"
    )
    space = build_space(config)
    feature, tier = (space.families["with_choices"][name] for name in ("feature", "tier"))
    assert feature.start() == "none"  # the default is not listed: the first is
    assert not tier.varies
    assert {ask(space, "with_choices")["with_choices.tier"] for _ in range(3)} == {"logit"}
    assert type(config).parse(config.model_dump(mode="json")) == config


def test_a_fixed_learning_rate_stays_fixed():
    config = load_config("digits-quick", ["space.learning_rate=0.02", "trials_per_family=5", "constant.most_trials=5"])
    assert {s["learning_rate"] for s in tried(config, lambda _: 0.5)} == {0.02}


def test_what_all_families_show_of_the_learning_rate_steers_later_rounds():
    config = load_config("digits-quick", ['families=["norm_balance", "upgrad"]', "trials_per_family=20"])
    late = [s["learning_rate"] for s in tuned(config)[24:]]
    assert sorted(late)[len(late) // 2] < 0.006  # the range is 0.001 to 0.1, and low rates score better


def test_a_weaker_family_is_searched_as_closely_as_a_stronger_one():
    config = load_config(
        "digits-quick",
        ['families=["norm_balance", "cosine_ramp"]', "trials_per_family=30", "space.learning_rate=0.01"],
    )
    low, high = FAMILIES["norm_balance"].parameters()["balance"].search

    def score(suggestion):  # `cosine_ramp` is always far ahead
        if suggestion["family"] == "cosine_ramp":
            return 0.9
        return 0.5 - (math.log(suggestion["norm_balance.balance"]) / math.log(high / low)) ** 2

    late = [s["norm_balance.balance"] for s in tried(config, score) if s["family"] == "norm_balance"][-12:]
    assert sum(0.5 < value < 2.0 for value in late) >= 6
