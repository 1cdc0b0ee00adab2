"""The Trainer's accumulation, clipping, precision and checkpoints work around the balancer."""

import pathlib
import sys

import pytest
import torch

from policies import LossBalancer, Monitor, create_policy
from policies.monitoring import read_log
from tests.examples.loading import example, numbers

pytestmark = [
    # Lightning 2.6 calls a function that PyTorch has renamed.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    # It advises to load data in other processes, which does not pay for 80 rows.
    pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers"),
]

EPOCHS, ACCUMULATED, CLIP = 2, 3, 0.5


def module():
    return example("lightning_module")


def parts():
    """Return (student, teacher, batches); the epoch's last update has fewer micro-batches."""
    torch.manual_seed(0)
    network = module().network
    student, teacher = network(8), network(8)
    data = torch.utils.data.TensorDataset(torch.rand(80, 64), torch.randint(0, 10, (80,)))
    return student, teacher, torch.utils.data.DataLoader(data, batch_size=10)


def fitted(student, teacher, batches, family, folder, *, epochs=EPOCHS, resume=None, log=None, **options):
    import lightning

    def balancer_of(*arguments, **more):
        balancer = LossBalancer(create_policy(family), *arguments, **more)
        if log is not None:
            Monitor(balancer, to=log, every=2)
        return balancer

    classifier = module().DistilledClassifier(student, teacher, balancer_of)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        accumulate_grad_batches=ACCUMULATED,
        gradient_clip_val=CLIP,
        log_every_n_steps=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        **options,
    )
    trainer.fit(classifier, batches, batches, ckpt_path=resume, weights_only=False)
    return classifier, trainer


def trained_by_hand(student, teacher, batches, family):
    """Train the same without a Trainer."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=5e-3)
    updates = -(-len(batches) // ACCUMULATED)
    balancer = LossBalancer(create_policy(family), student, total_steps=EPOCHS * updates)
    for _ in range(EPOCHS):
        for number, (images, labels) in enumerate(batches, start=1):
            last = number % ACCUMULATED == 0 or number == len(batches)
            logits = student(images)
            balancer.backward_on_logits(logits, teacher(images), labels, share=1 / ACCUMULATED, update=last)
            if last:
                torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
                optimizer.step()
                optimizer.zero_grad()
    return balancer


@pytest.mark.parametrize("family", ["norm_balance", "loss_ratio", "sample_norm_balance", "linear_schedule"])
def test_the_trainer_trains_as_a_loop_by_hand(family, tmp_path):
    classifier, trainer = fitted(*parts(), family, tmp_path)
    student, teacher, batches = parts()
    balancer = trained_by_hand(student, teacher, batches, family)
    assert classifier.balancer.step == balancer.step == trainer.global_step == 6
    torch.testing.assert_close(list(classifier.student.parameters()), list(student.parameters()))
    assert 0.0 < trainer.callback_metrics["weight"] <= 1.0


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    first, trainer = fitted(*parts(), "norm_balance", tmp_path, epochs=1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    assert first.balancer.step == 3
    second, _ = fitted(*parts(), "norm_balance", tmp_path, resume=pathlib.Path(tmp_path / "one.ckpt"))
    whole, _ = fitted(*parts(), "norm_balance", tmp_path)
    assert second.balancer.state_dict()["policy"] == whole.balancer.state_dict()["policy"]
    torch.testing.assert_close(list(second.student.parameters()), list(whole.student.parameters()), rtol=0.0, atol=0.0)


def test_a_monitor_logs_the_trainers_updates_also_over_a_resume(tmp_path):
    log = tmp_path / "log.jsonl"
    _, trainer = fitted(*parts(), "norm_balance", tmp_path, epochs=1, log=log)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    fitted(*parts(), "norm_balance", tmp_path, resume=pathlib.Path(tmp_path / "one.ckpt"), log=log)
    found = read_log(log)
    assert [record["step"] for record in found.of("readings")] == [1, 3, 5]
    assert (found.start["total_steps"], found.steps) == (6, 6)


def test_the_trainers_gradient_scaler_is_heeded(tmp_path):
    from lightning.pytorch.plugins.precision import MixedPrecision

    # With this scale the first steps overflow in half precision.
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**24))
    student, teacher, batches = parts()
    before = [p.detach().clone() for p in student.parameters()]
    classifier, _ = fitted(student, teacher, batches, "norm_balance", tmp_path, epochs=8, plugins=[plugin])
    assert classifier.balancer.step == 24
    assert plugin.scaler.get_scale() < 2.0**24
    assert all(p.isfinite().all() for p in student.parameters())
    assert any((p != b).any() for p, b in zip(student.parameters(), before, strict=True))
    assert 0.0 < classifier.balancer.policy.state_dict()["weight"] < 1.0


def test_the_example_runs_as_shown(monkeypatch, capsys):
    """The example runs in this process, since importing the library takes long."""
    arguments = ["--accumulate", "2", "--precision", "bf16-mixed", "--epochs", "6"]
    monkeypatch.setattr(sys, "argv", ["lightning_module.py", *arguments])
    module().main()
    found = numbers(capsys.readouterr().out)
    assert found["updates"] == 6 * 16
    assert found["accuracy"] > 0.7
