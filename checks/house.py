"""Measures how the code is laid out: files a folder, rooms, imports between them, floors and circles.

    python -m checks.house                    # the three packages and every folder in them
    python -m checks.house search.evidence    # one folder

A room of a folder is a module or a sub-package that lies directly in it. An arrow is an import from one room to
another, counted once however many modules use it. Floors are the longest way along the arrows. Rooms that reach each
other form a circle, whether they import at the top of a file or inside a function. Imports that only type checkers see
do not count.

The exit code is 1 if a folder has more than 20 files, or if a module of `search` or `trainables` imports past the face
of a sub-package, which is its `__init__`. Circles are shown here and refused by import-linter.
"""

from __future__ import annotations

import pathlib
import sys

import grimp
import networkx

PACKAGES = ("policies", "trainables", "search")
WITH_FACES = ("trainables", "search")
MOST_FILES = 20


def rooms_of(graph: grimp.ImportGraph, folder: str) -> networkx.DiGraph[str]:
    """Return the rooms of a folder, with an edge for each arrow."""
    rooms: networkx.DiGraph[str] = networkx.DiGraph()
    rooms.add_nodes_from(graph.find_children(folder))
    room_of = {module: room for room in rooms for module in (room, *graph.find_descendants(room))}
    for module, room in room_of.items():
        for imported in graph.find_modules_directly_imported_by(module):
            if room_of.get(imported, room) != room:
                rooms.add_edge(room, room_of[imported])
    return rooms


def row(graph: grimp.ImportGraph, folder: str) -> tuple[str, int, int, int, int, str]:
    """Return name, Python files directly in the folder, rooms, arrows, floors, and the circles in words."""
    rooms = rooms_of(graph, folder)
    floors = networkx.dag_longest_path_length(networkx.condensation(rooms)) + 1 if rooms else 0
    circles = [sorted(name.rpartition(".")[2] for name in c) for c in networkx.strongly_connected_components(rooms)]
    told = "; ".join(" ↔ ".join(names) for names in circles if len(names) > 1)
    files = len(list(pathlib.Path(folder.replace(".", "/")).glob("*.py")))
    return folder, files, len(rooms), rooms.number_of_edges(), floors, told


def past_faces(graph: grimp.ImportGraph) -> list[str]:
    """List the imports of a sub-package's modules from outside it."""
    found = []
    for module in sorted(graph.modules):
        package, *inner = module.split(".")
        if package not in WITH_FACES or len(inner) < 2:
            continue
        room = f"{package}.{inner[0]}"
        importers = sorted(graph.find_modules_that_directly_import(module))
        outside = [name for name in importers if name != room and not name.startswith(f"{room}.")]
        found += [f"{name} imports {module}; import from {room}, and name it in its __init__.pyi" for name in outside]
    return found


def main() -> int:
    """Print the table and what is wrong; return how the process should exit."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    packages = sorted(name for name in graph.modules if graph.find_children(name))
    rows = [row(graph, name) for name in packages if not sys.argv[1:] or name in sys.argv[1:]]
    print(f"{'folder':<32}{'files':>6}{'rooms':>7}{'arrows':>8}{'floors':>8}  circles")
    for folder, files, rooms, arrows, floors, circles in rows:
        print(f"{folder:<32}{files:>6}{rooms:>7}{arrows:>8}{floors:>8}  {circles or '–'}")
    wrong = [f"{folder} has more than {MOST_FILES} files" for folder, files, *_ in rows if files > MOST_FILES]
    wrong += past_faces(graph)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
