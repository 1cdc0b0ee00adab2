"""The search files of published settings: what they say, and a step-by-step comparison with the repositories' losses.

A training of each is compared with a plain PyTorch loop over the same batches, written as the repository describes it.
"""

import copy

import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy, kl_div, one_hot
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR
from torchvision import models

from search.prepare import prepare, rehearse
from search.settings import load_config
from search.settings.launch import Launch
from tests.examples.loading import EXAMPLES, example
from tests.search.tiny import QuietListener
from tests.trainables.checkpoints import published_networks as published
from tests.trainables.datasets.test_datasets import write_cifar
from trainables.config import PolicySettings, TrialSettings
from trainables.device import select_compute
from trainables.models import create_model
from trainables.suggestion import apply_suggestion
from trainables.training import Distillation, create_schedule, data_on_device, random_value

FOLDER = EXAMPLES / "published"
TEACHERS = {
    "repdistiller": lambda w, x: published.resnet(w, x, 8, 32, (64, 128, 256)),
    "mdistiller": lambda w, x: published.resnet(w, x, 8, 32, (64, 128, 256)),
    "torchdistill": lambda w, x: published.wide_resnet(w, x, 10, 2, torchdistill=True),
}
"""Shallower teachers than those of the files, which `tests/trainables/checkpoints/test_published.py` reads."""
PARAMETERS = {"repdistiller": 1_233_540, "mdistiller": 1_233_540, "torchdistill": 569_780}
NAMES = (*PARAMETERS, "torchvision")
SHORT = ["replicates=1", "evaluations=1", "trace_points=2", "device.device=cpu", "resources.gpus_per_trial=0"]
STAGES = ["training.epochs=4", "training.milestones=[1, 2, 3]", "training.batch_size=50"]


def read(name, *overrides):
    return load_config(str(FOLDER / f"{name}.toml"), list(overrides))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with made-up data, and a teacher's file as each repository writes it."""
    folder = tmp_path_factory.mktemp("published")
    write_cifar(folder / "data", classes=100)
    for name, forward in TEACHERS.items():
        weights = published.Weights()
        forward(weights, torch.zeros(1, 3, 32, 32))
        torch.save({"epoch": 240, "model": weights.state}, folder / f"{name}.pth")
    torch.manual_seed(0)
    torch.save(models.resnet50(num_classes=2).state_dict(), folder / "torchvision.pth")
    for part in ("train", "val", "test"):
        for label, colour in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
            (folder / "imagenet" / part / label).mkdir(parents=True)
            for number in range(12):
                picture = Image.new("RGB", (40, 40), tuple(value + number for value in colour))
                picture.save(folder / "imagenet" / part / label / f"{number}.png")
    return folder


def small(name, places, *overrides):
    """Read a file with made-up data of the right shape, and few of them."""
    if name == "torchvision":
        few = [f"data.root={places / 'imagenet'}", "data.image_size=32", "data.validation_size=24"]
        few += ["training.epochs=8", "training.batch_size=12", "augmentation.views=2"]
        few += [f"teacher.checkpoint={places / 'torchvision.pth'}"]
    elif name == "mdistiller":
        few = [f"task.options.checkpoint={places / 'mdistiller.pth'}", f"task.options.root={places / 'data'}"]
        few += ["task.options.validation_size=300", "task.options.taught_by=resnet8x4", *STAGES]
    else:
        few = [f"data.root={places / 'data'}", "data.train_size=100", "data.validation_size=100", *STAGES]
        few += [f"teacher.checkpoint={places / f'{name}.pth'}", "augmentation.views=1"]
        few += ["teacher.model.name=resnet8x4"] if name == "repdistiller" else ["teacher.model.name=wrn-10-2"]
        few += [] if name == "repdistiller" else ["student.name=wrn-10-1"]
    return read(name, *SHORT, *few, *overrides)


def training(config, places, tmp_path, family, **parameters):
    """Return a training as a search would begin it, under a rule."""
    launch = Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test")
    prepared = prepare(config, launch, QuietListener(), None)
    trial: TrialSettings = apply_suggestion(config.base_trial(), {"family": family})
    trial = trial.model_copy(update={"policy": PolicySettings(family=family, parameters=parameters)})
    return Distillation(trial, data_on_device(prepared.assets, select_compute(config.device)))


