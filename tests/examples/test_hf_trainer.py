"""Hugging Face's Trainer around the balancer."""

import functools
import sys

import pytest
import torch

from policies import LossBalancer, Monitor, create_policy
from policies.monitoring import read_log
from tests.examples.loading import example, numbers

STEPS = 6


@pytest.fixture(scope="module")
def module():
    return example("hf_trainer")


def prepared(module, family, folder, *, accumulate=1, balancer_of=None, **options):
    import transformers

    torch.manual_seed(0)
    student, teacher = module.classifier(8, 1), module.classifier(8, 1)
    settings = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=options.pop("max_steps", STEPS),
        per_device_train_batch_size=24 // accumulate,
        gradient_accumulation_steps=accumulate,
        learning_rate=1e-2,
        max_grad_norm=0.5,
        logging_strategy="no",
        save_strategy=options.pop("save_strategy", "no"),
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **options,
    )
    return module.DistillationTrainer(
        student,
        settings,
        train_dataset=module.MoreOfOne(100, seed=0),
        teacher=teacher,
        balancer_of=balancer_of or functools.partial(LossBalancer, create_policy(family)),
    )


@pytest.mark.parametrize("family", ["norm_balance", "loss_ratio", "sample_norm_balance", "linear_schedule"])
def test_micro_batches_train_as_whole_batches(module, family, tmp_path):
    """100 samples make four batches of 24 and one of 4 an epoch; the last update's micro-batches are uneven."""
    students = []
    for accumulate in (1, 2):
        trainer = prepared(module, family, tmp_path, accumulate=accumulate)
        result = trainer.train()
        assert trainer.balancer.step == trainer.state.global_step == STEPS
        students.append([p.detach() for p in trainer.model.parameters()])
        assert 0.0 < result.training_loss < 2.0
    torch.testing.assert_close(*students, rtol=1e-3, atol=1e-5)


def test_the_teacher_stays_as_it_was_and_the_student_does_not(module, tmp_path):
    trainer = prepared(module, "norm_balance", tmp_path)
    models = (trainer.teacher, trainer.model)
    before = [[p.detach().clone() for p in model.parameters()] for model in models]
    trainer.train()
    changed = [
        any((p != b).any() for p, b in zip(model.parameters(), then, strict=True))
        for model, then in zip(models, before, strict=True)
    ]
    assert changed == [False, True]
    assert not trainer.teacher.training


def test_a_monitor_logs_the_trainers_updates(module, tmp_path):
    def balancer_of(*arguments, **more):
        balancer = LossBalancer(create_policy("norm_balance"), *arguments, **more)
        Monitor(balancer, to=tmp_path / "log.jsonl", every=3)
        return balancer

    prepared(module, "norm_balance", tmp_path, accumulate=2, balancer_of=balancer_of).train()
    assert [record["step"] for record in read_log(tmp_path / "log.jsonl").of("readings")] == [2, 5]


def test_a_resumed_training_goes_on_at_its_step(module, tmp_path):
    first = prepared(module, "linear_schedule", tmp_path, save_strategy="steps", save_steps=2)
    first.train()
    second = prepared(module, "linear_schedule", tmp_path)
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert second.balancer.step == STEPS
    torch.testing.assert_close(list(second.model.parameters()), list(first.model.parameters()))


def test_the_example_runs_as_shown(module, monkeypatch, capsys):
    """The example runs in this process, since importing the library takes long."""
    arguments = ["--accumulate", "2", "--steps", "80"]
    monkeypatch.setattr(sys, "argv", ["hf_trainer.py", *arguments])
    module.main()
    found = numbers(capsys.readouterr().out)
    assert found["updates"] == 80
    assert found["accuracy"] > 0.8
