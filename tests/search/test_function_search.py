"""A search of a user's training function, from its file to the confirmed student."""

import re

import pytest
import torch

from search.confirm import (
    confirm_search,
    export_champion,
    module_reader,
    read_confirmation,
    subject_of,
    write_card,
)
from search.confirm.champion import choose_champion
from search.confirm.champion_files import student_reader, write_champion
from search.errors import SearchError
from search.evidence import judge
from search.prepare import rehearse
from search.records import Listener
from search.report.tables.settings import settings_rows
from search.run.search import run_search
from search.settings import load_config
from search.store import SearchStore, check_unchanged, read_search, stored_decisions
from tests.search.confirm.test_champion_exports import run_snippet, snippets
from tests.search.tiny import QuietListener
from tests.trainables.functions.function_files import DIGITS
from trainables.errors import ConfigError

SEARCH = """
name = "function"
families = ["fixed", "norm_balance", "sample_class_reliability"]
trials_per_family = 2
replicates = 2
trace_points = 4
constant.most_trials = 3
confirm.seeds = 2
training.learning_rate = 1e-2
{function}
"""
UNSEEDED = "generator=torch.Generator().manual_seed(__import__('time').time_ns() % 2**31)"
FUNCTION = 'function = { name = "train.py:distil", options = { hidden = 8 } }'


def config_in(folder, *overrides, text=DIGITS, function=FUNCTION):
    (folder / "train.py").write_text(text)
    (folder / "function.toml").write_text(SEARCH.format(function=function))
    return load_config(str(folder / "function.toml"), overrides)


@pytest.fixture(scope="module")
def confirmed(launch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("function")
    config = config_in(folder, "racing=true", "space.temperature={choices = [1.0, 4.0]}")
    outcome = run_search(config, launch, QuietListener())
    (folder / "train.py").unlink()  # a confirmation reads the text that the search keeps
    confirm_search("function", launch, Listener(), config.confirm)
    store = SearchStore(launch.storage, "function")
    return outcome, store, read_search(store), read_confirmation(store)


def test_a_function_is_searched_and_confirmed(confirmed):
    _, _, search, record = confirmed
    assert search.status == "finished"
    assert {trial.family for trial in search.trials} == {"fixed", "norm_balance", "sample_class_reliability"}
    assert all(0.1 < trial.score < 1.0 for trial in search.finished)
    assert record.complete
    assert record.test_size == 1097
    assert {values.count for result in record.results for values in result.samples.values()} == {1097}
    assert record.student_figures.parameters == 64 * 8 + 8 + 8 * 10 + 10
    verdict = judge(search, record).verdict
    assert "1,097 test samples" in f"{verdict.headline} {verdict.evidence} {verdict.caveat}"


def test_every_trial_has_its_trace_its_decisions_and_its_conduct(confirmed):
    _, store, search, _ = confirmed
    for trial in search.finished:
        assert len(trial.history.trace) == 4
        assert trial.history.conduct.steps == 20 * len(trial.seeds)
        assert stored_decisions(store, trial).entries


def test_the_report_speaks_of_samples_and_shows_no_gap(confirmed):
    outcome, _, search, _ = confirmed
    page = re.sub(r"<(script|style).*?</\1>", "", outcome.page.read_text(), flags=re.DOTALL)
    assert "picture" not in page
    assert "nan" not in page.lower()
    rows = dict(settings_rows(search.config))
    assert rows["function.name"] == "train.py:distil"
    assert not any("import torch" in value for value in rows.values())


def test_the_champion_holds_the_kept_student_and_the_file(confirmed, tmp_path):
    _, store, search, record = confirmed
    judgement = judge(search, record)
    verdict = judgement.verdict.model_copy(update={"winner": record.finalists[0].key})
    champion = choose_champion(record, judgement.model_copy(update={"verdict": verdict}), search.config)
    folder = write_champion(champion, student_reader(store), tmp_path / "champion")
    assert torch.load(folder / "student.pt", weights_only=True)["0.weight"].shape == (8, 64)
    assert (folder / "train.py").read_text() == DIGITS
    assert "`train.py:distil` kept" in (folder / "README.md").read_text().replace("\n", " ")
    _check_other_forms(champion, folder, store, search)


def _check_other_forms(champion, folder, store, search):
    """Run the card's ways to load the student without the package and without the user's class."""
    student, module = student_reader(store)(champion), module_reader(store)(champion)
    found = subject_of(champion, search.config, None, student, module)
    assert export_champion(folder, lambda: found, ["torch-export", "onnx"]) == ()
    write_card(champion, folder)
    card = (folder / "README.md").read_text()
    assert "64 noisy copies of the function's example" in card
    expected = found.network(found.inputs).detach()
    for words in ("PyTorch alone", "onnxruntime"):
        (code,) = [code for way, code in snippets(card).items() if words in way]
        (given,) = run_snippet(code, folder, found.inputs, alone=True, result="outputs")
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)


