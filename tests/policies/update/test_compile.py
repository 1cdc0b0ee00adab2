"""Students compiled by `torch.compile` train as they would without it."""

import shutil

import pytest
import torch
import torch._functorch.config

from policies import LossBalancer, PolicyError, create_policy
from policies.update.ranks import Ranks
from tests.policies.small_training import FIXED, FULL, LAST_BLOCK, LOGIT, SAMPLES, call, named


@pytest.fixture(autouse=True)
def as_found():
    """Restore the process-wide setting, and reset compiled code."""
    before = torch._functorch.config.donated_buffer
    torch.compiler.reset()
    yield
    torch._functorch.config.donated_buffer = before
    torch.compiler.reset()


def needs_a_compiler(backend):
    if backend == "inductor" and shutil.which("g++") is None:
        pytest.skip("inductor needs a C++ compiler on a CPU")


def student():
    """Return a student whose activations are unused after the backward pass, so that a compiler may overwrite them."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.GELU(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 8), torch.nn.GELU()
    ).append(torch.nn.Linear(8, 3))


def batches():
    torch.manual_seed(1)
    return [(torch.randn(7, 6), torch.randint(0, 3, (7,)), torch.randn(7, 3)) for _ in range(3)]


def trained(rule, compiled, entry):
    model = student()
    called = compiled(model)
    balancer = LossBalancer(create_policy(*rule), called)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    gradients, weights = [], []
    for batch in batches():
        optimizer.zero_grad()
        weights.append(call(balancer, called, batch, entry=entry).decision.weight)
        gradients.append([p.grad.clone() for p in model.parameters()])
        optimizer.step()
    return weights, gradients


def assert_same_gradients(model, called, twin, balancers, batch):
    for one, balancer in zip((called, twin), balancers, strict=True):
        one.zero_grad()
        call(balancer, one, batch, entry="losses")
    for mine, expected in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, expected.grad, rtol=1e-4, atol=1e-6)


def later(rule):
    """Return the rule, but measuring only after a plain backward pass has been compiled."""

    class Later(type(create_policy(*rule))):
        def measures_at(self, step):
            return step % 2 == 1

    return Later.from_parameters(rule[1])


@pytest.mark.parametrize(
    ("rule", "entry", "backend"),
    [
        (FIXED, "losses", "aot_eager"),
        *((FULL, "losses", backend) for backend in ("aot_eager", "inductor")),
        (LAST_BLOCK, "losses", "aot_eager"),
        (LOGIT, "logits", "aot_eager"),
        *((SAMPLES, "logits", backend) for backend in ("aot_eager", "inductor")),
    ],
    ids=lambda case: case if isinstance(case, str) else named(case),
)
def test_a_compiled_student_trains_as_an_uncompiled_one(rule, entry, backend):
    needs_a_compiler(backend)
    mine = trained(rule, lambda model: torch.compile(model, backend=backend), entry)
    expected = trained(rule, lambda model: model, entry)
    assert mine[0] == pytest.approx(expected[0], rel=1e-4)
    torch.testing.assert_close(mine[1], expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("in_place", [False, True], ids=["torch.compile(module)", "module.compile()"])
def test_a_measurement_after_a_plain_pass_walks_the_compiled_graph_twice(backend, in_place):
    needs_a_compiler(backend)
    model, twin = student(), student()
    called = model
    if in_place:
        model.compile(backend=backend)
    else:
        called = torch.compile(model, backend=backend)
    balancers = [LossBalancer(later(FULL), called), LossBalancer(later(FULL), twin)]
    for batch in batches():
        assert_same_gradients(model, called, twin, balancers, batch)


def test_what_was_compiled_to_be_walked_once_is_told_with_the_remedy():
    """A balancer that is given parameters cannot see that a module is compiled."""
    model = student()
    called = torch.compile(model, backend="aot_eager")
    balancer = LossBalancer(later(FULL), list(model.parameters()))
    batch = batches()[0]
    call(balancer, called, batch, entry="losses")
    with pytest.raises(PolicyError, match=r"donated_buffer = False.*before"):
        call(balancer, called, batch, entry="losses")


def test_what_was_compiled_before_the_balancer_came_is_compiled_again():
    """Otherwise a pass that was compiled to be the last would overwrite what the second one reads."""
    model, twin = student(), student()
    called = torch.compile(model, backend="aot_eager")
    batch = batches()[0]
    called(batch[0]).sum().backward()
    balancers = [LossBalancer(create_policy(*FULL), called), LossBalancer(create_policy(*FULL), twin)]
    assert_same_gradients(model, called, twin, balancers, batch)


@pytest.mark.parametrize("rule", [FIXED, LOGIT, SAMPLES], ids=named)
def test_rules_of_one_pass_leave_the_compilers_settings_alone(rule):
    before = torch._functorch.config.donated_buffer
    LossBalancer(create_policy(*rule), torch.compile(student(), backend="aot_eager"))
    assert torch._functorch.config.donated_buffer == before


def test_the_ranks_of_a_compiled_wrapper_are_found():
    class Wrapped(torch.nn.parallel.DistributedDataParallel):
        """The part of a wrapper that is read, without other processes."""

        def __init__(self):
            torch.nn.Module.__init__(self)
            self.process_group = None

    assert Ranks.of(torch.compile(Wrapped(), backend="aot_eager")).count == 1
