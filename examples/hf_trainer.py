"""Distillation under a λ policy in Hugging Face's Trainer (transformers 5), one method overridden.

    python examples/hf_trainer.py [--accumulate 2] [--family norm_balance] [--steps 80]

Copy `DistillationTrainer`. It needs `pip install transformers accelerate`. Models and data are made here, so nothing is
downloaded: which of two tokens does a sequence hold more of? The student's accuracy is printed within a minute.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, EvalPrediction, Trainer, TrainingArguments

from policies import LossBalancer, create_policy
from trainables.functions import Run


class DistillationTrainer(Trainer):
    """A Trainer whose student also learns from a teacher, under a policy.

    `balancer_of` takes the arguments of `LossBalancer` but the policy: `functools.partial(LossBalancer, policy)`.
    Accumulation, clipping, mixed precision and wrapping stay the Trainer's. A resumed training continues at the right
    step, but the policy's running means begin anew.
    """

    def __init__(self, *args: Any, teacher: nn.Module, balancer_of: Callable[..., LossBalancer], **more: Any) -> None:
        super().__init__(*args, **more)
        self.teacher = teacher.to(self.args.device).eval().requires_grad_(False)
        self._balancer_of = balancer_of
        self.balancer: LossBalancer | None = None

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Train on one micro-batch: both forward passes, and one backward pass of the weighted losses."""
        if self.balancer is None:  # here the model is wrapped, and the number of updates is known
            self.balancer = self._balancer_of(
                model, total_steps=self.state.max_steps, grad_scaler=self.accelerator.scaler
            )
            self.balancer.step = self.state.global_step
        model.train()
        inputs = self._prepare_inputs(inputs)
        labels = inputs.pop("labels")
        with self.compute_loss_context_manager():
            student_logits = model(**inputs).logits
            with torch.no_grad():
                teacher_logits = self.teacher(**inputs).logits
        share = 1 / self.current_gradient_accumulation_steps
        self.balancer.backward_on_logits(
            student_logits,
            teacher_logits,
            labels,
            label_smoothing=self.args.label_smoothing_factor,
            share=share,
            update=self.accelerator.sync_gradients,
        )
        return share * nn.functional.cross_entropy(student_logits.detach().float(), labels)


class MoreOfOne(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Sequences of 8 tokens out of 2 to 9; the label tells whether token 2 comes more often than token 3."""

    def __init__(self, count: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        tokens = random.choice(np.arange(2, 10), size=(4 * count, 8), p=[0.25, 0.25, *[0.5 / 6] * 6])
        difference = (tokens == 2).sum(1) - (tokens == 3).sum(1)
        kept = np.flatnonzero(difference)[:count]  # ties have no answer
        self.tokens, self.labels = torch.tensor(tokens[kept]), torch.tensor((difference[kept] > 0).astype(np.int64))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.tokens[index], "labels": self.labels[index]}


def classifier(width: int, layers: int) -> nn.Module:
    """A BERT with random weights."""
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=10,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=2 * width,
            max_position_embeddings=8,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Return the accuracy in the form that the Trainer asks for."""
    return {"accuracy": float((np.argmax(prediction.predictions, axis=1) == prediction.label_ids).mean())}


def trained(
    balancer_of: Callable[..., LossBalancer], *, seed: int = 42, steps: int = 80, accumulate: int = 2
) -> DistillationTrainer:
    """Train a teacher with the plain Trainer, then a student under a rule; return the student's Trainer."""
    train, validation = MoreOfOne(2000, seed=0), MoreOfOne(500, seed=1)
    with tempfile.TemporaryDirectory() as folder:

        def settings(seed: int, accumulate: int) -> TrainingArguments:
            return TrainingArguments(
                output_dir=folder,
                seed=seed,  # the Trainer seeds all generators with it
                max_steps=steps,
                per_device_train_batch_size=64 // accumulate,
                per_device_eval_batch_size=250,
                gradient_accumulation_steps=accumulate,
                learning_rate=5e-3,
                max_grad_norm=1.0,
                logging_strategy="no",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            )

        student = classifier(width=16, layers=1)
        teacher = classifier(width=32, layers=1)
        Trainer(teacher, settings(42, 1), train_dataset=train).train()
        trainer = DistillationTrainer(
            student,
            settings(seed, accumulate),
            train_dataset=train,
            eval_dataset=validation,
            compute_metrics=accuracy,
            teacher=teacher,
            balancer_of=balancer_of,
        )
        trainer.train()
        return trainer


def distil(run: Run) -> None:
    """Train one student for a search: `kd-search run examples/hf_trainer.toml`."""
    trainer = trained(run.balancer, seed=run.seed, steps=30)
    run.report(accuracy=trainer.evaluate()["eval_accuracy"])
    if run.confirming:
        found = trainer.predict(MoreOfOne(500, seed=2))
        run.report_test(per_sample=found.predictions.argmax(1) == found.label_ids, ids=range(500))


def main() -> None:
    """Train a student under a rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--accumulate", type=int, default=2)
    parser.add_argument("--family", default="norm_balance")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    balancer_of = functools.partial(LossBalancer, create_policy(arguments.family))
    trainer = trained(balancer_of, steps=arguments.steps, accumulate=arguments.accumulate)
    print(f"updates: {trainer.state.global_step}")
    print(f"accuracy: {trainer.evaluate()['eval_accuracy']:.3f}")


if __name__ == "__main__":
    main()
