import pytest

from policies import PolicyError
from trainables.suggestion import apply_suggestion, policy_parameters


def test_a_suggestion_sets_policy_learning_rate_and_temperature(settings):
    trial = apply_suggestion(
        settings,
        {"family": "fixed", "fixed.weight": 0.25, "learning_rate": 0.5, "temperature": 2, "step_schedule.switch": 0.3},
    )
    assert (trial.policy.family, trial.policy.parameters) == ("fixed", {"weight": 0.25})
    assert (trial.training.learning_rate, trial.temperature) == (0.5, 2.0)
    assert trial.training.epochs == settings.training.epochs


def test_what_is_not_suggested_stays(settings):
    trial = apply_suggestion(settings, {"family": "norm_balance"})
    assert (trial.training, trial.temperature) == (settings.training, settings.temperature)


def test_an_invalid_suggestion_is_told(settings):
    with pytest.raises(PolicyError, match=r"fixed\.weight.*got 3"):
        apply_suggestion(settings, {"family": "fixed", "fixed.weight": 3})


def test_only_the_familys_own_parameters_count():
    assert policy_parameters({"family": "fixed", "fixed.weight": 0.5, "cosine_schedule.start": 1}) == {"weight": 0.5}
