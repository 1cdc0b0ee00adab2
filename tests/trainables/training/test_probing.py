"""Virtual steps are exact where they can be, and do not change the training."""

import copy

import numpy as np
import pytest
import torch

from policies.update.logits import LogitPair
from trainables.config.trial import ModelSettings, PolicySettings, TrainingSettings
from trainables.records.probes import STEP_KINDS, ProbeSettings
from trainables.training.probing import Prober, Surface, Twin, point_of, probe_replicate, probe_training
from trainables.training.replicate import Replicate

PROBING = ProbeSettings(probes=3, weights=(0.0, 0.5, 1.0), horizons=(1, 4), pictures=60)
STUDENTS = {
    "mlp, adam": ({"name": "mlp", "options": {"hidden": [16]}}, {"optimizer": "adam"}),
    "batch norm and max pooling, sgd": ({"name": "cnn", "options": {"widths": [4]}}, {"optimizer": "sgd"}),
    "dropout, adamw": ({"name": "wrn-10-1", "options": {"dropout": 0.3}}, {"optimizer": "adamw"}),
}


def replicate_of(settings, data, seed=3):
    return Replicate(settings, seed, data, data.augmentation(settings.augmentation))


def fixed(settings, weight):
    return settings.model_copy(update={"policy": PolicySettings(family="fixed", parameters={"weight": weight})})


def everything(replicate):
    """Return all that a training depends on, tensors by path."""
    found = {}

    def collect(path, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                collect(f"{path}.{key}", inner)
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                collect(f"{path}.{place}", inner)
        else:
            found[path] = value.clone() if isinstance(value, torch.Tensor) else copy.deepcopy(value)

    collect("", replicate.state_dict())
    return found


def same(one, other):
    assert one.keys() == other.keys()
    for path, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[path]), path
        else:
            assert value == other[path], path


@pytest.mark.parametrize("name", STUDENTS)
def test_a_training_with_probes_equals_one_without_to_the_last_bit(name, settings, data):
    student, training = STUDENTS[name]
    epochs = 1 if "wrn" in student["name"] else 3
    settings = settings.model_copy(
        update={
            "student": ModelSettings(**student),
            "training": TrainingSettings(epochs=epochs, batch_size=30, learning_rate=1e-2, **training),
        }
    )
    plain, probed = replicate_of(settings, data), replicate_of(settings, data)
    before = torch.get_rng_state()
    steps = [step for _ in range(epochs) for step in plain.train_epoch(frozenset())]
    places = list(probe_replicate(probed, PROBING))
    same(everything(plain), everything(probed))
    assert torch.equal(torch.get_rng_state(), before)
    assert [probe.weight for probe in places] == [steps[probe.step].decision.weight for probe in places]
    assert len(places) == 3


