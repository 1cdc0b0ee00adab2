"""`kd-search analyze` from end to end: its files, its words and its errors."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from search import cli
from search.analysis import analysis_text, judge_analysis, read_analysis
from search.analysis.accuracy import choices, missed, r2_between
from search.analysis.figure_maps import maps_figure
from search.analysis.figure_style import CELLS, Plane
from search.analysis.files import write_analysis
from search.analysis.tables import lowest
from search.drawing.canvas import style
from search.errors import SearchError
from search.records.analysis import record_csv, record_json
from tests.search.analysis_record import WEIGHTS, planted_record
from tests.search.tiny import TINY

SMALL = [part for setting in [*TINY, "teacher.training.epochs=1"] for part in ("--set", setting)]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, cache):
    """Run `kd-search analyze` in this process and in a folder of its own; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["kd-search", "analyze", *arguments, "--cache", str(cache)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def planted():
    record = planted_record(lambda cosine, ratio, progress: 0.4 + 0.5 * cosine, noise=0.05)
    return record, judge_analysis(record)


@pytest.fixture
def undrawn(monkeypatch):
    """Skip the figures: they take seconds, and other files do not depend on them."""
    monkeypatch.setattr("search.analysis.files.analysis_figures", lambda *_: ())


def test_a_recipe_is_trained_probed_and_told(run, tmp_path):
    code, out, err = run(
        "digits-quick", *SMALL, "--seeds", "3", "--probes", "3", "--pictures", "40", "--horizons", "1,3"
    )
    assert (code, err) == (0, "")
    assert "“similar directions → more distillation”" in out
    said = " ".join(out.split())
    assert "training under 3 seeds for 12 steps each, with 9 probes; a probe takes up to 33 virtual steps" in said
    assert re.search(r"a probe takes [\d.]+ s here, so all 9 take about .* use --probes", said)
    folder = tmp_path / "runs/tiny/analysis"
    record = read_analysis(folder)
    assert (record.seeds, len(record.probes), record.held_out) == ((0, 1, 2), 9, 40)
    assert (record.family, record.parameters, record.trial) == ("fixed", {"weight": 0.9}, None)
    assert (folder / "analysis.csv").read_text().count("\n") == 1 + 9 * 11 * 3
    for name in ("taylor-maps", "best-plane", "best-readings", "prediction", "breakdown", "choices", "horizons"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<svg" in (folder / f"{name}.svg").read_bytes()
    assert {path.name for path in folder.parent.iterdir()} == {"analysis"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits-quik"], "no recipe of that name"),
        (["digits-quik"], "Did you mean 'digits-quick'"),
        (["no/such.toml"], "cannot read the search file"),
        (["--horizons", "1,x"], "`--horizons` takes whole numbers"),
        (["--horizons", "5,20"], "`horizons`: must begin with 1"),
        (["--horizons", "1,20,5"], "`horizons`: must ascend"),
        (["--probes", "0"], "`probes` should be greater than or equal to 1"),
        (["--pictures", "3"], "`pictures` should be greater than or equal to 10"),
        (["--seeds", "0"], "--seeds"),
        (["--policy", "/no/such.json"], "cannot read the policy file"),
        (["--set", "training.epoch=3"], "Did you mean 'epochs'"),
        (["--set", "student.name=resnt20"], "Did you mean 'resnet20'"),
    ],
)
def test_a_mistake_costs_one_message_and_exit_code_2(arguments, message, run):
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err


def test_mistakes_are_told_without_torch():
    program = (
        "import sys\nfrom search import cli\nsys.argv = ['kd-search', 'analyze', 'digits-quick', '--probes', '0']\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'ray', 'mlflow', 'optuna', 'matplotlib') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_policy_file_takes_the_place_of_the_constant(run, tmp_path, undrawn):
    document = {"format": "kd-policy", "version": 1, "family": "norm_balance", "parameters": {"balance": 1.0}}
    document |= {"rule": "", "temperature": 2.0}
    (tmp_path / "policy.json").write_text(json.dumps(document))
    code, _, err = run(
        "digits-quick", *SMALL, "--policy", "policy.json", "--seeds", "1", "--probes", "2", "--horizons", "1"
    )
    assert (code, err) == (0, "")
    record = read_analysis(tmp_path / "runs/tiny/analysis")
    assert (record.family, record.temperature) == ("norm_balance", 2.0)


def test_an_interrupted_analysis_leaves_the_earlier_one_as_it_was(run, tmp_path, planted, monkeypatch, undrawn):
    folder = tmp_path / "runs/tiny/analysis"
    write_analysis(*planted, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def interrupted(*_):
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr("search.analysis.run.probe_training", interrupted)
    code, _, err = run("digits-quick", *SMALL)
    assert (code, err) == (130, "interrupted\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.name for path in folder.parent.iterdir()} == {"analysis"}


def test_an_analysis_is_replaced_as_a_whole(tmp_path, planted, undrawn):
    folder = tmp_path / "x/analysis"
    write_analysis(*planted, folder)
    (folder / "left-over.txt").write_text("of an older release")
    write_analysis(*planted, folder)
    assert not (folder / "left-over.txt").exists()
    assert read_analysis(folder) == planted[0]


def test_one_that_cannot_be_written_is_told(tmp_path, planted, undrawn):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SearchError, match="cannot write the analysis to .*--output"):
        write_analysis(*planted, tmp_path / "file/analysis")


def test_a_record_survives_and_a_damaged_one_is_told(tmp_path, planted):
    assert read_analysis(tmp_path) is None
    path = tmp_path / "analysis.json"
    path.write_text(record_json(planted[0]))
    assert read_analysis(tmp_path) == planted[0]
    for text, message in (
        ("{", "is damaged"),
        ('{"format": 9}', "has format 9"),
        ('{"format": 1}', "is damaged: `name`"),
    ):
        path.write_text(text)
        with pytest.raises(SearchError, match=message):
            read_analysis(tmp_path)


def test_the_table_has_every_number(planted):
    header, first, *_ = (line.split(",") for line in record_csv(planted[0]).splitlines())
    row = dict(zip(header, first, strict=True))
    probe = planted[0].probes[0]
    assert float(row["cosine"]) == probe.batch.cosine
    assert float(row["held_out_task_true"]) == probe.steps["optimizer"].held_out["task"].true[0]
    assert float(row["after_5_mean"]) == probe.horizons[5]["mean"][0]
    assert "batch_task_error" not in header


def test_predictions_are_judged_by_what_they_get_right(planted):
    _, findings = planted
    fits = {f.prediction: f for f in findings.fits if (f.loss, f.where, f.kind) == ("task", "held_out", "optimizer")}
    exact, wrong = fits["second"], fits["first"]
    assert (exact.r2, exact.r2_between, exact.missed) == (1.0, 1.0, 0.0)
    assert wrong.r2 < 0
    assert wrong.r2_between == pytest.approx(1 - 3**2)
    assert wrong.missed == pytest.approx(1.0)
    assert fits["from_batch"].missed == wrong.missed


def test_a_way_of_choosing_gives_up_what_it_leaves(planted):
    record, findings = planted
    by_name = {choice.name: choice for choice in choices(record, "task")}
    assert by_name["λ = 0.5"].missed < by_name["λ = 0.9"].missed < by_name["λ = 1"].missed <= 1.0
    assert by_name["the rule in training"].missed == by_name["λ = 0.9"].missed
    assert by_name["λ = 0.9"].low < by_name["λ = 0.9"].missed < by_name["λ = 0.9"].high
    assert findings.stakes[0].constant in (0.4, 0.5, 0.6)
    true = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
    assert missed(true, np.array([2, 0]))[0] == 0.5
    assert np.isnan(missed(true, np.array([2, 0]))[1])
    assert np.isnan(r2_between(true, true)[1])


def test_the_lowest_lies_between_grid_points_at_ends_or_nowhere():
    lam = np.array(WEIGHTS)
    rows = np.array([(lam - 0.437) ** 2, lam, -lam, 0 * lam, lam * np.nan])
    assert lowest(lam, rows)[:4] == pytest.approx([0.437, 0.0, 1.0, 0.5])
    assert np.isnan(lowest(lam, rows)[4])


def test_words_tell_the_claims_with_their_numbers(planted):
    text = analysis_text(*planted)
    assert "“similar directions → more distillation” is supported. Between probes" in text
    assert "95 % interval +" in text
    assert "need not end lowest" in text
    assert len(analysis_text(*planted, brief=True)) < len(text)


def test_a_single_probe_and_a_diverged_training_are_told_too(tmp_path):
    one = planted_record(lambda *_: 0.3, seeds=1, probes=1)
    nan = float("nan")
    values = one.probes[0].model_dump()
    for kind in values["steps"].values():
        for where in ("batch", "held_out"):
            for response in kind[where].values():
                response |= dict.fromkeys(("true", "first", "plain", "halfway"), (nan,) * 11)
    values["batch"] = {"cosine": nan, "norm_ratio": nan, "task_norm": nan}
    diverged = one.model_copy(update={"probes": (type(one.probes[0]).model_validate(values),)})
    for record in (one, diverged):
        findings = judge_analysis(record)
        assert {claim.answer for claim in findings.claims} == {"cannot be told"}
        assert "cannot be told here" in analysis_text(record, findings)
    write_analysis(diverged, findings, tmp_path / "analysis")


def test_the_rule_is_drawn_where_it_decides(planted):
    record, findings = planted
    plane = Plane(record)
    assert plane.rule.shape == (CELLS, CELLS)
    assert ((plane.rule == 0.1) == (plane.cells[1] > 2.0)).all()
    for family, parameters in (("fixed", {"weight": 0.5}), ("somebodys_own", {})):
        assert Plane(record.model_copy(update={"family": family, "parameters": parameters})).rule is None
    with style():
        legend = maps_figure(record, findings).legend
    assert "the rule's middle" in [item.label for item in legend]
