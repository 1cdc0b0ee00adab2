"""The contract of tasks: good ones keep it, and each broken one is caught by the clause that names the fault."""

import importlib.util
import sys

import pytest

from tests.trainables.tasks.task_files import DIABETES, DIGITS, HINTS, own
from tests.trainables.testing.broken_tasks import BROKEN
from trainables.testing import TASK_CLAUSES, check_task

CLAUSES = {clause.__name__: clause for clause in TASK_CLAUSES}


@pytest.mark.parametrize("task", [own(DIGITS, "Digits"), own(DIABETES, "Diabetes")], ids=["digits", "diabetes"])
@pytest.mark.parametrize("clause", TASK_CLAUSES, ids=list(CLAUSES))
def test_a_good_task_keeps_every_clause(task, clause):
    clause(task)


def test_hints_an_optimiser_and_changing_inputs_keep_the_contract():
    trained = HINTS.replace("return Net(32)", "return trained(Net(32), *load_digits(return_X_y=True))").replace(
        "class Hints",
        "def trained(network, x, y):\n"
        "    x, y = torch.from_numpy((x / 16).astype(np.float32)), torch.from_numpy(y)\n"
        "    optimizer = torch.optim.Adam(network.parameters(), 1e-2)\n"
        "    for _ in range(30):\n"
        "        optimizer.zero_grad()\n"
        "        F.cross_entropy(network(x)['logits'], y).backward()\n"
        "        optimizer.step()\n"
        "    return network\n\n\nclass Hints",
    )
    more = """
    def augment(self, batch):
        return TaskBatch(batch.inputs + 0.1 * torch.randn_like(batch.inputs), batch.labels)

    def optimizer(self, student, learning_rate, total_steps):
        optimizer = torch.optim.SGD(student.parameters(), learning_rate, 0.9)
        return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps)
"""
    check_task(own(trained + more, "Hints"))


def test_a_task_is_given_as_an_object_or_as_in_a_search_file(tmp_path, monkeypatch):
    (tmp_path / "my_digits.py").write_text(DIGITS)
    monkeypatch.chdir(tmp_path)
    CLAUSES["sets_are_well_formed"]("my_digits.py:Digits")
    spec = importlib.util.spec_from_file_location("my_digits", tmp_path / "my_digits.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_digits", module)
    spec.loader.exec_module(module)
    CLAUSES["sets_are_well_formed"](module.Digits(hidden=5))
    with pytest.raises(AssertionError, match=r"must be an object like MyTask\(\)"):
        CLAUSES["sets_are_well_formed"](3)


def test_a_class_inside_a_function_is_refused():
    from trainables.tasks import Task

    class Inside(Task):
        pass

    with pytest.raises(AssertionError, match="Inside must stand at the top of a file, since a search keeps the file"):
        CLAUSES["sets_are_well_formed"](Inside())


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.clause}: {broken.message}")
def test_a_broken_task_is_caught_by_name(broken):
    with pytest.raises(AssertionError, match=f"breaks `{broken.clause}`: .*{broken.message}"):
        CLAUSES[broken.clause](broken.task)


def test_every_clause_catches_something():
    assert {broken.clause for broken in BROKEN} == set(CLAUSES)


def test_an_error_in_the_users_code_names_its_line():
    task = own(DIABETES.replace("return (outputs - batch.labels) ** 2", "return 1 / 0"), "Diabetes")
    message = r"breaks `the_student_can_be_trained`: `task_loss`.*line \d+ \(`return 1 / 0`"
    with pytest.raises(AssertionError, match=message):
        check_task(task)
