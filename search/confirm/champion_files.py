"""Reads a champion's student from the confirmation, and writes it as files for users without MLflow."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable

from search.confirm.champion import Champion
from search.confirm.champion_card import CARD_FILE, RULE_FILE, VERDICT_FILE, card, evidence_files
from search.confirm.champion_exports import EXPORTS_FILE, FILES, STUDENT_FILE, read_exports
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


def module_reader(store: SearchStore) -> Callable[[Champion], bytes | None]:
    """Return a function that reads a training function's student with an example of its inputs, if it kept them."""
    kept = ConfirmationStore(store)
    return lambda champion: kept.module(champion.finalist.key)


def write_champion(champion: Champion, read_student: Callable[[Champion], bytes], folder: pathlib.Path) -> pathlib.Path:
    """Write student, policy, plain rule, verdict and model card into a folder, unless they are there.

    A training function that keeps no student has no `student.pt`, and a rule of the user's own no `rule.py`. Each file
    is replaced as a whole, the verdict after the others and the card last. Other forms of an earlier student, which
    `export_champion` wrote, are removed.

    Returns:
        The folder.

    Raises:
        SearchError: a file cannot be written, or the student's file cannot be read.
        CheckpointError: the student's weights are damaged.
    """
    evidence = evidence_files(champion)
    del evidence[CARD_FILE]
    if not _holds(folder, evidence, student=champion.result.student_kept):
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
        stale = [] if read_exports(folder) is not None else [EXPORTS_FILE, *FILES.values()]
        for name in [*stale, *([] if RULE_FILE in evidence else [RULE_FILE])]:
            (folder / name).unlink(missing_ok=True)
    write_card(champion, folder)
    return folder


def withdraw_champion(folder: pathlib.Path) -> None:
    """Move the folder of a champion that a KPI gate turns down to `<folder>-turned-down`; nothing if there is none."""
    if (folder / VERDICT_FILE).is_file():
        aside = folder.with_name(f"{folder.name}-turned-down")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)


def write_card(champion: Champion, folder: pathlib.Path) -> None:
    """Write the model card for what lies in the champion's folder, unless it is there.

    Raises:
        SearchError: it cannot be written.
    """
    content, path = card(champion, folder).encode(), folder / CARD_FILE
    if not path.is_file() or path.read_bytes() != content:
        replace_file(path, content, what="the champion's")


def _holds(folder: pathlib.Path, files: dict[str, bytes], *, student: bool) -> bool:
    try:
        return (folder / STUDENT_FILE).is_file() == student and all(
            (folder / name).read_bytes() == content for name, content in files.items()
        )
    except OSError:
        return False