def in_plain_pytorch(replicate, rate, loss_of, forward=lambda network, inputs: network(inputs)):
    """Train a copy of a replicate's student for its first epoch, on the same batches; return its weights.

    Args:
        replicate: one that has not begun.
        rate: the learning rate of the repositories' SGD.
        loss_of: gives the loss from the student's and the teacher's logits and the labels.
        forward: gives a network's logits.
    """
    student = copy.deepcopy(replicate.student).train()
    optimizer = sgd(rate, 5e-4)(student.parameters())
    with torch.random.fork_rng():
        torch.manual_seed(random_value(replicate.seed, 1))  # the order, and views that are drawn at each step
        for batch in replicate.batches():
            loss = loss_of(forward(student, batch.inputs), batch.targets.float(), batch.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return student.state_dict()


def sgd(rate, decay):
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay)


def kd(student, teacher, temperature):
    """Return KL(teacher ‖ student) of softened answers, times T², as all of the repositories compute it."""
    softened = (student / temperature).log_softmax(1)
    return kl_div(softened, (teacher / temperature).softmax(1), reduction="batchmean") * temperature**2


def check_same(replicate, before, theirs):
    """Check that a replicate has changed as other weights have; another λ or momentum would change it by tenths."""
    after = replicate.student.state_dict()
    trained = [name for name, _ in replicate.student.named_parameters()]
    difference, change = (
        torch.cat([(one[name] - other[name]).flatten() for name in trained]).norm()
        for one, other in ((after, theirs), (theirs, before))
    )
    assert float(change) > 0
    assert float(difference / change) < 1e-3


# What the files say


@pytest.mark.parametrize(
    ("name", "marks", "gamma"),
    [
        ("repdistiller", [150, 180, 210], 0.1),
        ("mdistiller", [150, 180, 210], 0.1),
        ("torchdistill", [60, 120, 160], 0.2),
    ],
)
def test_the_learning_rate_is_that_of_pytorchs_milestones_throughout(name, marks, gamma):
    settings = read(name).training
    ours, theirs = (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=settings.learning_rate) for _ in range(2))
    schedule, expected = create_schedule(ours, settings, 3 * settings.epochs), MultiStepLR(theirs, marks, gamma)
    for _ in range(settings.epochs):
        for _ in range(3):
            assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
            ours.step()
            schedule.step()
        theirs.step()
        expected.step()


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # PyTorch's own, in its SequentialLR
def test_the_learning_rate_is_that_of_torchvisions_warm_up_and_cosine_throughout():
    settings = read("torchvision").training
    ours, theirs = (torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.5) for _ in range(2))
    schedule = create_schedule(ours, settings, 2 * settings.epochs)
    parts = [LinearLR(theirs, start_factor=0.01, total_iters=5), CosineAnnealingLR(theirs, T_max=595)]
    expected = SequentialLR(theirs, parts, milestones=[5])
    for _ in range(settings.epochs):
        for _ in range(2):
            assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-6)
            ours.step()
            schedule.step()
        theirs.step()
        expected.step()


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_student_has_the_published_number_of_weights(name):
    config = read(name)
    if config.task is not None:
        student = example("published/dkd").DKD().student()
    else:
        student = create_model(config.student, image_shape=(3, 32, 32), classes=100)
    assert sum(parameter.numel() for parameter in student.parameters()) == PARAMETERS[name]


def test_torchvisions_file_decays_no_normalisation(places, tmp_path):
    begun = training(small("torchvision", places), places, tmp_path, "fixed", weight=0.5)
    (replicate,) = begun.replicates
    decayed, norms = replicate.optimizer.param_groups
    expected = {
        id(parameter)
        for module in replicate.student.modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for parameter in module.parameters()
    }
    assert {id(parameter) for parameter in norms["params"]} == expected
    assert (decayed["weight_decay"], norms["weight_decay"]) == (2e-5, 0.0)
    assert len(decayed["params"]) + len(norms["params"]) == len(list(replicate.student.parameters()))
    assert not decayed["nesterov"]
    (record,) = [record for record in begun.records() if record is not None]
    assert record.epoch == 8


# Trainings, compared with plain PyTorch


@pytest.mark.parametrize(
    ("name", "weight", "rate", "loss_of"),
    [
        # loss = gamma * cls + alpha * div, with -r 0.1 -a 0.9
        ("repdistiller", 0.9, 0.05, lambda s, t, y: 0.1 * cross_entropy(s, y) + 0.9 * kd(s, t, 4.0)),
        # KDLoss: alpha * hard + (1 - alpha) * T^2 * soft, with alpha 0.9
        ("torchdistill", 0.1, 0.1, lambda s, t, y: 0.9 * cross_entropy(s, y) + (1 - 0.9) * kd(s, t, 4.0)),
    ],
)
def test_a_training_takes_the_steps_of_the_repositorys_kd(name, weight, rate, loss_of, places, tmp_path):
    begun = training(small(name, places), places, tmp_path, "fixed", weight=weight)
    (replicate,) = begun.replicates
    before = copy.deepcopy(replicate.student.state_dict())
    theirs = in_plain_pytorch(replicate, rate, loss_of)
    next(begun.records())
    check_same(replicate, before, theirs)
    assert replicate.optimizer.param_groups[0]["lr"] == pytest.approx(rate * begun.settings.training.gamma)


