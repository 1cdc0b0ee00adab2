"""Files and terminals as people have them, from the command line."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.settings import load_config

SEARCH = """name = "mine"
families = ["fixed", "norm_balance"]
trials_per_family = 2
replicates = 2
evaluations = 2
[data]
name = "image-folder"
root = "pictures"
image_size = 8
[teacher]
model = { name = "mlp", options = { hidden = [8] } }
training = { epochs = 2, batch_size = 16 }
[student]
name = "mlp"
[training]
epochs = 2
batch_size = 16
"""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for name in ("cat", "öwl"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(256, size=(12, 9 + number, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{number}.png")
    (tmp_path / "mine.toml").write_text(SEARCH)
    return tmp_path


def check(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run `kd-search check mine.toml` in a process of its own; return its exit code and its output."""
    command = [sys.executable, "-m", "search", "check", "mine.toml", "--cache", str(folder / "cache"), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    return done.returncode, done.stdout.decode("utf-8" if encoding == "ascii" else encoding)


def test_bad_pictures_are_listed_before_any_training_and_skipped_where_that_is_asked_for(folder):
    whole = (folder / "pictures" / "cat" / "3.png").read_bytes()
    (folder / "pictures" / "cat" / "3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "pictures" / "öwl" / "4.png").write_bytes(b"")
    code, out = check(folder)
    assert code == 2
    lines = out[out.index("error: ") :].splitlines()
    assert lines[0] == "error: 2 of 40 pictures cannot be read:"
    assert "cat/3.png': " in lines[1]
    assert lines[2].endswith("öwl/4.png': the file is empty")
    assert lines[3].endswith("or skip them with --skip-bad (`data.skip_bad` = true).")
    assert "teacher" not in out
    code, out = check(folder, "--skip-bad")
    assert code == 0, out
    assert "skipped: 2 pictures that cannot be read (cat/3.png: " in out
    assert "· 21 training, 10 validation, 7 test pictures" in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_of_any_encoding_is_written_to(folder, encoding):
    code, out = check(folder, PYTHONIOENCODING=encoding)
    assert code == 0, out
    assert "training: 22 pictures (cat 11, öwl 11)" in out
    assert f"the best constant {'λ' if encoding in ('ascii', 'utf-8') else 'lambda'}" in out


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_byte_order_mark_and_the_ends_of_lines_change_nothing(folder, monkeypatch, ends):
    monkeypatch.chdir(folder)
    text = 'kpis = ["my_kpis.py:size"]\n' + SEARCH
    kpi = "def size(network, samples):\n    return 1.0\n"
    (folder / "my_kpis.py").write_text(kpi)
    (folder / "mine.toml").write_text(text)
    plain = load_config("mine.toml")
    (folder / "my_kpis.py").write_bytes(BYTE_ORDER_MARK + kpi.replace("\n", ends).encode())
    (folder / "mine.toml").write_bytes(BYTE_ORDER_MARK + text.replace("\n", ends).encode())
    assert load_config("mine.toml") == plain


def test_a_search_file_in_another_encoding_is_told_with_the_remedy(folder):
    (folder / "mine.toml").write_text(SEARCH, encoding="utf-16")
    code, out = check(folder)
    assert code == 2
    assert "it is not UTF-8" in out
    assert "save it as UTF-8" in out
