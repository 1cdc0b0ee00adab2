"""Registers the champion's student in MLflow's model registry, as a version of the model named like the search."""

from __future__ import annotations

import hashlib
import json
import pathlib
import tempfile
import warnings
from typing import Any

from search.confirm import ALIAS, Champion, card, evidence_files
from search.errors import TrackingError
from search.records import SearchRecord
from search.tracking import wording
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.confirmed_wording import moment_of, result_figures
from search.tracking.runs import Run, RunWriter, checksum_of, written

_MODEL = "student"
_EVIDENCE = "evidence"
_STUDENT = "kd.student"
_FILES = "kd.evidence"
_VERSIONS = "mlflow.modelVersions"  # MLflow's page links a model to its versions by it; its server sets it, too
_PICTURES = 2  # of the example; one would make torch.export fix the size of the batch


class Registry:
    """Registers champions; registering one again changes nothing.

    A student is one training of a confirmation. A new student gets a new version. The alias `champion` goes to the
    version of the student that was registered last.

    Args:
        writer: of the experiment that holds the finalists' runs.
    """

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer
        self.client = writer.client

    def register(self, search: SearchRecord, confirmation: TrackedConfirmation, run: Run) -> None:
        """Make the registry name the champion.

        Args:
            search: as projected.
            confirmation: with its champion.
            run: the finalist's, which produced the student.

        Raises:
            TrackingError: the name is taken by a model that is no search's.
            Exception: whatever MLflow raises if a store fails; then register again.
        """
        champion = confirmation.champion
        if champion is None or confirmation.read_student is None or champion.pictures is None:
            return  # a task's student is code of the user's own, which is not exported
        self._own_name(search)
        student = _student_id(search, champion)
        versions = self.client.search_model_versions(f"name = '{search.name}'", max_results=1000)
        ours = [version for version in versions if version.tags.get(_STUDENT) == student]
        if ours:
            version = min(ours, key=lambda found: int(found.version))
            model_id = version.tags["kd.model"]
        else:
            model_id = self._model(champion, student, run, confirmation.read_student(champion))
            self._link(champion, model_id, run)
            version = self.client.create_model_version(
                search.name,
                # Not `models:/<id>`: an SQLite store would look that up in the process's own default store.
                source=self.client.get_logged_model(model_id).artifact_location,
                run_id=run.run_id,
                model_id=model_id,
                tags={_STUDENT: student, "kd.model": model_id},
            )
        self._describe(search, champion, version, model_id)
        self._promote(search, version)

    def withdraw(self, search: SearchRecord) -> None:
        """Take the alias from the search's champion, since no finalist keeps every KPI gate; its version stays."""
        found = self.client.search_registered_models(f"name = '{search.name}'")
        if not found or ALIAS not in found[0].aliases:
            return
        holder = self.client.get_model_version(search.name, str(found[0].aliases[ALIAS]))
        if wording.identity_tags(search).items() <= holder.tags.items():
            self.client.delete_registered_model_alias(search.name, ALIAS)

    def _own_name(self, search: SearchRecord) -> None:
        """Make sure that a registered model of the search's name exists, and that it is a search's."""
        found = self.client.search_registered_models(f"name = '{search.name}'")
        if not found:
            about = f"Students of the search {search.name!r} that confirmations named; the latest is the `{ALIAS}`."
            self.client.create_registered_model(search.name, tags={wording.SEARCH: search.name}, description=about)
        elif found[0].tags.get(wording.SEARCH) != search.name:
            raise TrackingError(
                f"MLflow's model registry has a model {search.name!r} that no search wrote, so the champion is not"
                f" registered. Rename that model, or give it the tag `{wording.SEARCH}` = `{search.name}` to share it."
            )

    def _model(self, champion: Champion, student: str, run: Run, weights: bytes) -> str:
        """Return the id of the logged model that holds the student; one that was left half-written is replaced."""
        from mlflow.entities import LoggedModelStatus

        found = self.client.search_logged_models([self.writer.experiment_id], f"tags.`{_STUDENT}` = '{student}'")
        ready = [model.model_id for model in found if model.status == LoggedModelStatus.READY]
        for model in found:
            if model.model_id not in ready[:1]:
                self.client.delete_logged_model(model.model_id)
        if ready:
            return str(ready[0])
        model = self.client.create_logged_model(
            self.writer.experiment_id,
            name=_MODEL,
            source_run_id=run.run_id,
            tags={_STUDENT: student, wording.SEARCH: champion.search},
            params=_parameters(champion),
        )
        with tempfile.TemporaryDirectory(prefix="kd-search-") as folder:
            path = pathlib.Path(folder, "model")
            try:
                _save(champion, weights, path, model, run)
            except Exception as error:  # from torch.export, which does not support every network
                raise TrackingError(
                    f"the champion's student ({champion.student.name}) is not registered, since it cannot be exported:"
                    f" {' '.join(str(error).split())[:300]}"
                ) from error
            self.client.log_model_artifacts(model.model_id, str(path))
        self.client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        return str(model.model_id)

    def _link(self, champion: Champion, model_id: str, run: Run) -> None:
        """Link the run to the model that it produced, and log the model's metrics; nothing if that is done."""
        from mlflow.entities import LoggedModelOutput, Metric

        outputs = self.client.get_run(run.run_id).outputs
        if outputs and any(output.model_id == model_id for output in outputs.model_outputs):
            return
        step, moment = champion.result.seed, moment_of(champion.result)
        metrics = [
            Metric(f"model/{name}", value, moment, step, model_id=model_id)
            for name, value in result_figures(champion.result).items()
            if value is not None
        ]
        self.client.log_batch(run.run_id, metrics=metrics)
        self.client.log_outputs(run.run_id, [LoggedModelOutput(model_id, step=step)])
        self.writer.tally.runs.add(run.run_id)

    def _describe(self, search: SearchRecord, champion: Champion, version: Any, model_id: str) -> None:
        """Set tags, description and files, which more seeds may change for the same student."""
        number, tags = str(version.version), _tags(search, champion)
        for name, value in tags.items():
            if version.tags.get(name) != value:
                self.client.set_model_version_tag(search.name, number, name, value)
        text = card(champion)
        if version.description != text:
            self.client.update_model_version(search.name, number, text)
        files = evidence_files(champion)
        if version.tags.get(_FILES) != str(checksum_of(files)):
            with written(files) as folder:
                self.client.log_model_artifacts(model_id, str(folder), _EVIDENCE)
            versions = json.dumps([{"name": search.name, "version": number}])
            self.client.set_logged_model_tags(model_id, {_VERSIONS: versions})
            self.client.set_model_version_tag(search.name, number, _FILES, str(checksum_of(files)))

    def _promote(self, search: SearchRecord, version: Any) -> None:
        """Give the version the alias, unless a later search of the same name has it."""
        number, created = str(version.version), ""
        holder = self.client.get_registered_model(search.name).aliases.get(ALIAS)
        if holder is not None:
            created = self.client.get_model_version(search.name, str(holder)).tags.get(wording.CREATED, "")
        if str(holder) != number and created <= wording.identity_tags(search)[wording.CREATED]:
            self.client.set_registered_model_alias(search.name, ALIAS, number)


