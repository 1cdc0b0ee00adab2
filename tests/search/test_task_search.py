"""A search of a user's own task, from its file to the confirmed student."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch

from search.confirm import confirm_search, read_confirmation
from search.errors import SearchError
from search.evidence import judge
from search.plan.plan import Plan
from search.plan.race import Turn
from search.prepare import rehearse
from search.prepare.task import load_task
from search.records import Listener
from search.run.search import run_search
from search.settings import load_config
from search.store import SearchStore, check_unchanged, read_search
from tests.search.confirm.test_champion_exports import run_snippet, snippets
from tests.search.tiny import QuietListener
from tests.trainables.tasks.task_files import DIABETES, DIGITS, HINTS
from trainables.errors import ConfigError

SEARCH = """
name = "own"
{task}
families = ["fixed", "norm_balance"]
trials_per_family = 2
replicates = 2
evaluations = 2
trace_points = 4
constant.most_trials = 3
confirm.seeds = 2
training = {{ epochs = 4, batch_size = 40, optimizer = "adam", learning_rate = 3e-2 }}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "digits.py").write_text(DIGITS)
    (tmp_path / "diabetes.py").write_text(DIABETES)
    return tmp_path


def config_in(folder, task, *overrides):
    (folder / "own.toml").write_text(SEARCH.format(task=task))
    return load_config(str(folder / "own.toml"), overrides)


def test_a_batch_of_one_is_refused_before_any_work(folder, launch):
    text = DIGITS.replace(
        "nn.ReLU(), nn.Linear(self.hidden, 10)", "nn.BatchNorm1d(self.hidden), nn.Linear(self.hidden, 10)"
    )
    (folder / "digits.py").write_text(text)
    config = config_in(folder, 'task = "digits.py:Digits"', "training.batch_size=1")
    with pytest.raises(ConfigError, match=r"`training.batch_size` must be large enough that no batch has 1 sample"):
        load_task(config, QuietListener())


def test_a_class_that_is_not_validated_is_told(folder, launch):
    fewer = "        keep = (y != 3) | (np.arange(len(y)) < 240)\n        x, y = x[keep], y[keep]\n"
    text = DIGITS.replace("        return Sets(", f"{fewer}        return Sets(")
    (folder / "digits.py").write_text(text)
    listener = QuietListener()
    load_task(config_in(folder, 'task = "digits.py:Digits"'), listener)
    assert "the validation set has no scans of class 3, so it does not judge how well it is known" in listener.stages


@pytest.fixture(scope="module")
def confirmed(launch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "diabetes.py").write_text(DIABETES)
    config = config_in(folder, 'task = "diabetes.py:Diabetes"\nobjective = "rmse"\ndirection = "minimize"')
    listener = QuietListener()
    outcome = run_search(config, launch, listener)
    confirm_search("own", launch, Listener(), config.confirm)
    return outcome, listener


def test_a_task_that_is_no_classification_is_searched_and_confirmed(confirmed, launch):
    outcome, listener = confirmed
    assert "200 training, 120 validation patients of 10" in listener.stages
    store = SearchStore(launch.storage, "own")
    search, record = read_search(store), read_confirmation(store)
    assert search.status == "finished"
    assert all(0.3 < -trial.score < 2.0 for trial in search.finished)
    assert record.complete
    assert record.test_size == 122
    assert 0.3 < record.teacher_kpis["rmse"] < 1.0
    assert {name for result in record.results for name in result.samples} == {"absolute_error"}
    assert record.student_figures.parameters == 10 * 6 + 6 + 6 + 1
    judgement = judge(search, record)
    assert judgement.verdict is not None
    page = outcome.page.read_text()
    assert "balancer.backward(task_loss, distill_loss)" in page
    assert "Loss on the labels" in page
    assert "nan" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL).lower().replace("finance", "")


def test_the_report_is_json_that_others_can_read(confirmed):
    outcome, _ = confirmed

    def refuse(value):
        raise AssertionError(f"{value} is no JSON")

    json.loads((outcome.page.parent / "report.json").read_text(), parse_constant=refuse)


def test_options_name_other_students(folder):
    config = config_in(
        folder,
        'task = { name = "digits.py:Digits", options = { hidden = 9 } }\nspace.students.wide.options.hidden = 30',
    )
    assert config.student.options == {"hidden": 9}
    assert config.students["wide"].name == "digits.py:Digits"
    assert config.students["wide"].options == {"hidden": 30}