def test_a_confirmed_student_is_timed_in_onnxruntime_too(confirmed):
    _, _, _, record = confirmed
    assert record.student_figures.onnx_bytes > 0
    assert set(record.student_figures.latency) >= {"cpu", "onnx"}


def test_a_rehearsal_tells_what_can_be_repeated_and_resumed(tmp_path, launch):
    found = rehearse(config_in(tmp_path), launch, QuietListener())
    assert found.repeatable
    assert found.trainings == (2 * 2 + 3) * 2
    assert found.remarks == (
        "An interrupted training continues from what `run.save` wrote, and ends in the same student to the last bit.",
    )


@pytest.mark.parametrize(
    ("old", "new", "repeatable", "remark"),
    [
        ("torch.randn(len(part), 10)", f"torch.randn(len(part), 10, {UNSEEDED})", False, None),
        ("        optimizer.load_state_dict(its)\n", "", True, "does NOT end in the same student"),
        ("        run.save(save)\n", "", True, "begins again from its first step"),
        (
            "    run.restore(load)\n",
            "    run.restore(load)\n    torch.set_num_threads(2)\n",
            None,
            "The function changes torch's number of threads",
        ),
    ],
)
def test_a_rehearsal_finds_what_spoils_a_comparison(old, new, repeatable, remark, tmp_path, launch):
    assert old in DIGITS
    found = rehearse(config_in(tmp_path, text=DIGITS.replace(old, new)), launch, QuietListener())
    assert repeatable is None or found.repeatable is repeatable
    assert remark is None or any(remark in told for told in found.remarks)


@pytest.mark.parametrize(
    ("old", "new", "overrides", "message"),
    [
        ("run.learning_rate", "1e-2", ["space.learning_rate={low=1e-3, high=1e-1}"], "never reads `run.learning_rate`"),
        (
            "    run.restore(load)\n",
            "    run.restore(load)\n    torch.manual_seed(0)\n"
            "    student.load_state_dict(nn.Sequential(nn.Linear(64, 8), nn.ReLU(),"
            " nn.Dropout(0.1), nn.Linear(8, 10)).state_dict())\n    run.epochs = lambda n: range(n)\n",
            [],
            "two seeds gave the same student",
        ),
        (
            "accuracy=right(slice(200, 700)).double().mean()",
            "accuracy=float('nan')",
            [],
            "the objective 'accuracy' that train.py:distil reports must be finite, but is nan",
        ),
        ("accuracy=right(", "hits=right(", [], "must name the search's `objective`, 'accuracy', but got hits, wrong"),
        (
            "balancer.backward_on_logits(student(x[part]), teacher, y[part])",
            "out = student(x[part])\n            balancer.backward(nn.functional.cross_entropy(out, y[part]),"
            " (out - teacher).square().mean())",
            [],
            r'sample_class_reliability cannot be used.*families = \["fixed", "norm_balance"\]',
        ),
    ],
)
def test_a_function_that_does_not_fit_its_search_is_refused(old, new, overrides, message, tmp_path, launch):
    config = config_in(tmp_path, *overrides, text=DIGITS.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        rehearse(config, launch, QuietListener())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ('function = "train.py"', "a function of your own is given as FILE.py:FUNCTION, like train.py:distil"),
        ("function = 3", "`function.name` must be FILE.py:FUNCTION, like train.py:distil, but got 3"),
        (f'{FUNCTION}\ntask = "train.py:Task"', "`task` and `function` are two ways"),
        (f'{FUNCTION}\ndata.name = "cifar10"', "`data` belongs to searches on pictures, but `function` is"),
        (
            'function = { name = "train.py:distil", processes = 2 }',
            "`resources.cpus_per_trial` must be at least 2, since `function.processes` is 2, but got 1",
        ),
        (f'{FUNCTION}\nobjective = "rmse"', "`direction` must be given, since `objective` is 'rmse'"),
    ],
)
def test_a_search_file_is_checked_before_any_work(function, message, tmp_path):
    with pytest.raises((ConfigError, SearchError, Exception), match=message):
        config_in(tmp_path, function=function)


def test_a_changed_function_is_another_search(tmp_path):
    before = config_in(tmp_path)
    with pytest.raises(SearchError, match="the file of train.py:distil has changed: line 8 was `EPOCHS, STEPS = 4, 5`"):
        check_unchanged(config_in(tmp_path, text=DIGITS.replace("= 4, 5", "= 5, 5")), before)
