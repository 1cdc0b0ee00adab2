"""Seeds trained in parts equal the trial that trains them side by side."""

import pytest

from trainables.config.trial import PolicySettings
from trainables.records.heats import join_heats
from trainables.suggestion import apply_suggestion
from trainables.training.loop import Distillation


def history(settings, data, seeds):
    trial = Distillation(settings.model_copy(update={"seeds": seeds}), data)
    for _ in trial.records():
        pass
    return trial.history()


def approximately(record, expected, *, but):
    for name, value in expected.model_dump().items():
        if name not in but and value is not None:
            assert getattr(record, name) == pytest.approx(value), name


def test_heats_joined_are_the_seeds_trained_side_by_side(settings, data):
    whole = history(settings, data, (3, 5, 7))
    joined = join_heats([history(settings, data, (3,)), history(settings, data, (5, 7))], settings.objective)
    # Equal to the last bit: a student does not depend on the others.
    assert joined.replicates == whole.replicates
    assert (joined.score, joined.score_std) == (whole.score, whole.score_std)
    assert (joined.decisions, joined.skipped_steps) == (whole.decisions, whole.skipped_steps)
    assert joined.policy == whole.policy
    assert len(joined.epochs) == len(whole.epochs)
    assert len(joined.trace) == len(whole.trace)
    for ours, theirs in zip(joined.epochs, whole.epochs, strict=True):
        approximately(ours, theirs, but={"seconds"})
    for ours, theirs in zip(joined.trace, whole.trace, strict=True):
        approximately(ours, theirs, but=())
    assert joined.training_seconds == pytest.approx(sum(record.seconds for record in joined.epochs))


def test_one_heat_is_its_own_history(settings, data):
    alone = history(settings, data, (3, 5))
    assert join_heats([alone], settings.objective) is alone


def test_a_suggestion_names_the_seeds_of_its_heat(settings):
    settings = settings.model_copy(update={"policy": PolicySettings(family="fixed")})
    assert apply_suggestion(settings, {"family": "fixed", "seeds": [5]}).seeds == (5,)
    assert apply_suggestion(settings, {"family": "fixed"}).seeds == settings.seeds