def test_a_rehearsal_tells_how_long_a_search_takes(folder, launch):
    config = config_in(folder, 'task = "digits.py:Digits"')
    found = rehearse(config, launch, QuietListener())
    assert found.repeatable
    assert found.trainings == 2 * 2 + 3 * 2
    assert 0.0 < found.seconds < 60.0
    unseeded = DIGITS.replace("nn.Linear(64, self.hidden), nn.ReLU()", "nn.Linear(64, self.hidden), Noise(), nn.ReLU()")
    noise = (
        "class Noise(nn.Module):\n    def forward(self, x):\n"
        "        return x + float(np.random.rand()) if self.training else x\n\n\nclass Digits"
    )
    (folder / "digits.py").write_text(unseeded.replace("class Digits", noise))
    assert not rehearse(config_in(folder, 'task = "digits.py:Digits"'), launch, QuietListener()).repeatable


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            'task = "digits.py"',
            "a task of your own is given as FILE.py:CLASS, like my_task.py:MyTask, but got 'digits.py'",
        ),
        ('task = "none.py:Digits"', "cannot read .*none.py"),
        ("task = 3", "`task.name` must be FILE.py:CLASS, like my_task.py:MyTask, but got 3"),
        (
            'task = "digits.py:Digits"\ndata.name = "cifar10"',
            "`data` belongs to searches on pictures, but `task` is 'digits.py:Digits'",
        ),
        (
            'task = "digits.py:Digits"\nstudent = { name = "cnn" }',
            "`student.name` must be the task 'digits.py:Digits'",
        ),
        ("", "`teacher` is missing; it must be given|`student` is missing"),
        ('task = "diabetes.py:Diabetes"\nobjective = "rmse"', "`direction` must be given, since `objective` is 'rmse'"),
    ],
)
def test_a_search_file_is_checked_before_any_work(folder, task, message):
    with pytest.raises((ConfigError, SearchError, Exception), match=message):
        config_in(folder, task)


REGRESSION = 'task = "diabetes.py:Diabetes"\nobjective = "rmse"\ndirection = "minimize"'


def test_families_that_look_at_more_than_the_losses_show_are_named_with_the_lines_that_work(folder, launch):
    asked = 'families=["fixed", "tree", "sample_norm_balance", "sample_agreement_threshold"]'
    config = config_in(folder, REGRESSION, asked)
    with pytest.raises(
        ConfigError, match="sample_agreement_threshold cannot be used, since it looks at logits"
    ) as told:
        rehearse(config, launch, QuietListener())
    lines = str(told.value).removesuffix(".").partition("or write " if "or write " in str(told.value) else "write ")[2]
    assert 'families = ["fixed", "tree", "sample_norm_balance"]' in lines
    assert 'space.policies.tree.root = { choices = ["cosine", "norm_ratio", "progress", "loss_ratio"] }' in lines
    usable = config_in(folder, REGRESSION, *(line.replace(" = ", "=", 1) for line in lines.split("; ")))
    assert rehearse(usable, launch, QuietListener()).repeatable


def test_losses_of_a_batch_refuse_rules_on_samples_and_say_how_to_get_them(folder, launch):
    source = DIABETES.replace("(outputs - teacher_outputs) ** 2", "((outputs - teacher_outputs) ** 2).mean()")
    (folder / "diabetes.py").write_text(source)
    config = config_in(folder, REGRESSION, 'families=["fixed", "sample_norm_balance"]')
    with pytest.raises(
        ConfigError,
        match=r'it looks at the losses of each sample, but .*return one value a sample.*families = \["fixed"\]',
    ):
        rehearse(config, launch, QuietListener())


HINTED = """task = "hints.py:Hints"
space.learning_rate = { low = 1e-2, high = 5e-2, log = true }
space.options.hint_weight = { low = 0.1, high = 10.0, log = true }
"""


def test_an_option_is_searched_alike_for_all_families_and_confirmed(folder, launch, capsys):
    (folder / "hints.py").write_text(HINTS)
    config = config_in(folder, HINTED, "name=hinted", "constant.most_trials=6", "trials_per_family=3")
    outcome = run_search(config, launch, QuietListener())
    confirm_search("hinted", launch, Listener(), config.confirm)
    store = SearchStore(launch.storage, "hinted")
    search, record = read_search(store), read_confirmation(store)
    assert search.status == "finished"
    values = {trial.number: trial.shared["options.hint_weight"] for trial in search.finished}
    assert all(0.1 <= value <= 10.0 for value in values.values())
    assert values[1] == 1.0  # the middle of the orders of magnitude
    assert len({value for number, value in values.items() if number <= 3}) > 1
    assert len({value for number, value in values.items() if number > 3}) > 3
    for trial in search.finished:
        assert trial.history.policy["options"] == {"hint_weight": trial.shared["options.hint_weight"]}
    rule = next(finalist for finalist in record.finalists if finalist.role == "rule")
    assert rule.shared["options.hint_weight"] == values[rule.trial]
    text = outcome.page.read_text()
    assert "hint weight" in text.lower()
    assert "options.hint" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL).replace("space.options", "")


