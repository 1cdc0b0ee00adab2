"""A small student in double precision, its batches and calls of a balancer, for tests in one and in two processes."""

import torch
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, kl_div

from policies import FAMILIES
from policies.guard import Guard
from policies.guarding.intervention import Intervention

COUNT = 12
T = 4.0

FIXED = ("fixed", {"weight": 0.3})
FULL = ("norm_balance", {"measure_every": 2})
FULL_SCALED = ("upgrad", {"measure_every": 1, "smoothing": 0.0, "scale": "published"})
LAST_BLOCK = ("norm_balance", {"tier": "last_block", "measure_every": 2})
LOGIT = ("norm_balance", {"tier": "logit", "measure_every": 2})
LOSSES = ("loss_ratio", {"measure_every": 2})
SCHEDULE = ("linear_schedule", {"start": 0.9, "end": 0.1})
SAMPLES = ("sample_norm_balance", {})
RELIABILITY = ("class_reliability", {"trust": 0.7})
SAMPLES_RELIABILITY = ("sample_class_reliability", {"trust": 0.7})
HALVES = ("cosine_gate", {"pair": "halves", "measure_every": 2})
TEACHER = ("tree", {"root": "confidence", "low": "agreement", "measure_every": 1})

ON_TWO_LOSSES = [FIXED, FULL, FULL_SCALED, LAST_BLOCK, LOSSES, SCHEDULE]
ON_LOGITS = [*ON_TWO_LOSSES, LOGIT, SAMPLES, RELIABILITY, SAMPLES_RELIABILITY]


def named(rule):
    """Return a rule's name for a test's case."""
    return "-".join([rule[0], *([rule[1]["tier"]] if "tier" in rule[1] else [])])


class Alarmed(Guard):
    """A guard that raises an alarm at every step and replaces nothing."""

    def review(self, observation, decision, mixed_loss=None):
        verdict = super().review(observation, decision, mixed_loss)
        return verdict._replace(intervention=Intervention.DIVERGENCE.because("so it is said"))


def drawn(family, real):
    """Draw a family's parameters; `real` gives the values of a parameter that is a real number."""
    kinds = {
        "real": real,
        "integer": lambda p: st.integers(1, 4),
        "choice": lambda p: st.sampled_from(p.options),
    }
    parameters = st.fixed_dictionaries({name: kinds[p.kind](p) for name, p in FAMILIES[family].parameters().items()})
    return parameters.filter(lambda p: (p.get("tier"), p.get("pair")) != ("logit", "halves"))  # refused as a pair


def small_student():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    ).double()


def small_batches(count):
    """Return batches (inputs, labels, teacher's logits) of `COUNT` samples each."""
    torch.manual_seed(1)
    return [
        (torch.randn(COUNT, 6).double(), torch.randint(0, 3, (COUNT,)), 3 * torch.randn(COUNT, 3).double())
        for _ in range(count)
    ]


def two_losses(logits, labels, teacher):
    """Return (task, distillation), as in `backward_on_logits` but in double precision."""
    log_student = torch.log_softmax(logits / T, dim=1)
    distill = kl_div(log_student, torch.softmax(teacher / T, dim=1), reduction="batchmean") * T**2
    return cross_entropy(logits, labels), distill


def call(balancer, model, batch, *, entry="logits", share=1.0, **more):
    x, labels, teacher = batch
    logits = model(x)
    if entry == "logits":
        return balancer.backward_on_logits(logits, teacher, labels, share=share, **more)
    task, distill = two_losses(logits, labels, teacher)
    return balancer.backward(task * share, distill * share, **more)
