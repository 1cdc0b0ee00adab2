"""Teachers that are asked at every step, several teachers, and stored outputs of several."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.trainables.tasks.task_data import CPU, data_of, trained, weights
from tests.trainables.tasks.task_files import DIABETES, DIGITS, own
from trainables.config import CorruptionSettings, PolicySettings
from trainables.errors import ConfigError, ModelError
from trainables.tasks import (
    Ensemble,
    TaskBatch,
    answer,
    create_task,
    create_teacher,
    outputs_of_teacher,
    pack_teacher,
    read_sets,
    try_out_task,
    unpack_teacher,
)
from trainables.training import Distillation

NOISE = """
    def augment(self, batch):
        return TaskBatch(batch.inputs + 0.3 * torch.randn_like(batch.inputs), batch.labels)
"""
SAME = "\n    def augment(self, batch):\n        return batch\n"


def digits(text="", **replaced):
    source = DIGITS
    for old, new in replaced.values():
        assert old in source
        source = source.replace(old, new)
    return own(source + text, "Digits")


def test_a_teacher_that_is_asked_at_every_step_teaches_as_one_that_was_asked_once():
    stored, live = trained(digits(), "norm_balance"), trained(digits(SAME), "norm_balance")
    assert live.data.teacher is not None
    assert stored.data.teacher is None
    for one, other in zip(weights(stored), weights(live), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_inputs_change_from_epoch_to_epoch_alike_under_every_rule_and_again_after_a_resume():
    task = digits(NOISE)
    data = data_of(task)
    whole = trained(task, "norm_balance", data)
    assert not torch.equal(weights(whole)[0], weights(trained(digits(SAME), "norm_balance"))[0])
    seen = {}
    for family in ("fixed", "norm_balance"):
        replicate = Distillation(
            whole.settings.model_copy(update={"policy": PolicySettings(family=family)}), data
        ).replicates[0]
        with replicate._random(1):
            first = [batch.inputs for batch in replicate.batches()]
        replicate.epoch = 1
        with replicate._random(2):
            second = [batch.inputs for batch in replicate.batches()]
        assert not torch.equal(torch.cat(first).sum(0), torch.cat(second).sum(0))
        seen[family] = first + second
    assert all(torch.equal(*pair) for pair in zip(*seen.values(), strict=True))
    half = Distillation(whole.settings, data)
    records = half.records()
    next(records), next(records)
    stream = io.BytesIO()
    torch.save(half.state_dict(), stream)
    stream.seek(0)
    resumed = Distillation(whole.settings, data)
    resumed.load_state_dict(torch.load(stream, weights_only=True))
    for _ in resumed.records():
        pass
    assert all(torch.equal(*pair) for pair in zip(weights(whole), weights(resumed), strict=True))


def test_the_teacher_answers_about_the_changed_inputs():
    data = data_of(digits(NOISE))
    here = torch.arange(8)
    torch.manual_seed(0)
    batch = data.batch(here, [here, here, here], data.augmentation(None), 0)
    assert not torch.equal(batch.inputs, data.inputs[here])
    torch.testing.assert_close(batch.targets, data.teacher(batch.inputs))
    assert not batch.targets.requires_grad


def test_a_corrupted_sample_gets_the_other_samples_answer():
    task = digits(SAME)
    plain = trained(task).settings
    settings = plain.model_copy(update={"corruption": CorruptionSettings(unit="sample", teacher_share=0.5)})
    data = data_of(task).for_trial(settings)
    here, other = torch.arange(4), torch.tensor([0, 9, 2, 11])
    batch = data.batch(here, [here, here, other], data.augmentation(None), 0)
    torch.testing.assert_close(batch.targets, data.teacher(data.inputs[other]), rtol=1e-4, atol=1e-4)


def test_a_teacher_of_the_users_own_classes_travels_to_another_process(tmp_path):
    source = DIGITS.replace("class Digits", "class Mine(nn.Linear):\n    pass\n\n\nclass Digits")
    task = own(
        source.replace("network = nn.Linear(", "network = Mine(").replace("hidden: int = 12", "hidden: int = 13"),
        "Digits",
    )
    created = create_task(task)
    teacher = create_teacher(task, created, CPU.device)
    (tmp_path / "teacher").write_bytes(pack_teacher(task, teacher))
    (tmp_path / "task.json").write_text(task.model_dump_json())
    program = (
        "import pathlib, sys, torch; from trainables.config import OwnTask;"
        "from trainables.tasks import unpack_teacher;"
        "folder = pathlib.Path(sys.argv[1]); own = OwnTask.model_validate_json((folder / 'task.json').read_text());"
        "teacher = unpack_teacher(own, (folder / 'teacher').read_bytes(), torch.device('cpu'));"
        "print(type(teacher).__name__, float(teacher(torch.ones(1, 64)).sum()))"
    )
    found = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    name, value = found.stdout.split()
    assert name == "Mine"
    assert float(value) == pytest.approx(float(teacher(torch.ones(1, 64)).sum()))
    assert torch.equal(unpack_teacher(task, pack_teacher(task, teacher), CPU.device).weight, teacher.weight)


def test_a_teacher_that_cannot_travel_is_refused():
    class Local(torch.nn.Module):
        pass

    with pytest.raises(ConfigError, match="cannot be sent to the processes that train.*at the top of the file"):
        pack_teacher(digits(), Local())


def test_stored_outputs_do_not_fit_inputs_that_change():
    task = own(DIABETES + SAME, "Diabetes")
    with pytest.raises(ConfigError, match="defines `augment`.*but `teacher` returns StoredOutputs"):
        create_teacher(task, create_task(task), CPU.device)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n    def augment(self, batch):\n        return batch.inputs\n", "must return TaskBatch.*but got a Tensor"),
        (
            "\n    def augment(self, batch):\n        return TaskBatch(batch.inputs[:3], batch.labels)\n",
            "must keep the 8 rows of a batch, but returns 3, 8",
        ),
        (
            "\n    def augment(self, batch):\n"
            "        return TaskBatch(batch.inputs + float(np.random.rand()), batch.labels)\n",
            "gives other inputs each time under one seed",
        ),
        ("\n    def augment(self, batch):\n        return 1 / 0\n", r"`augment` of the task .* failed, line \d+"),
    ],
)
def test_an_augmentation_that_cannot_be_used_is_refused_with_the_reason(text, message):
    task = digits(text)
    created = create_task(task)
    with pytest.raises(ConfigError, match=message):
        try_out_task(task, created, read_sets(task, created)[0])


SEVERAL = ("return network\n", "other = nn.Linear(64, 10, bias=False)\n        return [network, other]\n")


def test_several_teachers_give_the_mean_of_their_logits():
    task = digits(several=SEVERAL)
    created = create_task(task)
    teacher = create_teacher(task, created, CPU.device)
    assert isinstance(teacher, Ensemble)
    train, *_ = read_sets(task, created)
    found = outputs_of_teacher(task, created, teacher, "train", train, CPU.device)
    inputs = torch.from_numpy(train.inputs)
    mean = sum(member(inputs) for member in teacher) / 2
    np.testing.assert_allclose(found, mean.detach().numpy(), rtol=1e-4, atol=1e-5)
    for temperature in (1.0, 4.0):
        geometric = torch.stack([(member(inputs) / temperature).log_softmax(1) for member in teacher]).mean(0)
        softened = torch.from_numpy(found / temperature).softmax(1)
        torch.testing.assert_close(softened, geometric.softmax(1), rtol=1e-3, atol=1e-5)


def test_a_task_may_combine_teachers_in_another_way():
    arithmetic = """
    def combine(self, outputs):
        return torch.stack([one.softmax(1) for one in outputs]).mean(0).log()
