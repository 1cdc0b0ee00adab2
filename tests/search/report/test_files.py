import json
import subprocess
import sys

import pytest

from policies.document import load_policy
from search.errors import SearchError
from search.report.files import write_report


def test_a_report_is_a_page_its_numbers_and_the_policies(full_search, tmp_path):
    page = write_report(full_search, tmp_path / "new" / "report")
    folder = page.parent
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    winner = document["families"][0]
    assert load_policy(folder / "policy.json").values() == winner["best"]["parameters"]
    for family in document["families"]:
        assert load_policy(folder / "policies" / f"{family['family']}.json").values() == family["best"]["parameters"]
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_a_policy_file_says_what_speaks_for_it(full_search, tmp_path):
    write_report(full_search, tmp_path)
    evidence = json.loads((tmp_path / "policy.json").read_text(encoding="utf-8"))["evidence"]
    best = full_search.finished[0]
    assert (evidence["search"], evidence["trial"]) == (full_search.name, best.number)
    assert evidence["validation_accuracy"] == pytest.approx(best.score)
    assert evidence["objective_value"] == best.score
    assert (evidence["objective"], evidence["objective_direction"]) == ("accuracy", "maximize")
    low, high = evidence["lead_95_percent_interval"]
    assert low < evidence["lead_over_best_constant"] < high
    assert evidence["confirmed_on_test_set"] is False


def test_a_report_replaces_an_earlier_one(trial, make_search, tmp_path):
    write_report(make_search(trial(1, "fixed", (0.8,))), tmp_path)
    write_report(make_search(trial(1, "fixed", (0.8,)), trial(2, "norm_balance", (0.9,))), tmp_path)
    assert load_policy(tmp_path / "policy.json").family == "norm_balance"
    assert load_policy(tmp_path / "policies" / "fixed.json").family == "fixed"


def test_without_a_finished_trial_there_is_a_page_and_no_policy(trial, make_search, tmp_path):
    write_report(make_search(trial(1, "fixed", status="failed")), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_a_family_that_is_a_path_writes_nothing_outside(trial, make_search, tmp_path):
    hostile = trial(1, "fixed", (0.8,)).model_copy(update={"family": "../../escaped"})
    write_report(make_search(hostile), tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("escaped*"))


def test_a_folder_that_cannot_be_written_is_named(trial, make_search, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SearchError, match=r"cannot write the report's file .*file.*choose a folder"):
        write_report(make_search(trial(1, "fixed", (0.8,))), tmp_path / "file")


def test_importing_the_report_costs_none_of_the_heavy_libraries():
    code = (
        "import sys, search.report;"
        "heavy = {'torch', 'ray', 'mlflow', 'matplotlib', 'optuna', 'sklearn', 'jinja2', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    import search

    root = str(next(iter(search.__path__))) + "/.."
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