def dkd(student, teacher, labels, alpha, beta, temperature):
    """Decoupled distillation by its definition (arXiv 2203.08679, eq. 7), with probabilities."""
    own = one_hot(labels, student.shape[1]).double()
    p, q = ((logits.double() / temperature).softmax(1) for logits in (teacher, student))
    p_label, q_label = ((values * own).sum(1) for values in (p, q))
    target = p_label * (p_label / q_label).log() + (1 - p_label) * ((1 - p_label) / (1 - q_label)).log()
    p_others, q_others = ((values * (1 - own)) / (1 - label)[:, None] for values, label in ((p, p_label), (q, q_label)))
    others = (p_others * ((p_others + own) / (q_others + own)).log()).sum(1)  # the label's term is 0 · log 1
    return temperature**2 * (alpha * target + beta * others).mean()


def test_dkds_weights_with_its_warm_up_take_the_steps_of_mdistiller(places, tmp_path):
    begun = training(small("mdistiller", places), places, tmp_path, "weighted_sum", epochs=4, warm_up=2)
    (replicate,) = begun.replicates
    before = copy.deepcopy(replicate.student.state_dict())
    theirs = in_plain_pytorch(
        replicate,
        0.05,
        # ce + min(epoch / warmup, 1) * dkd, in epoch 1 of a warm-up of 2
        lambda s, t, y: cross_entropy(s, y) + 0.5 * dkd(s, t, y, 1.0, 8.0, 4.0),
        example("published/dkd").DKD().forward,
    )
    next(begun.records())
    check_same(replicate, before, theirs)


@pytest.mark.parametrize(("task_weight", "distill_weight"), [(1.0, 1.0), (1.0, 8.0), (0.5, 0.5), (0.1, 0.9)])
def test_any_two_weights_are_a_weight_between_0_and_1_at_another_learning_rate(task_weight, distill_weight):
    """SGD at λ = b / (a + b) needs the learning rate times (a + b), and the weight decay over (a + b)."""
    torch.manual_seed(0)
    inputs, labels, teacher = torch.randn(8, 5), torch.randint(3, (8,)), torch.randn(8, 3)
    theirs = torch.nn.Linear(5, 3)
    ours = copy.deepcopy(theirs)
    total = task_weight + distill_weight
    weight = distill_weight / total
    for network, optimizer, task, distill in (
        (theirs, sgd(0.05, 5e-4)(theirs.parameters()), task_weight, distill_weight),
        (ours, sgd(0.05 * total, 5e-4 / total)(ours.parameters()), 1 - weight, weight),
    ):
        for _ in range(20):
            logits = network(inputs)
            optimizer.zero_grad()
            (task * cross_entropy(logits, labels) + distill * kd(logits, teacher, 4.0)).backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_dkds_loss_is_its_definition():
    task = example("published/dkd").DKD(alpha=0.7, beta=6.0)
    torch.manual_seed(0)
    student, teacher, labels = torch.randn(16, 100), 3 * torch.randn(16, 100), torch.randint(100, (16,))
    batch = type("Batch", (), {"labels": labels})
    found = task.distill_loss(student, teacher, batch, 4.0)
    assert found.shape == (16,)
    expected = dkd(student, teacher, labels, 0.7, 6.0, 4.0)
    assert float(found.mean()) == pytest.approx(float(expected), rel=1e-5)
    whole = example("published/dkd").DKD(alpha=1.0, beta=1.0)
    with_label = teacher.scatter(1, labels[:, None], -1e4)  # the teacher gives the label nothing: then both are KD
    equal = whole.distill_loss(student, with_label, batch, 4.0).mean()
    assert float(equal) == pytest.approx(float(kd(student, with_label, 4.0)), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_published_search_is_right_and_repeatable(name, places, tmp_path):
    config = small(name, places, *(["training.epochs=4", "training.warm_up_epochs=1"] if name == "torchvision" else []))
    launch = Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test")
    listener = QuietListener()
    assert rehearse(config, launch, listener).repeatable
