import math

import pytest
import torch

from trainables.config.trial import PolicySettings
from trainables.errors import ModelError
from trainables.training.loop import Distillation


def trained(settings, data, learning_rate, **training):
    more = settings.training.model_copy(update={"learning_rate": learning_rate, **training})
    trial = Distillation(settings.model_copy(update={"training": more}), data)
    list(trial.records())
    return trial


def poison(trial, seed, value=math.nan):
    for replicate in trial.replicates:
        if replicate.seed == seed:
            with torch.no_grad():
                next(replicate.student.parameters()).fill_(value)


def test_a_training_that_is_well_passes(settings, data):
    trained(settings, data, 1e-2).check_scores()


def test_a_student_whose_validation_loss_is_not_finite_fails_with_rule_rate_epoch_and_remedy(settings, data):
    settings = settings.model_copy(
        update={"policy": PolicySettings(family="fixed", parameters={"weight": 0.5}), "evaluations": 8}
    )
    trial = Distillation(settings, data)
    records = trial.records()
    for _ in range(3):
        next(records)
    trial.check_losses()
    poison(trial, 5)
    next(records)
    with pytest.raises(ModelError) as error:
        trial.check_losses()
    message = str(error.value)
    assert "validation loss became nan by epoch 4 of 8 (seed 5)" in message
    assert "`fixed` (λ = 0.5 throughout) with `learning_rate` = 0.01; lower the learning rate" in message
    next(records)
    with pytest.raises(ModelError, match="by epoch 4 of 8"):
        trial.check_losses()


def test_a_student_whose_validation_loss_is_not_finite_has_no_score(settings, data):
    trial = Distillation(settings, data)
    records = trial.records()
    next(records)
    poison(trial, 3)
    list(records)
    assert trial.history().score is None
    assert math.isfinite(trial.history().replicates[0].validation_accuracy)
    with pytest.raises(ModelError, match="seed 3"):
        trial.check_scores()


def test_a_trained_student_with_an_infinite_parameter_fails_though_its_loss_is_finite(settings, data):
    trial = trained(settings, data, 1e-2)
    with torch.no_grad():
        trial.replicates[1].student.register_parameter("idle", torch.nn.Parameter(torch.tensor([math.inf])))
    with pytest.raises(ModelError, match=r"some of its parameters are not by epoch 8 of 8 \(seed 5\)"):
        trial.check_scores()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_training_at_an_absurd_learning_rate_fails(settings, data, optimizer):
    trial = trained(settings, data, 1e30, optimizer=optimizer)
    with pytest.raises(ModelError, match="`learning_rate` = 1e\\+30"):
        trial.check_scores()
