"""Recomputed activations, and graphs that two passes walk."""

import pytest
import torch

from policies import LossBalancer, PolicyError, create_policy
from tests.policies.small_training import (
    FIXED,
    FULL,
    LAST_BLOCK,
    LOGIT,
    SAMPLES,
    call,
    named,
    small_batches,
    small_student,
)


class Recomputing(torch.nn.Module):
    """The small student, whose activations are recomputed in the backward pass."""

    def __init__(self, reentrant):
        super().__init__()
        self.student = small_student()
        self.reentrant = reentrant

    def forward(self, x):
        # The old way needs an input that requires a gradient.
        x = x.clone().requires_grad_()
        return torch.utils.checkpoint.checkpoint(self.student, x, use_reentrant=self.reentrant)


def gradients_of(model, rule, **more):
    (batch,) = small_batches(1)
    call(LossBalancer(create_policy(*rule), model), model, batch, **more)
    return [p.grad for p in model.parameters()]


@pytest.mark.parametrize("rule", [FIXED, FULL, LAST_BLOCK, LOGIT, SAMPLES], ids=named)
def test_recomputed_activations_change_nothing(rule):
    torch.testing.assert_close(gradients_of(Recomputing(False), rule), gradients_of(small_student(), rule))


@pytest.mark.parametrize("entry", ["logits", "losses"])
@pytest.mark.parametrize("rule", [FULL, LAST_BLOCK], ids=named)
def test_activations_recomputed_in_the_old_way_are_told_with_the_remedy(rule, entry):
    """PyTorch itself would leave the parameters behind them without a gradient, and give no message."""
    with pytest.raises(PolicyError, match="use_reentrant=False"):
        gradients_of(Recomputing(True), rule, entry=entry)


@pytest.mark.parametrize("rule", [FIXED, LOGIT, SAMPLES], ids=named)
def test_rules_of_one_pass_take_activations_recomputed_in_the_old_way(rule):
    torch.testing.assert_close(gradients_of(Recomputing(True), rule), gradients_of(small_student(), rule))
