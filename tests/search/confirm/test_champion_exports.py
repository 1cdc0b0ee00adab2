"""The champion's student in other forms, and the card's ways to load each, which are run here."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import torch

from policies import LossBalancer
from search.confirm.champion_exports import EXPORTS_FILE, export_champion, read_exports
from search.confirm.champion_files import write_card, write_champion
from search.confirm.champion_network import Subject, subject_of
from search.settings import Launch
from tests.policies.small_training import small_batches, small_student
from tests.search.confirm.test_champion import CONFIG, PICTURES, a_rule_wins, choose_champion, no_rule_wins, weights
from trainables.classifier import restore_classifier
from trainables.errors import ExportError
from trainables.exports import onnx_file

BOTH = ["torch-export", "onnx"]
ROOT = str(pathlib.Path(__file__).parents[3])
BLOCKED = "import sys\nfor name in ('policies', 'trainables', 'search'): sys.modules[name] = None\n"


def snippets(card):
    """Return the card's pieces of Python by the line that introduces them."""
    found = re.findall(r"([^\n]+):\n\n```python\n(.*?)```", card, flags=re.DOTALL)
    assert found
    return dict(found)


def run_snippet(code, folder, given, *, alone, result):
    """Run a card's piece of Python in a new process; return what it leaves in the variable `result`."""
    torch.save(given, folder / "given.pt")
    program = (
        f"{BLOCKED if alone else ''}import torch\n"
        f"inputs = pictures = torch.load('given.pt', weights_only=False)\n{code}"
        f"found = {result}\n"
        "found = [torch.as_tensor(one).detach() for one in (found if isinstance(found, tuple | list) else [found])]\n"
        "torch.save(found, 'found.pt')\n"
    )
    environment = os.environ | ({} if alone else {"PYTHONPATH": ROOT})
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=folder, check=True, env=environment)
    return torch.load(folder / "found.pt")


@pytest.fixture
def launch(tmp_path):
    return Launch.on_this_machine(tmp_path / "runs", tmp_path / "cache", "test")


def subject(champion, launch, seed=0):
    return lambda: subject_of(champion, CONFIG, launch, weights(seed), None)


def test_each_form_is_loaded_as_the_card_says_and_gives_the_students_logits(tmp_path, launch):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    assert export_champion(folder, subject(champion, launch), BOTH) == ()
    write_card(champion, folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    pictures = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    expected = restore_classifier(champion.student, PICTURES, weights())(pictures).detach()
    ways = snippets(card)
    for words, alone in (("`student.pt` in", False), ("PyTorch alone", True), ("onnxruntime", True)):
        (code,) = [code for way, code in ways.items() if words in way]
        (found,) = run_snippet(code, folder, pictures, alone=alone, result="logits")
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_the_card_lists_files_with_their_digests_and_how_they_were_compared(tmp_path, launch):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    before = (folder / "README.md").read_text(encoding="utf-8")
    assert "`kd-search export made-up` writes `student.pt2` and `student.onnx`." in before
    export_champion(folder, subject(champion, launch), BOTH)
    write_card(champion, folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.iterdir():
        assert path.name == "README.md" or f"| `{path.name}` |" in card
    assert "`student.onnx` was compared with PyTorch on 64 validation pictures" in card
    assert "| data | `digits` |" in card
    assert "| teacher | `cnn`, trained by the search |" in card
    exports = read_exports(folder)
    assert [file.format for file in exports.files] == BOTH
    assert all(file.largest_difference <= file.tolerance * file.largest_output for file in exports.files)
    assert exports.inputs[0].shape == (1, 8, 8)


def test_forms_are_written_once_and_forms_of_another_student_are_removed(tmp_path, launch):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    export_champion(folder, subject(champion, launch), ["torch-export"])
    assert not (folder / "student.onnx").exists()
    made = (folder / "student.pt2").stat().st_mtime_ns
    built = []
    assert export_champion(folder, lambda: built.append(1), ["torch-export"]) == ()
    assert not built
    write_champion(champion, lambda _: weights(), folder)
    assert (folder / "student.pt2").stat().st_mtime_ns == made
    write_champion(choose_champion(no_rule_wins()), lambda _: weights(1), folder)
    assert not (folder / "student.pt2").exists()
    assert not (folder / EXPORTS_FILE).exists()


def test_a_network_that_cannot_be_traced_costs_one_line_and_the_rest_is_written(tmp_path):
    class Stubborn(torch.nn.Module):
        def forward(self, inputs):
            return inputs * 2 if inputs.sum().item() > 0 else inputs

    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    problems = export_champion(folder, lambda: Subject(Stubborn().eval(), torch.randn(4, 2), "4 samples"), BOTH)
    assert [line.partition(" ")[0] for line in problems] == ["student.pt2", "student.onnx"]
    assert all("torch.export cannot export the network" in line and "\n" not in line for line in problems)
    assert (folder / "rule.py").is_file()
    assert (folder / "student.pt").is_file()
    assert read_exports(folder) is None


def test_onnx_without_its_extra_costs_one_line_and_the_program_is_written(tmp_path, launch, monkeypatch):
    monkeypatch.setattr(onnx_file, "_MODULES", ("onnx", "no_such_module"))
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    (line,) = export_champion(folder, subject(champion, launch), BOTH)
    assert "student.onnx is not written: ONNX needs no_such_module" in line
    assert [file.format for file in read_exports(folder).files] == ["torch-export"]


def test_pictures_of_noise_are_compared_where_the_data_are_not_found(launch):
    champion = choose_champion(a_rule_wins())
    elsewhere = CONFIG.model_copy(
        update={"data": CONFIG.data.model_copy(update={"name": "fashion-mnist", "root": "/no"})}
    )
    found = subject_of(champion, elsewhere, launch, weights(), None)
    assert found.words == "64 pictures of noise, since the data are not here"
    assert found.inputs.shape == (64, 1, 8, 8)


def test_the_plain_rule_beside_the_policy_trains_alike(tmp_path):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    namespace = {}
    exec(compile((folder / "rule.py").read_text(encoding="utf-8"), "rule.py", "exec"), namespace)
    one, other = small_student(), small_student()
    balancer = LossBalancer.from_file(folder / "policy.json", one, total_steps=6, guard=None)
    rule = namespace["Rule"](other.parameters())
    for inputs, labels, teacher in small_batches(6):
        one.zero_grad()
        other.zero_grad()
        balancer.backward_on_logits(one(inputs), teacher, labels)
        rule.backward(*namespace["losses"](other(inputs), teacher, labels))
        for p, q in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad)


def test_a_function_that_keeps_no_example_is_told_how(launch):
    from trainables.config import OwnFunction

    function = OwnFunction(origin="train.py:distil", source="")
    champion = choose_champion(a_rule_wins()).model_copy(update={"pictures": None, "function": function})
    with pytest.raises(ExportError, match=r"run.keep\(student, example="):
        subject_of(champion, CONFIG, launch, weights(), None)


def test_the_record_is_plain_json(tmp_path, launch):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    export_champion(folder, subject(champion, launch), ["torch-export"])
    document = json.loads((folder / EXPORTS_FILE).read_text(encoding="utf-8"))
    assert document["files"][0]["inputs"] == "64 validation pictures"
    assert document["outputs"] == [{"name": "logits", "access": "logits", "dtype": "float32", "shape": [10]}]
