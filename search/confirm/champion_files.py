"""Reads a champion's student from the confirmation, and writes it as files for users without MLflow."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from search.confirm.champion import Champion
from search.confirm.champion_card import STUDENT_FILE, VERDICT_FILE, evidence_files
from search.confirm.store import ConfirmationStore, Unit
from search.errors import SearchError
from search.settings import next_command
from search.store import SearchStore, replace_file

FOLDER = "champion"
"""The champion's folder inside a search's folder of results."""


def student_reader(store: SearchStore) -> Callable[[Champion], bytes]:
    """Return a function that reads a champion's `state_dict`, as `torch.save` wrote it.

    Raises (when the function is called):
        SearchError: the student's file is gone.
    """
    kept = ConfirmationStore(store)

    def read(champion: Champion) -> bytes:
        path = kept.student_path(Unit(champion.finalist.key, champion.result.seed))
        try:
            return store.read_bytes(path)
        except FileNotFoundError as error:
            raise SearchError(
                f"the champion's student is missing: there is no {path}. Move the `.json` file beside it away; then"
                f" `{next_command('confirm', champion.search, store.storage)}` trains it again."
            ) from error

    return read


def write_champion(champion: Champion, read_student: Callable[[Champion], bytes], folder: pathlib.Path) -> pathlib.Path:
    """Write `student.pt`, `policy.json`, `verdict.json` and a model card into a folder, unless they are there.

    A training function that keeps no student has no `student.pt`. Each file is replaced as a whole, the verdict last.
    So the verdict holds for the files beside it.

    Returns:
        The folder.

    Raises:
        SearchError: a file cannot be written, or the student's file cannot be read.
        CheckpointError: the student's weights are damaged.
    """
    evidence = evidence_files(champion)
    if _holds(folder, evidence, student=champion.result.student_kept):
        return folder
    from trainables.classifier import classifier_bytes, restore_classifier

    student = {}
    if champion.result.student_kept:
        student[STUDENT_FILE] = weights = read_student(champion)
        if champion.pictures is not None:
            classifier = restore_classifier(champion.student, champion.pictures, weights)
            student[STUDENT_FILE] = classifier_bytes(classifier)
    verdict = evidence.pop(VERDICT_FILE)
    for name, content in {**student, **evidence, VERDICT_FILE: verdict}.items():
        replace_file(folder / name, content, what="the champion's")
    return folder


def _holds(folder: pathlib.Path, files: dict[str, bytes], *, student: bool) -> bool:
    try:
        return (folder / STUDENT_FILE).is_file() == student and all(
            (folder / name).read_bytes() == content for name, content in files.items()
        )
    except OSError:
        return False
