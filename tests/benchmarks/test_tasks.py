"""The benchmark of real tasks: each one loads and trains for a moment, and the table follows from the figures."""

import csv
import json

import pytest

from benchmarks.tasks.catalogue import ABSENT, FOLDER, TASKS, digest, how_to_get, load, search_file
from benchmarks.tasks.report import read, with_tables, write_report
from search.prepare import rehearse
from search.settings import load_config
from search.settings.launch import Launch
from tests.search.tiny import QuietListener

GAIN = {"mean": 1.25, "low": 0.5, "high": 2.0}
FIGURES = {
    **TASKS["vowels"]._asdict(),
    "name": "vowels",
    "files": "",
    "train": 90,
    "validation": 100,
    "test_samples": 270,
    "student_parameters": 1000,
    "cpu_seconds": 90,
    "wall_seconds": 120,
    "teacher": 98.5,
    "labels_alone": 90.0,
    "verdict": "rule",
    "bracketed": True,
    "constant": {"weight": 0.75, "temperature": 2.0, "score": 92.0, "over_labels": {"mean": 2.0, "low": 1, "high": 3}},
    "best_rule": {"family": "norm_balance", "over_constant": GAIN},
    "families": ["norm_balance", "mgda", "dwa"],
    "finalists": [
        {"key": "norm_balance", "over_constant": GAIN},
        {"key": "mgda", "over_constant": {"mean": -0.25, "low": -1.0, "high": 0.5}},
    ],
    "published": [{"weight": 0.9, "temperature": 4.0, "over_labels": GAIN, "over_constant": None}],
}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_loads_and_trains_the_same_student_twice(name, tmp_path):
    try:
        load(name).sets()
    except ABSENT as error:
        pytest.skip(f"the data of {name} are absent ({error}); to get them: {how_to_get(name)}")
    config = load_config(str(search_file(name)), ["training.epochs=1"])
    launch = Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test")
    assert rehearse(config, launch, QuietListener()).repeatable


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_searched_and_confirmed_as_all_others_are(name):
    config, other = (load_config(str(search_file(one))) for one in (name, "segment"))
    assert config.name == name
    assert set(other.families) - set(config.families) <= {"sample_confidence_reliability"}
    assert config.space.policies == other.space.policies
    assert [constant.weight for constant in config.confirm.constants] == [0.9, 0.5]
    own = {"name", "task", "student", "families", "training", "space", "confirm", "objective", "direction"}
    assert config.model_dump(exclude=own) == other.model_dump(exclude=own)


def test_every_file_of_a_search_belongs_to_a_task():
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(TASKS)


def test_the_digest_of_a_task_ignores_words_and_layout_but_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.tasks.catalogue.FOLDER", tmp_path)
    (tmp_path / "one.toml").write_text('name = "one"')

    def digest_of(text):
        (tmp_path / "one.py").write_text(text)
        return digest("one")

    first = digest_of('"""Head."""\nSIZE = 3\n')
    assert digest_of('"""Another head."""\n\nSIZE   = 3  # rows\n') == first
    assert digest_of('"""Head."""\nSIZE = 4\n') != first


def test_tables_are_written_from_the_figures_alone(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "vowels.json").write_text(json.dumps(FIGURES))
    write_report(results)
    text = (tmp_path / "RESULTS.md").read_text()
    assert (
        "| vowels | 98.5 | 90.0 | 92.0 at λ = 0.75, T = 2 | +2.00 (+1.00 to +3.00) | **rule** | norm balance |" in text
    )
    assert "| vowels | λ = 0.9, T = 4 | +1.25 (+0.50 to +2.00) | the same |" in text
    assert "| norm balance | **+1.25** |\n| mgda | −0.25 |\n| dwa | = |" in text
    (row,) = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert (row["labels"], row["constant_over_labels_low"]) == ("few, clean", "1")


def test_a_table_takes_the_place_of_the_one_between_its_marks():
    page = "Before.\n\n<!-- one -->\n\nold\n\n<!-- end -->\n\nBetween.\n\n<!-- two -->\n<!-- end -->\nAfter."
    once = with_tables(page, {"two": "| 2 |", "one": "| 1 |", "absent": "| 3 |"})
    assert once == (
        "Before.\n\n<!-- one -->\n\n| 1 |\n\n<!-- end -->\n\nBetween.\n\n<!-- two -->\n\n| 2 |\n\n<!-- end -->\nAfter."
    )
    assert with_tables(once, {"one": "| 1 |", "two": "| 2 |"}) == once


def test_stored_figures_are_those_of_the_tasks_as_they_are():
    stored = read(FOLDER / "results")
    assert {task["name"]: task["files"] for task in stored} == {task["name"]: digest(task["name"]) for task in stored}
