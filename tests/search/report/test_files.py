import csv
import json
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from PIL import Image

from policies.document import load_policy
from search.errors import SearchError
from search.evidence.source import ReportSource
from search.report.files import write_report


def names(folder, pattern):
    return {path.stem for path in folder.glob(pattern)}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("kind", ["searched", "with_winner", "without_winner"])
def test_a_report_is_a_page_its_figures_its_numbers_and_the_policies(written, kind):
    folder = written[kind]
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert load_policy(folder / "policy.json").values() == document["recommended"]["parameters"]
    for family in document["families"]:
        assert load_policy(folder / "policies" / f"{family['family']}.json").family == family["family"]
    drawn = names(folder, "figures/*.png")
    assert drawn == names(folder, "figures/*.svg")
    assert drawn <= names(folder, "data/*.csv")
    assert {"forest", "constants"} <= drawn
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_every_figure_is_a_whole_picture(written):
    for path in (written["with_winner"] / "figures").iterdir():
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert picture.width > 800
                assert picture.height > 250
                assert len(picture.getcolors(1_000_000)) > 10
        else:
            text = path.read_text(encoding="utf-8")
            assert xml.etree.ElementTree.fromstring(text).tag.endswith("svg")
            assert "var(--" not in text
            assert "http" not in text.replace("http://www.w3.org/", "")


def test_the_numbers_behind_the_figures_are_those_of_the_record(written, with_winner):
    data, search = written["with_winner"] / "data", with_winner.search
    assert {(row["family"], float(row["score"])) for row in rows_of(data / "scores.csv")} == {
        (trial.family, trial.score) for trial in search.finished
    }
    forest = {row["finalist"]: row for row in rows_of(data / "forest.csv")}
    test = with_winner.judgement.finalists.of("norm_ratio_threshold").difference
    told = forest["norm ratio threshold"]
    assert [float(told[name]) for name in ("difference", "low", "high")] == [test.mean, test.low, test.high]
    assert told["beats_constant"] == "True"
    assert forest["λ = 0.45"]["difference"] == ""
    points = [row for row in rows_of(data / "weights.csv") if row["who"] == "norm ratio threshold"]
    assert len(points) == 12
    assert float(points[0]["lambda_low"]) == 0.5
    assert float(points[0]["lambda_high"]) == pytest.approx(0.59)
    parallel = rows_of(data / "parallel.csv")
    assert [int(row["trial"]) for row in parallel] == [trial.number for trial in search.finished]
    assert float(parallel[0]["learning_rate"]) == search.finished[0].shared["learning_rate"]


def test_a_report_replaces_an_earlier_one_and_what_it_no_longer_has(trial, make_search, tmp_path):
    folder = tmp_path / "report"
    two = make_search(trial(1, "fixed", (0.8,)), trial(2, "norm_balance", (0.9,), learning_rate=0.1, curves=True))
    write_report(ReportSource(search=two), folder)
    assert (folder / "figures" / "weights.png").is_file()
    (folder / "figures" / "mine.txt").write_text("kept")
    write_report(ReportSource(search=make_search(trial(1, "fixed", (0.8,)))), folder)
    assert load_policy(folder / "policy.json").family == "fixed"
    assert names(folder, "figures/*.png") == {"scores"}
    assert names(folder, "data/*.csv") == {"scores", "trials", "families", "kpis", "costs"}
    assert (folder / "figures" / "mine.txt").is_file()


def test_without_a_finished_trial_there_is_a_page_and_no_policy(trial, make_search, tmp_path):
    write_report(ReportSource(search=make_search(trial(1, "fixed", status="failed"))), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "report.html", "report.json"]
    assert names(tmp_path, "data/*.csv") == {"trials", "families", "costs"}


def test_a_family_that_is_a_path_writes_nothing_outside(trial, make_search, tmp_path):
    hostile = trial(1, "fixed", (0.8,)).model_copy(update={"family": "../../escaped"})
    other = trial(2, "fixed", (0.7,), learning_rate=0.1).model_copy(update={"family": "../../escaped"})
    write_report(ReportSource(search=make_search(hostile, other)), tmp_path / "a" / "b")
    assert not list(tmp_path.rglob("escaped*"))


def test_a_folder_that_cannot_be_written_is_named(trial, make_search, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SearchError, match=r"cannot write the report's file .*file.*choose a folder"):
        write_report(ReportSource(search=make_search(trial(1, "fixed", (0.8,)))), tmp_path / "file")


def loaded(imports, libraries):
    """Return those of the libraries that a new process has loaded after importing these modules."""
    import search

    code = f"import sys, {imports}; print(sorted({set(libraries)!r} & set(sys.modules)))"
    root = str(next(iter(search.__path__))) + "/.."
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    return done.stdout.strip()


def test_importing_the_report_costs_none_of_the_heavy_libraries():
    heavy = ("torch", "ray", "mlflow", "matplotlib", "optuna", "sklearn", "jinja2", "scipy")
    assert loaded("search.report", heavy) == "[]"


def test_a_stored_search_is_read_and_reported_without_torch():
    modules = (
        "search.store.trials, search.run.publish, search.report.page, search.report.figures, search.analysis.figures"
    )
    assert loaded(modules, ("torch", "mlflow")) == "[]"
