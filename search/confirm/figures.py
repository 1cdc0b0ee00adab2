"""Measures teacher and student for a confirmation, beside the finalists' scores."""

from __future__ import annotations

from search.prepare import Ground
from search.records import ConfirmationRecord
from search.settings import SearchConfig
from trainables.config import DeviceSettings
from trainables.device import select_compute
from trainables.evaluation import evaluate, score_logits
from trainables.models import create_model, measure_figures
from trainables.pictures import as_tensor
from trainables.training import DeviceAssets


def teacher_on_test(record: ConfirmationRecord, ground: Ground, config: SearchConfig) -> ConfirmationRecord:
    """Add the teacher's scores on the test pictures to a confirmation.

    Raises:
        ConfigError: a KPI of the user's own fails.
    """
    pictures, own_kpis = ground.pictures, config.base_trial().own_kpis
    logits, labels = as_tensor(pictures.test_targets), as_tensor(pictures.test.labels)
    measured: dict[str, float] = {}
    if own_kpis:
        data = DeviceAssets(pictures.assets, select_compute(DeviceSettings(device="cpu")))
        test = data.evaluation_set(pictures.test, pictures.test_targets)
        measured = evaluate(ground.teacher, test, own_kpis).own_kpis
    return record.model_copy(update={"teacher": score_logits(logits, labels), "teacher_kpis": measured})


def with_figures(record: ConfirmationRecord, ground: Ground, config: SearchConfig) -> ConfirmationRecord:
    """Add what teacher and student cost, measured on this machine; takes some seconds."""
    assets = ground.pictures.assets
    settings = config.students[record.finalists[0].student]
    student = create_model(settings, image_shape=assets.image_shape, classes=len(assets.classes))
    return record.model_copy(
        update={
            "teacher_figures": measure_figures(ground.teacher, assets.image_shape),
            "student_figures": measure_figures(student, assets.image_shape),
        }
    )
