"""Finds the sets and the classes of a folder of pictures.

root/<class>/…                            all sets are split off by the search
root/train/<class>/…                      and, if there are any, root/val and root/test; under any usual names
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from trainables.datasets.folders.names import (
    SUFFIXES,
    TRAINING,
    class_key,
    class_name,
    holds_all_pictures,
    holds_no_pictures,
    set_of,
)
from trainables.datasets.folders.walk import (
    Skips,
    holds_a_picture,
    inner_folders,
    note_folder,
    note_others,
    pictures_in,
)
from trainables.errors import DataError
from trainables.pictures import SETS, Inventory

Files = dict[str, list[str]]
"""The pictures by class; names are relative to the root, with `/` between folders."""

_UNLABELLED = "folders of a set without folders of classes in them, hence without labels"
_OTHER = "folders beside those of the sets"
_MOST_NAMED = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """The pictures of a folder by set and class. All sets have the same classes in the same order."""

    sets: dict[str, Files]
    inventory: Inventory
    """The folders of the sets and what is skipped; pictures are not counted yet."""


def find_layout(root: Path) -> Layout:
    """Find the sets and classes in a folder of pictures.

    Raises:
        DataError: the folder does not exist, its layout is in doubt, or sets have different classes.
    """
    if not root.is_dir():
        raise DataError(f"`root` must be a folder of pictures, but there is no folder {str(root)!r}; correct the path.")
    skips, remarks = Skips(), list[str]()
    folders = _set_folders(root)
    if not folders:
        found = {TRAINING: _classes(root, root, skips, remarks)}
        inventory = Inventory(remarks=tuple(remarks), skipped=skips.found)
        return Layout(sets=found, inventory=inventory)
    note_others(root, root, skips)
    for other in inner_folders(root):
        if other not in folders.values():
            skips.add(_OTHER, other.name)
    found, used = {}, {}
    for name in SETS:
        if name not in folders:
            continue
        folder = _descend(folders[name], name)
        if name != TRAINING and not inner_folders(folder):
            skips.add(_UNLABELLED, folder.relative_to(root).as_posix())
            continue
        found[name] = _classes(root, folder, skips, remarks)
        used[name] = class_name(folder.relative_to(root).as_posix())
        found[name] = _in_order(found[name], found[TRAINING], folders[TRAINING], folder)
    return Layout(sets=found, inventory=Inventory(folders=used, remarks=tuple(remarks), skipped=skips.found))


def _set_folders(root: Path) -> dict[str, Path]:
    """Return the folders of sets by set; empty if the root's folders are classes.

    Raises:
        DataError: two folders are of one set, or none is of the training set.
    """
    named: dict[tuple[str, ...], dict[str, list[Path]]] = {}
    for folder in inner_folders(root):
        if meant := set_of(folder.name):
            named.setdefault(meant[1], {}).setdefault(meant[0], []).append(folder)
    found = named.get((), {})
    if list(found) == [TRAINING] and not any(map(inner_folders, found[TRAINING])):
        found = {}  # without inner folders, `train` is a class (railways)
    if not found:  # names like flowers_train and flowers_test
        alike = (sets for sets in named.values() if len(sets) > 1 and any(map(inner_folders, sets.get(TRAINING, ()))))
        found = next(alike, {})
    for name, folders in found.items():
        if len(folders) > 1:
            raise DataError(
                f"{_listed(folders)} in {str(root)!r} both look like the {name} set; keep one, or merge them."
            )
    if found and TRAINING not in found:
        name, folders = next(iter(found.items()))
        raise DataError(
            f"{str(folders[0])!r} looks like the {name} set, but {str(root)!r} has no folder of the training set; put"
            " the classes to train on into a folder `train`, or rename this folder if it is a class."
        )
    return {name: folders[0] for name, folders in found.items()}


def _descend(folder: Path, name: str) -> Path:
    """Return the folder that holds a set's classes: `seg_train/seg_train` and `train/images` hold them one deeper."""
    while True:
        inner = [path for path in inner_folders(folder) if not holds_no_pictures(path.name)]
        if len(inner) != 1 or not (holds_all_pictures(inner[0].name) or (set_of(inner[0].name) or ("",))[0] == name):
            return folder
        folder = inner[0]


def _classes(root: Path, folder: Path, skips: Skips, remarks: list[str]) -> Files:
    """Find the pictures of each class in a folder, in the order of the classes' names."""
    inner = _class_folders(root, folder, skips)
    files: Files = {}
    spelled: dict[str, Path] = {}
    for path in inner:
        sets = {meant[0] for one in inner_folders(path) if (meant := set_of(one.name)) and not meant[1]}
        if len(sets) > 1:
            raise DataError(
                f"the class folder {str(path)!r} holds the sets {' and '.join(sorted(sets))}; put the sets outside and"
                f" the classes into them, such as train/{class_name(path.name)} and test/{class_name(path.name)}."
            )
        names = pictures_in(root, path, skips)
        if not names:
            raise DataError(
                f"the class folder {str(path)!r} holds no picture ({SUFFIXES}); add some or remove the folder."
            )
        first = spelled.setdefault(class_key(path.name), path)
        if first is not path:
            remarks.append(f"{_listed([first, path])} are one class, spelled in two ways")
        files.setdefault(class_name(first.name), []).extend(names)
    return files


def _class_folders(root: Path, folder: Path, skips: Skips) -> list[Path]:
    loose = note_others(root, folder, skips)
    inner = inner_folders(folder)
    whole = next((path for path in inner if holds_all_pictures(path.name)), None)
    if whole is not None and not any(_is_class(path) for path in inner if path != whole):
        deeper = len(inner_folders(whole)) > 1
        others = f" beside {_listed([path for path in inner if path != whole])}" if len(inner) > 1 else ""
        raise DataError(
            f"{str(whole)!r}{others} looks like the folder of all pictures, and not like one class; "
            + (f"set `data.root` to {str(whole)!r}." if deeper else "sort the pictures into one folder per class.")
        )
    classes = []
    for path in inner:
        if holds_no_pictures(path.name) and not holds_a_picture(path):
            note_folder(root, path, skips)
        else:
            classes.append(path)
    if len(classes) < 2:
        message = f"{str(folder)!r} must hold at least 2 folders of pictures, one per class, but holds {len(classes)}"
        if loose:
            message += f" and {loose:,} pictures outside"
        if len(classes) == 1 and len(inner_folders(classes[0])) > 1:
            raise DataError(f"{message}; if its inner folders are the classes, set `data.root` to {str(classes[0])!r}.")
        raise DataError(f"{message}; sort the pictures into one folder per class.")
    return classes


def _is_class(folder: Path) -> bool:
    return not holds_no_pictures(folder.name) and holds_a_picture(folder)


def _in_order(files: Files, training: Files, training_folder: Path, folder: Path) -> Files:
    """Return a set's pictures under the training set's names of the classes, and in their order."""
    by_key: Mapping[str, list[str]] = {class_key(name): names for name, names in files.items()}
    wanted = {class_key(name): name for name in training}
    if different := sorted(by_key.keys() ^ wanted.keys()):
        raise DataError(
            f"{str(training_folder)!r} and {str(folder)!r} must have folders for the same classes, but only one of"
            f" them has {', '.join(map(repr, different[:_MOST_NAMED]))}; rename, add or remove folders."
        )
    return {name: by_key[key] for key, name in wanted.items()}


def _listed(folders: list[Path]) -> str:
    return " and ".join(repr(folder.name) for folder in folders)
