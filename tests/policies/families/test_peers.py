"""Closed forms against TorchJD's implementations of the same methods.

Both get the same two gradients in double precision. Gradients that are nearly parallel are left out: TorchJD inverts or
regularises a nearly singular matrix there.
"""

import math

import pytest

from policies import Geometry, Observation, create_policy

torch = pytest.importorskip("torch")
aggregation = pytest.importorskip("torchjd.aggregation")

PAIRS = [(ratio, cosine) for ratio in (0.05, 0.5, 1.0, 3.0, 20.0) for cosine in (-0.95, -0.4, 0.0, 0.3, 0.9)]


@pytest.fixture(params=PAIRS, ids=str)
def gradients(request):
    """Return g_d above g_t, [2, P], in eight dimensions."""
    ratio, cosine = request.param
    basis, _ = torch.linalg.qr(torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    along, across = 0.7 * basis.T
    return torch.stack([ratio * (cosine * along + math.sqrt(1 - cosine**2) * across), along])


def decide(family, gradients, **parameters):
    policy = create_policy(family, {"smoothing": 0.0, "measure_every": 1, **parameters})
    distill, task = gradients
    geometry = Geometry(float(distill @ distill), float(task @ task), float(distill @ task))
    return policy.decide(Observation(step=0, progress=0.0, geometry=geometry, task_loss=1.0, distill_loss=1.0))


def update(decision, gradients):
    weights = torch.tensor([decision.weight, 1.0 - decision.weight], dtype=torch.float64)
    return decision.scale * weights @ gradients


def assert_same(ours, theirs, tolerance=1e-6):
    torch.testing.assert_close(ours, theirs, rtol=0.0, atol=tolerance * float(theirs.norm()))


def assert_parallel(ours, theirs, tolerance=1e-6):
    assert_same(ours / ours.norm(), theirs / theirs.norm(), tolerance)


def test_imtl_g_is_norm_balance(gradients):
    # TorchJD's weights add up to 1, as ours do.
    assert_same(update(decide("imtl_g", gradients), gradients), aggregation.IMTLG()(gradients))


def test_config_is_norm_balance_in_direction(gradients):
    assert_parallel(update(decide("config", gradients), gradients), aggregation.ConFIG()(gradients))


@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem that is not DPP")  # about its call of cvxpy
def test_nash_mtl_is_norm_balance_in_direction(gradients):
    pytest.importorskip("ecos")
    pytest.importorskip("cvxpy")
    theirs = aggregation.NashMTL(n_tasks=2, optim_niter=100)(gradients)
    if float((gradients @ theirs).min()) < 0.0:
        pytest.skip("ECOS failed and TorchJD returned its starting weights, which raise a loss: no bargain")
    assert_parallel(update(decide("nash_mtl", gradients), gradients), theirs, tolerance=1e-5)


def test_mgda(gradients):
    assert_same(update(decide("mgda", gradients), gradients), aggregation.MGDA()(gradients))


def test_pcgrad_is_twice_upgrad_at_even_preference(gradients):
    peer = aggregation.PCGrad()(gradients)
    assert_same(2.0 * update(decide("upgrad", gradients, scale="published"), gradients), peer)
    assert_parallel(update(decide("pcgrad", gradients), gradients), peer)


@pytest.mark.parametrize("preference", [0.1, 0.5, 0.8])
def test_upgrad(gradients, preference):
    pytest.importorskip("quadprog")
    linalg = pytest.importorskip("torchjd.linalg")
    peer = aggregation.UPGrad(
        torch.tensor([preference, 1.0 - preference], dtype=torch.float64),
        # By default TorchJD adds 1e-4 to the normalised Gramian's diagonal, which is much for unequal lengths.
        linalg.QuadprogProjector(norm_eps=0.0, reg_eps=0.0),
    )
    ours = update(decide("upgrad", gradients, preference=preference, scale="published"), gradients)
    assert_same(ours, peer(gradients))


@pytest.mark.parametrize("radius", [0.2, 0.4, 0.8])
def test_cagrad(gradients, radius):
    pytest.importorskip("cvxpy")
    peer = aggregation.CAGrad(c=radius, norm_eps=0.0)(gradients)
    assert_same(update(decide("cagrad", gradients, radius=radius, scale="published"), gradients), peer)


@pytest.mark.parametrize("decay", [0.01, 0.5])
def test_gradvac_over_several_steps(decay):
    ours = create_policy("gradvac", {"smoothing": 0.0, "measure_every": 1, "decay": decay, "scale": "published"})
    peer = aggregation.GradVac(beta=decay)
    generator = torch.Generator().manual_seed(1)
    branches = set()
    for step in range(40):
        gradients = torch.randn(2, 3, dtype=torch.float64, generator=generator)
        distill, task = gradients
        geometry = Geometry(float(distill @ distill), float(task @ task), float(distill @ task))
        decision = ours.decide(Observation(step=step, progress=0.0, geometry=geometry))
        branches.add(decision.branch)
        assert_same(update(decision, gradients), peer(gradients))
    assert branches == {0, 1}
