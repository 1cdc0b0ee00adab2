"""The notebook runs in a kernel from top to bottom, and its stored outputs are those of a run."""

import os
import pathlib
import subprocess
import sys

import nbformat

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "search.ipynb"
PROGRAM = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", record_timing=False).execute()
nbformat.write(notebook, "executed.ipynb")
"""


def outputs_of(path):
    """Return the outputs of each code cell, as (kinds, text)."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    return [
        (
            [kind for output in cell.outputs for kind in output.get("data", {"text/plain": ""})],
            "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in cell.outputs),
        )
        for cell in cells
    ]


def check(outputs):
    (progress, shown), *_ = outputs
    assert sorted(progress) == ["text/html", "text/plain"]  # one output, though it was updated many times
    assert "trials done" in shown
    assert any("image/png" in kinds for kinds, _ in outputs)
    assert outputs[-1][1] == "'finished'"
    assert all(kinds for kinds, _ in outputs)
    assert not any("Warning" in text for _, text in outputs)


def test_the_notebook_runs(tmp_path):
    places = {"PYTHONPATH": str(ROOT), "KD_SEARCH_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", PROGRAM, str(NOTEBOOK)], cwd=tmp_path, env=os.environ | places, check=True)
    check(outputs_of(tmp_path / "executed.ipynb"))


def test_the_notebook_holds_its_outputs():
    check(outputs_of(NOTEBOOK))
    assert NOTEBOOK.stat().st_size < 200_000