"""
    task = digits(arithmetic, several=SEVERAL)
    created = create_task(task)
    teacher = create_teacher(task, created, CPU.device)
    inputs = torch.rand(5, 64)
    expected = (teacher[0](inputs).softmax(1) + teacher[1](inputs).softmax(1)) / 2
    torch.testing.assert_close(answer(created, teacher, inputs).softmax(1), expected)


def test_stored_outputs_of_several_teachers_are_combined():
    several = DIABETES.replace("return StoredOutputs(", "one = StoredOutputs(").replace(
        "test=lambda: answers[320:])\n",
        "test=lambda: answers[320:])\n"
        "        a = answers + 2\n"
        "        other = StoredOutputs(train=a[:200], validation=a[200:320], test=a[320:])\n"
        "        return [one, other]\n",
    )
    alone, together = own(DIABETES, "Diabetes"), own(several, "Diabetes")
    found = []
    for task in (alone, together):
        created = create_task(task)
        train, *_ = read_sets(task, created)
        teacher = create_teacher(task, created, CPU.device)
        found.append(outputs_of_teacher(task, created, teacher, "train", train, CPU.device))
    np.testing.assert_allclose(found[1], found[0] + 1, rtol=1e-5)


@pytest.mark.parametrize("given", ["[network, StoredOutputs(train=x, validation=x)]", "[]", "None"])
def test_what_is_no_teacher_is_refused(given):
    task = digits(several=("return network\n", f"return {given}\n"))
    with pytest.raises(
        ConfigError, match="must return a torch.nn.Module, or trainables.tasks.StoredOutputs, or a list"
    ):
        create_teacher(task, create_task(task), CPU.device)


def test_a_teacher_whose_outputs_depend_on_chance_or_on_the_batch_is_refused():
    for line in (
        "network = nn.Sequential(network, Shaky())",
        "network = nn.Sequential(network, Normed())",
    ):
        source = DIGITS.replace(
            "class Digits",
            "class Shaky(nn.Module):\n    def forward(self, x):\n        return x + torch.rand_like(x)\n\n\n"
            "class Normed(nn.Module):\n    def forward(self, x):\n        return x - x.mean(0)\n\n\nclass Digits",
        ).replace("        return network\n", f"        {line}\n        return network\n")
        task = own(source, "Digits")
        created = create_task(task)
        train, *_ = read_sets(task, created)
        teacher = create_teacher(task, created, CPU.device)
        with pytest.raises(ModelError, match="gives other outputs for the same samples"):
            outputs_of_teacher(task, created, teacher, "train", train, CPU.device)


def test_labels_may_be_changed_with_the_inputs():
    task = digits("\n    def augment(self, batch):\n        return TaskBatch(batch.inputs, batch.labels.flip(0))\n")
    data = data_of(task)
    here = torch.arange(8)
    batch = data.batch(here, [here, here, here], data.augmentation(None), 0)
    assert torch.equal(batch.labels, data.labels[here].flip(0))
    assert isinstance(TaskBatch(batch.inputs, batch.labels), tuple)