def test_a_probe_leaves_the_student_where_it_stands(settings, data):
    replicate = replicate_of(settings, data)
    list(replicate.train_epoch(frozenset()))
    gradients = [p.grad.clone() for p in replicate.student.parameters()]
    before = everything(replicate)
    Prober(replicate, PROBING).look(2)
    same(before, everything(replicate))
    assert all(torch.equal(p.grad, g) for p, g in zip(replicate.student.parameters(), gradients, strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_virtual_step_is_the_step_that_the_training_would_take(optimizer, settings, data):
    training = settings.training.model_copy(update={"optimizer": optimizer})
    settings = fixed(settings, 0.7).model_copy(update={"training": training})
    replicate = replicate_of(settings, data)
    for epoch in range(2):
        order = replicate.order_of(epoch)
        batches = list(replicate.batches_in(order, epoch))
        steps, twin = replicate.train_epoch(frozenset()), Twin(replicate)
        for batch in batches:
            twin.reset()
            twin.step(batch, 0.7)
            next(steps)
            assert torch.equal(twin.point, point_of(replicate.student))
        next(steps, None)


def test_what_a_horizon_tells_is_what_the_training_comes_to(settings, data):
    settings = fixed(settings, 0.5)
    replicate, later = replicate_of(settings, data), replicate_of(settings, data)
    probe = Prober(replicate, ProbeSettings(probes=1, weights=(0.0, 0.5, 1.0), horizons=(1, 3), pictures=60)).look(0)
    prober = Prober(later, PROBING)
    losses = [held_out_losses(prober)]
    for _ in range(2):
        losses += [held_out_losses(prober) for _ in later.train_epoch(frozenset())]
    change = (losses[3] - losses[0]).tolist()
    assert [probe.horizons[3][loss][1] for loss in ("task", "distill", "mean")] == pytest.approx(change, rel=1e-9)


def held_out_losses(prober):
    surface = Surface(prober.replicate.student, prober._held_out, temperature=4.0, label_smoothing=0.0, training=False)
    return surface.losses(point_of(prober.replicate.student)).mean(1)


def test_probes_near_the_end_leave_out_what_they_do_not_reach(settings, data):
    *_, last = probe_training(settings, 3, data, PROBING)
    assert last.step == replicate_of(settings, data).total_steps - 1
    assert list(last.horizons) == [1]


@pytest.mark.parametrize(("steps", "places"), [(3, 3), (40, 5), (120, 12), (300, 20), (100_000, 20)])
def test_a_short_training_has_fewer_probes_unless_their_number_is_given(steps, places):
    assert ProbeSettings().places(steps) == places
    assert ProbeSettings(probes=30).places(steps) == min(30, steps)


def test_a_training_is_looked_at_as_often_as_its_length_allows(settings, data):
    replicate = replicate_of(settings, data)
    probing = PROBING.model_copy(update={"probes": None, "horizons": (1,)})
    assert len(list(probe_replicate(replicate, probing))) == probing.places(replicate.total_steps) > 1


def test_batches_ahead_are_those_that_are_trained_on(settings, data):
    replicate = replicate_of(settings, data)
    prober = Prober(replicate, PROBING)
    for _ in range(2):
        list(replicate.train_epoch(frozenset()))
    ahead = list(prober._ahead(4))[:4]
    with replicate._random(3):
        third = list(replicate.batches())
    assert all(torch.equal(a.samples, b.samples) for a, b in zip(ahead, third, strict=False))
    assert len(list(prober._ahead(0))) == replicate.total_steps


class Parabola(Surface):
    """Both losses are squared errors of the logits, and the student is linear: third derivatives vanish."""

    def _pair(self, module, parameters, batch):
        inputs, labels, teacher = batch
        logits = torch.func.functional_call(module, parameters, (inputs,))
        wanted = torch.nn.functional.one_hot(labels, 10).to(logits.dtype)
        return (logits - wanted).square().sum(1), 3.0 * (logits - teacher).square().sum(1)


def test_of_a_quadratic_loss_the_second_order_is_exact_and_the_first_is_off_by_the_curvature(
    settings, data, monkeypatch
):
    monkeypatch.setattr("trainables.training.probing.Surface", Parabola)
    settings = settings.model_copy(update={"student": ModelSettings(name="mlp", options={"hidden": []})})
    probe = next(probe_training(settings, 3, data, PROBING))
    for kind in STEP_KINDS:
        for responses in (probe.steps[kind].batch, probe.steps[kind].held_out):
            for response in responses.values():
                true, first = np.array(response.true), np.array(response.first)
                size = np.abs(true).max()
                assert np.array(response.second) == pytest.approx(true, abs=1e-6 * size)
                assert (true - first).min() > 0.0  # ½ ΔᵀHΔ of a convex loss
                if response.halfway is not None:
                    assert np.array(response.halfway) == pytest.approx(true, abs=1e-9 * size)
    # ½ηκ·‖Δ‖²/η along g_t, by the record's curvature
    plain = probe.steps["plain"]
    bow = plain.held_out["task"].true[0] - plain.held_out["task"].first[0]
    assert bow == pytest.approx(0.5 * probe.task_curvature / probe.plain_rate * plain.lengths[0] ** 2, rel=1e-5)


def test_gradients_are_those_that_train_and_curvature_is_their_change(settings, data):
    replicate = replicate_of(settings, data)
    prober = Prober(replicate, PROBING)
    batch = next(prober._ahead(0))
    surface = Surface(
        replicate.student,
        [(batch.inputs, batch.labels, batch.targets)],
        temperature=4.0,
        label_smoothing=0.1,
        training=True,
    )
    point = point_of(replicate.student)
    pair = LogitPair(replicate.student(batch.inputs), batch.targets, batch.labels, temperature=4.0, label_smoothing=0.1)
    losses = surface.losses(point)
    assert losses[0].float() == pytest.approx(pair.task_losses, abs=1e-5)
    assert losses[1].float() == pytest.approx(pair.distill_losses, abs=1e-4)
    distill, task = pair.gradients(list(replicate.student.parameters()))
    found = surface.gradients(point)
    for row, gradients in ((0, task), (1, distill)):
        assert found[row].float() == pytest.approx(torch.cat([g.flatten() for g in gradients]), abs=1e-5)
    assert found[2] == pytest.approx(0.5 * (found[0] + found[1]))
    direction = torch.randn(len(point), dtype=torch.double, generator=torch.Generator().manual_seed(0))
    tiny = 1e-6
    change = (surface.gradients(point + tiny * direction) - surface.gradients(point - tiny * direction)) / (2 * tiny)
    bent = surface.bent(point, direction[None])[:, 0]
    assert bent.numpy() == pytest.approx(change[:2].numpy(), abs=1e-3 * float(change.abs().max()))


def test_three_kinds_of_steps_are_equally_long_at_one_half(settings, data):
    probe = next(probe_training(settings, 3, data, PROBING))
    lengths = {kind: probe.steps[kind].lengths for kind in STEP_KINDS}
    middles = [lengths[kind][1] for kind in STEP_KINDS]
    assert middles == pytest.approx([middles[0]] * 3)
    assert lengths["fixed_length"] == pytest.approx([middles[0]] * 3)
    ends = lengths["plain"]
    assert ends[2] / ends[0] == pytest.approx(probe.batch.norm_ratio)
    assert probe.steps["plain"].batch["task"].plain == pytest.approx(probe.steps["plain"].batch["task"].first)


def test_small_steps_of_a_smooth_student_are_what_the_first_order_says(settings, data):
    training = settings.training.model_copy(update={"learning_rate": 1e-6, "schedule": "constant"})
    smooth = ModelSettings(name="mlp", options={"hidden": []})
    settings = settings.model_copy(update={"training": training, "student": smooth})
    probe = next(probe_training(settings, 3, data, PROBING))
    for response in probe.steps["optimizer"].held_out.values():
        for prediction in ("first", "halfway"):
            assert getattr(response, prediction) == pytest.approx(response.true, rel=1e-3)


def test_standard_errors_are_those_of_the_pictures(settings, data):
    few, many = (
        next(probe_training(settings, 3, data, PROBING.model_copy(update={"pictures": count}))) for count in (40, 160)
    )
    ratios = np.array(few.steps["optimizer"].held_out["task"].error) / many.steps["optimizer"].held_out["task"].error
    assert ratios == pytest.approx([2.0] * 3, rel=0.4)
    gap = many.steps["optimizer"].held_out["task"]
    assert gap.gap_error[int(np.argmin(gap.true))] == 0.0
    assert many.steps["optimizer"].batch["task"].error is None
