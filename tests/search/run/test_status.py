"""Lines of `kd-search status` for people; `--json` gives the same in numbers."""

import json

import pytest

from search.records.search import SearchRecord
from search.run.status import search_status, status_lines
from search.settings.launch import Launch
from search.store.folder import SearchStore
from tests.search.tiny import tiny_config


@pytest.mark.parametrize(
    ("objective", "direction", "score", "told"),
    [
        ("accuracy", "maximize", 0.41000000000000003, ["objective: accuracy", "best score: 41.00 %"]),
        ("regret", "minimize", -0.1234567, ["objective: regret (less is better)", "best score: 0.1235"]),
        ("accuracy", "maximize", None, ["objective: accuracy"]),
    ],
)
def test_a_score_is_written_as_the_value_that_it_stands_for(objective, direction, score, told):
    state = {"name": "tiny", "left_the_race": None, "objective": objective, "direction": direction, "best_score": score}
    before = json.dumps(state)
    assert status_lines(state) == ["name: tiny", *told]
    assert json.dumps(state) == before


def test_a_job_whose_folder_is_not_seen_is_told_by_what_it_said():
    assert status_lines({"name": "tiny", "job_status": "RUNNING", "says": "3/8 trials done", "storage": None}) == [
        "name: tiny",
        "job status: RUNNING",
        "says: 3/8 trials done",
    ]


def test_a_search_without_a_trial_counts_all_as_pending(tmp_path):
    launch = Launch.on_this_machine(tmp_path, tmp_path)
    config = tiny_config()
    record = SearchRecord(name="tiny", config=config.model_dump(mode="json"))
    SearchStore(launch.storage, "tiny").write_header(record, launch)
    lines = status_lines(search_status("tiny", launch, None))
    assert "status: interrupted" in lines
    assert "pending: 8" in lines
    assert "objective: accuracy" in lines
    assert not any(line.startswith("best") for line in lines)
