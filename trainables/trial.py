"""Runs a trial under Ray Tune. This is the only file of this package that imports Ray.

Tune reuses the process from trial to trial (`reuse_actors`), so Python starts and imports PyTorch only once a worker.
The data stay on the device between trials.
"""

from __future__ import annotations

import json
import math
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import ray
import torch
from ray import tune

from trainables.config import TrialSettings
from trainables.device import select_compute
from trainables.memory import keep_freed_memory
from trainables.records import HISTORY_FILE, EpochRecord
from trainables.suggestion import apply_suggestion
from trainables.training import DECISIONS_FILE, write_decisions
from trainables.trainings import Assets, begin_training, prepared_on

STATE_FILE = "state.pt"
POLICY_FILE = "policy.json"
STUDENT_FILE = "student.pt"
"""The trained student's `state_dict` for each seed, as {seed: state}; absent if a training function keeps none."""


class DistillationTrial(tune.Trainable):  # type: ignore[misc]
    """Distils one student under one policy, once per seed.

    One Tune iteration covers at least `report_seconds` of training (or ends the trial), so that short epochs do not
    cost a message each. A checkpoint follows the first report after `checkpoint_seconds`, and the end. Reports and
    checkpoints come between two epochs only.
    """

    def setup(
        self,
        config: dict[str, Any],
        *,
        base: TrialSettings,
        assets: Assets,
        report_seconds: float,
        checkpoint_seconds: float,
    ) -> None:
        """Prepare the process and its first trial; Tune calls this once a process.

        Args:
            config: the searcher's suggestion, as `trainables.suggestion` describes it.
            base: the settings that hold where the suggestion names none.
            assets: the data that all trials of the search share; read-only.
            report_seconds: least time between two reports.
            checkpoint_seconds: time since the last checkpoint, or the start, after which the next report brings one.
        """
        compute = select_compute(base.device, gpu_allowed=bool(ray.get_gpu_ids()))
        if compute.device.type == "cpu":
            keep_freed_memory()
        torch.set_num_threads(base.device.threads or 1)
        self._last_checkpoint = time.monotonic()
        self._base = base
        self._data = prepared_on(assets, compute, save_seconds=checkpoint_seconds)
        self._report_seconds = report_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process; Tune calls this when it reuses the process."""
        self._release()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train until the next report is due."""
        began = time.monotonic()
        next(self._records)
        while not self._training.done and time.monotonic() - began < self._report_seconds:
            next(self._records)
        self._training.check_losses()
        records, settings = self._training.records_so_far, self._training.settings
        done = self._training.done
        if done:
            # A trial without a score fails; otherwise the search could not tell it from one that is not finished.
            self._training.check_scores()
        due = time.monotonic() - self._last_checkpoint >= self._checkpoint_seconds
        if due or done:
            self._last_checkpoint = time.monotonic()
        return {
            # Before its first evaluation a trial has no score; the searcher reads the last one only.
            "score": settings.objective.score_of(records[-1]) if records else math.nan,
            "seed_scores": [settings.objective.score_of(r) for r in self._training.results] if done else [],
            "epochs": self._training.epoch,
            "done": done,
            "should_checkpoint": due and not done,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write everything that a resumed trial, MLflow and the report need."""
        folder = pathlib.Path(checkpoint_dir)
        history = self._training.history()
        (folder / HISTORY_FILE).write_text(history.to_json(), encoding="utf-8")
        (folder / POLICY_FILE).write_text(json.dumps(history.policy, indent=2, ensure_ascii=False), encoding="utf-8")
        write_decisions(folder / DECISIONS_FILE, self._training.decisions, self._training.log_context())
        if self._training.done:
            students = {str(seed): student for seed, student in self._training.students().items()}
            if students:
                torch.save(students, folder / STUDENT_FILE)
        else:
            torch.save(self._training.save_state(folder), folder / STATE_FILE)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Resume from an unfinished trial's checkpoint; without a state in it, the trial starts from the beginning."""
        path = pathlib.Path(checkpoint) / STATE_FILE
        if path.exists():
            self._training.load_state(path.parent, torch.load(path, map_location="cpu", weights_only=True))

    def cleanup(self) -> None:
        """Release the trial; Tune calls this when the process ends."""
        self._release()

    def _begin(self, config: dict[str, Any]) -> None:
        self._training = begin_training(apply_suggestion(self._base, config), self._data)
        self._records: Iterator[EpochRecord | None] = self._training.records()
        self._last_checkpoint = time.monotonic()

    def _release(self) -> None:
        self._training.close()
        del self._records, self._training
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