LIVE = """
    def augment(self, batch):
        return TaskBatch(batch.inputs + self.dropout * torch.randn_like(batch.inputs), batch.labels)

    def optimizer(self, student, learning_rate, total_steps):
        optimizer = torch.optim.SGD(student.parameters(), learning_rate, momentum=0.9)
        return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=total_steps)
"""


def test_a_task_with_a_live_teacher_and_an_optimiser_of_its_own_is_searched_and_confirmed(folder, launch):
    source = HINTS.replace("return Net(32)", "return [Net(32), Net(16)]") + LIVE
    (folder / "hints.py").write_text(source)
    task = HINTED.replace('task = "hints.py:Hints"', 'task = { name = "hints.py:Hints", options = { dropout = 0.1 } }')
    plain = ("training.optimizer=adamw", "constant.most_trials=3", "name=live")
    config = config_in(folder, task, *plain)
    run_search(config, launch, QuietListener())
    confirm_search("live", launch, Listener(), config.confirm)
    store = SearchStore(launch.storage, "live")
    search, record = read_search(store), read_confirmation(store)
    assert search.status == "finished"
    assert not [trial.error for trial in search.trials if trial.error]
    for trial in search.finished:
        assert trial.history.policy["training"]["optimizer"] == "hints.py:Hints.optimizer"
    assert search.teacher_parameters == sum((64 * w + w) + (10 * w + 10) + (16 * w + 16) for w in (32, 16))
    assert record.complete
    assert record.teacher_figures.parameters == search.teacher_parameters


def test_settings_that_an_own_optimiser_replaces_are_refused(folder, launch):
    (folder / "hints.py").write_text(HINTS + LIVE)
    with pytest.raises(ConfigError, match="`training.optimizer` has no effect, since the task hints.py:Hints defines"):
        rehearse(config_in(folder, HINTED), launch, QuietListener())


def test_a_killed_search_of_an_option_resumes_to_the_same_trials(folder):
    (folder / "hints.py").write_text(HINTS)
    config = config_in(folder, HINTED, "trials_per_family=4")
    plan, other = Plan(config), Plan(config)
    begun = []
    while not isinstance(found := plan.next(), Turn):
        begun.append(found)
        plan.end(found["trial"], [0.5 + 0.01 * found["options.hint_weight"]] * len(found["seeds"]))
    for suggestion in begun[:5]:
        other.begin(json.loads(json.dumps(suggestion)))
        other.end(suggestion["trial"], [0.5 + 0.01 * suggestion["options.hint_weight"]] * len(suggestion["seeds"]))
    assert other.next() == begun[5]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('space.options.hint_weight = { choices = ["a", "b"] }', "must be made of numbers, but `hint_weight` has 'a'"),
        (
            "space.options.width = { choices = [8, 9] }\nspace.students.wide.options.width = 20",
            "`space.options.width` is searched with every student, but `space.students.wide.options` sets it",
        ),
        (
            "task.options.layers = true\nspace.options.layers = { choices = [1, 2] }",
            "`space.options.layers` must be an option that is a number, but `task.options` has True",
        ),
    ],
)
def test_options_that_cannot_be_searched_are_refused_before_any_work(folder, lines, message):
    (folder / "hints.py").write_text(HINTS)
    with pytest.raises(ConfigError, match=message):
        config_in(folder, f'task.name = "hints.py:Hints"\n{lines}')


def test_options_are_searched_on_a_task_only():
    with pytest.raises(ConfigError, match="`space.options.depth` searches an option of a task or function of your own"):
        load_config("digits-quick", ["space.options.depth={low=1.0,high=2.0}"])


def test_data_that_depend_on_a_searched_option_are_refused(folder, launch):
    (folder / "hints.py").write_text(HINTS)
    config = config_in(folder, HINTED + "space.options.rows = { choices = [100, 200] }")
    with pytest.raises(ConfigError, match="`space.options.rows` cannot be searched, since `sets`"):
        rehearse(config, launch, QuietListener())
    teacher = HINTS.replace("return Net(32)", "return Net(self.layers + 31)")
    (folder / "hints.py").write_text(teacher)
    config = config_in(folder, HINTED + "space.options.layers = { choices = [1, 2] }")
    with pytest.raises(ConfigError, match="`space.options.layers` cannot be searched, since `teacher`"):
        rehearse(config, launch, QuietListener())


def test_an_option_that_nothing_reads_is_told(folder, launch):
    (folder / "hints.py").write_text(HINTS)
    listener = QuietListener()
    rehearse(config_in(folder, HINTED + "space.options.layers = { choices = [1, 2] }"), launch, listener)
    told = "neither student nor losses read the option layers, so searching it changes nothing"
    assert f"warning: {told}" in listener.stages


