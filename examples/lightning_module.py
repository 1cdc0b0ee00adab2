"""Distillation under a λ policy in Lightning (2.6), with the Trainer's own clipping, accumulation, precision and DDP.

    python examples/lightning_module.py [--accumulate 2] [--precision bf16-mixed] [--epochs 10]

Copy `DistilledClassifier`. It needs `pip install lightning`, runs in seconds on a CPU and prints the accuracy.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from policies import LossBalancer, create_policy
from trainables.functions import Run


class DistilledClassifier(lightning.LightningModule):
    """A student, its frozen teacher, and what makes the balancer that weighs the two losses.

    `balancer_of` takes the arguments of `LossBalancer` but the policy: `functools.partial(LossBalancer, policy)`.
    Optimisation stays automatic: only what stands in place of `loss.backward()` is replaced.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, balancer_of: Callable[..., LossBalancer]) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher.requires_grad_(False)
        self._balancer_of = balancer_of
        self._restored: dict[str, Any] | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Train the student's parameters only."""
        return torch.optim.AdamW(self.student.parameters(), lr=5e-3)

    def on_fit_start(self) -> None:
        """Make the balancer: here the Trainer knows how many updates there will be, and whether it scales losses."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.balancer = self._balancer_of(
            self.student,
            total_steps=int(self.trainer.estimated_stepping_batches),
            grad_scaler=getattr(self.trainer.precision_plugin, "scaler", None),
            process_group=torch.distributed.group.WORLD if distributed else None,
        )
        if self._restored is not None:
            self.balancer.load_state_dict(self._restored)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Run the forward passes; the loss is for Lightning's records alone."""
        images, labels = batch
        self.teacher.eval()  # Lightning puts all modules into training mode
        with torch.no_grad():
            teacher_logits = self.teacher(images)
        student_logits = self.student(images)
        accumulated = self.trainer.accumulate_grad_batches
        self._both = student_logits, teacher_logits, labels
        self._update = (batch_idx + 1) % accumulated == 0 or self.trainer.is_last_batch
        return cross_entropy(student_logits.detach(), labels)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Replace `loss.backward()`; clipping and the optimiser's step follow as usual."""
        step = self.balancer.backward_on_logits(
            *self._both, share=1 / self.trainer.accumulate_grad_batches, update=self._update
        )
        if step is not None:
            self.log_dict({"weight": step.decision.weight, "distillation_loss": step.distill_loss})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what the policy remembers beside the weights."""
        checkpoint["balancer"] = self.balancer.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the state until the balancer is made."""
        self._restored = checkpoint["balancer"]

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Log the student's accuracy."""
        images, labels = batch
        self.log("accuracy", (self.student(images).argmax(1) == labels).float().mean(), prog_bar=True)


def network(hidden: int) -> nn.Module:
    """Return a perceptron for 8×8 pictures of ten digits."""
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def digits() -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Return the training, the validation and the test pictures."""
    found = load_digits()
    images, labels = torch.tensor(found.data / 16.0, dtype=torch.float32), torch.tensor(found.target)
    parts = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tensor_split([1000, 1300])
    train, validation, test = (TensorDataset(images[part], labels[part]) for part in parts)
    return train, validation, test


def trained_teacher(train: TensorDataset) -> nn.Module:
    """Train a wide network."""
    images, labels = train.tensors
    teacher = network(256)
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=2e-3)
    for _ in range(100):
        optimizer.zero_grad()
        cross_entropy(teacher(images), labels).backward()
        optimizer.step()
    return teacher


def fitted(
    balancer_of: Callable[..., LossBalancer],
    *callbacks: lightning.Callback,
    epochs: int = 10,
    accumulate: int = 1,
    precision: Any = "32-true",
) -> tuple[nn.Module, lightning.Trainer]:
    """Train a teacher, then a student; return the student and its Trainer."""
    train, validation, _ = digits()
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=epochs,
        accumulate_grad_batches=accumulate,
        precision=precision,
        callbacks=list(callbacks),
        gradient_clip_val=1.0,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    classifier = DistilledClassifier(network(32), trained_teacher(train), balancer_of)
    trainer.fit(classifier, DataLoader(train, batch_size=32, shuffle=True), DataLoader(validation, batch_size=500))
    return classifier.student, trainer


def distil(run: Run) -> None:
    """Train one student for a search: `kd-search run examples/lightning_module.toml`."""
    student, trainer = fitted(run.balancer)
    run.report(accuracy=trainer.callback_metrics["accuracy"])
    if run.confirming:
        images, labels = digits()[2].tensors
        run.report_test(per_sample=student(images).argmax(1) == labels, ids=range(len(labels)))


def main() -> None:
    """Train a student under a rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--family", default="norm_balance")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    _, trainer = fitted(
        functools.partial(LossBalancer, create_policy(arguments.family)),
        epochs=arguments.epochs,
        accumulate=arguments.accumulate,
        precision=arguments.precision,
    )
    print(f"updates: {trainer.global_step}")
    print(f"accuracy: {trainer.callback_metrics['accuracy'].item():.3f}")


if __name__ == "__main__":
    main()