def _student_id(search: SearchRecord, champion: Champion) -> str:
    """Return an id of this one training, from its search, finalist, seed, time and scores."""
    result = champion.result.model_dump(mode="json", include={"finalist", "seed", "began", "validation", "test"})
    told = json.dumps([wording.identity_tags(search), result], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _save(champion: Champion, weights: bytes, path: pathlib.Path, model: Any, run: Run) -> None:
    """Write the student as an MLflow model that runs no code when it is loaded, and does not need this project."""
    import numpy as np
    import torch

    from trainables.classifier import restore_classifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what MLflow's and torch.export's own imports warn of
        import mlflow.pytorch
        from mlflow.models import Model, ModelSignature
        from mlflow.types import Schema, TensorSpec

        pictures = champion.pictures
        assert pictures is not None  # `register` leaves out the students of tasks
        # Noise, and no picture of the user's, which may not be for everybody who sees the registry.
        example = np.random.default_rng(0).integers(0, 256, (_PICTURES, *pictures.shape), dtype=np.uint8)
        mlflow.pytorch.save_model(
            restore_classifier(champion.student, pictures, weights),
            path,
            mlflow_model=Model(
                artifact_path=model.artifact_location,
                run_id=run.run_id,
                model_id=model.model_id,
                model_uuid=model.model_id,
            ),
            serialization_format="pt2",
            signature=ModelSignature(
                Schema([TensorSpec(np.dtype(np.uint8), (-1, *pictures.shape))]),
                Schema([TensorSpec(np.dtype(np.float32), (-1, len(pictures.classes)))]),
            ),
            input_example=example,
            pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
            metadata={"classes": list(pictures.classes), "mean": list(pictures.mean), "std": list(pictures.std)},
        )


def _kind(champion: Champion) -> str:
    if champion.finalist.role == "rule":
        return "a rule"
    return "the best constant λ" if champion.finalist.key == champion.comparison.baseline else "a constant λ"


def _parameters(champion: Champion) -> dict[str, str]:
    finalist, result = champion.finalist, champion.result
    values = {"student": champion.student.name, **wording.policy_parameters(finalist)}
    return wording.as_text(values | finalist.shared | {"seed": result.seed})


def _tags(search: SearchRecord, champion: Champion) -> dict[str, str]:
    row = champion.comparison.of(champion.finalist.key)
    tags = {
        "kd.winner": champion.finalist.key,
        "kd.winner_is": _kind(champion),
        "kd.verdict": champion.verdict.headline,
        "kd.seed": str(champion.result.seed),
        "kd.seeds": str(len(row.seeds)),
        "kd.test": champion.scale.value(row.test),
        "policy.family": champion.finalist.family,
        "policy.rule": champion.finalist.rule,
        "kd.reads": "pictures as stored, uint8 in 0..255; the normalisation is part of the model",
    }
    return wording.cut_tags(tags) | wording.identity_tags(search)