def test_an_objective_that_the_task_does_not_measure_is_named(folder, launch):
    config = config_in(folder, 'task = "diabetes.py:Diabetes"\nobjective = "rmsd"\ndirection = "minimize"')
    with pytest.raises(ConfigError, match="`objective` must be one of absolute_error, rmse, .* Did you mean"):
        rehearse(config, launch, QuietListener())


def test_a_changed_task_is_another_search(folder):
    before = config_in(folder, 'task = "digits.py:Digits"')
    (folder / "digits.py").write_text(DIGITS.replace("hidden: int = 12", "hidden: int = 13"))
    with pytest.raises(SearchError, match=r"the file of digits.py:Digits has changed: line \d+ was `hidden: int = 12`"):
        check_unchanged(config_in(folder, 'task = "digits.py:Digits"'), before)


def test_reading_a_stored_search_does_not_run_the_tasks_file(folder):
    config = config_in(folder, 'task = "digits.py:Digits"')
    broken = {**config.model_dump(mode="json"), "task": {"origin": "a.py:A", "source": "1 / 0", "options": {}}}
    assert type(config).parse({**broken, "student": {"name": "a.py:A"}}).task.source == "1 / 0"


def test_the_champion_is_loaded_as_its_card_says(folder, launch, confirmed):
    from search.confirm.champion import choose_champion
    from search.confirm.champion_files import student_reader, write_champion
    from trainables.config import OwnTask
    from trainables.tasks import create_task

    store = SearchStore(launch.storage, "own")
    search, record = read_search(store), read_confirmation(store)
    judgement = judge(search, record)
    winner = record.finalists[0].key
    verdict = judgement.verdict
    champion = choose_champion(record, judgement, search.config)
    if champion is None:  # two seeds seldom tell a winner
        named = dataclasses.replace if dataclasses.is_dataclass(verdict) else None
        assert named is None
        judged = judgement.model_copy(update={"verdict": verdict.model_copy(update={"winner": winner})})
        champion = choose_champion(record, judged, search.config)
    written = write_champion(champion, student_reader(store), folder / "champion")
    card = (written / "README.md").read_text()
    assert "from diabetes import Diabetes" in card
    assert "student = Diabetes().student()" in card
    assert "rmse is" in card
    assert "the best rmse" in card.replace("the one with the ", "the ")
    assert (written / "diabetes.py").read_text() == DIABETES
    student = create_task(OwnTask(origin="diabetes.py:Diabetes", source=DIABETES)).student()
    student.load_state_dict(torch.load(written / "student.pt", weights_only=True))
    _check_other_forms(champion, written, store, search, launch)


def _check_other_forms(champion, written, store, search, launch):
    """Run the card's ways to load the student without the package and without the user's class."""
    from search.confirm import export_champion, student_reader, subject_of, write_card

    found = subject_of(champion, search.config, launch, student_reader(store)(champion), None)
    assert export_champion(written, lambda: found, ["torch-export", "onnx"]) == ()
    write_card(champion, written)
    card = (written / "README.md").read_text()
    assert "| reads | `inputs` | float32 [N, 10] |" in card
    assert "64 validation patients" in card
    expected = found.network(found.inputs).detach()
    for words in ("PyTorch alone", "onnxruntime"):
        (code,) = [code for way, code in snippets(card).items() if words in way]
        (given,) = run_snippet(code, written, found.inputs, alone=True, result="outputs")
        torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "task", ['task = "digits.py:Digits"', 'task = "diabetes.py:Diabetes"\nobjective = "rmse"\ndirection = "minimize"']
)
def test_another_process_prepares_a_task_as_this_one_does(task, folder):
    """The sets are read and the teacher is asked where there is a GPU, if a cluster's driver sees none."""
    from search.cluster import ray_session
    from search.prepare.task import (
        load_task,
        prepare_task,
        prepare_task_elsewhere,
        task_ground,
        task_ground_elsewhere,
    )

    config = config_in(folder, task)
    loaded = load_task(config, Listener())
    here, ground = prepare_task(config, loaded), task_ground(config, loaded)
    with ray_session(None):
        there = prepare_task_elsewhere(config, Listener(), gpus=0)
        opened = task_ground_elsewhere(config, Listener(), gpus=0)
    assert there.foundation.text == here.foundation.text == opened.foundation.text
    assert there.teacher_parameters == here.teacher_parameters
    assert opened.test_digest == ground.test_digest
    np.testing.assert_array_equal(opened.pictures.test_targets, ground.pictures.test_targets)
