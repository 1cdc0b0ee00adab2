"""The choice of the champion, of its student, and its files."""

import io
import json
import math
import os
import pathlib
import subprocess
import sys

import pytest
import torch

from policies import LossBalancer
from search.confirm.champion import choose_champion as champion_of
from search.confirm.champion_card import card
from search.confirm.champion_files import write_champion
from search.evidence import judge
from search.records.search import SearchRecord
from search.settings.search_file import load_config
from tests.search.evidence_record import around, confirmation, constant, rule
from trainables.classifier import Classifier
from trainables.config.trial import ModelSettings
from trainables.pictures.format import PictureFormat
from trainables.records.objective import Objective

CONFIG = load_config("digits-quick")
SEARCH = SearchRecord(name="digits-quick", config=CONFIG.model_dump(mode="json"))
PICTURES = PictureFormat(shape=(1, 8, 8), classes=tuple("0123456789"), mean=(70.0,), std=(90.0,))
WITH_THE_PACKAGE = os.environ | {"PYTHONPATH": str(pathlib.Path(__file__).parents[3])}
THIRD = {"norm_balance": [0.90, 0.90, 0.95, 0.95], "fixed-0.9": [0.90, 0.92, 0.91, 0.90]}


def choose_champion(record):
    return champion_of(record, judge(SEARCH, record), CONFIG)


def a_rule_wins(**changes):
    """The rule's third and fourth seed share the highest validation score; the first has the highest test score."""
    scores = [
        (rule("norm_balance"), around(0.93, 0.3, 0.0, -0.1, 0.0)),
        (constant(0.9), around(0.90, 0.2, 0.0, 0.0, -0.1)),
        (constant(0.0), around(0.80, 0.1, 0.0, -0.1, 0.2)),
    ]
    return confirmation(scores, validation=THIRD).model_copy(update={"pictures": PICTURES, **changes})


def no_rule_wins():
    scores = [
        (rule("norm_balance"), around(0.90, 0.3, 0.0, 0.2, 0.0)),
        (constant(0.9), around(0.90, 0.0, 0.3, 0.0, 0.2)),
    ]
    validation = THIRD | {"norm_balance": [0.9] * 4}
    return confirmation(scores, validation=validation).model_copy(update={"pictures": PICTURES})


def weights(seed=0, model=None):
    torch.manual_seed(seed)
    network = Classifier(model or CONFIG.student, PICTURES).network
    stream = io.BytesIO()
    torch.save({name: value.normal_() for name, value in network.state_dict().items()}, stream)
    return stream.getvalue()


def test_the_validation_pictures_choose_among_the_students_and_the_smaller_seed_settles_a_tie():
    champion = choose_champion(a_rule_wins())
    assert (champion.finalist.key, champion.result.seed) == ("norm_balance", 2)
    assert champion.verdict.kind == "rule"


def test_where_no_rule_wins_it_is_the_best_constants_student():
    champion = choose_champion(no_rule_wins())
    assert (champion.finalist.key, champion.result.seed, champion.verdict.kind) == ("fixed-0.9", 1, "constant")
    assert champion.policy["parameters"] == {"weight": 0.9}


def test_a_kpi_that_was_searched_for_chooses_in_its_own_direction():
    scores = [(rule("norm_balance"), [5.0, 5.1, 4.9]), (constant(0.9), [7.0, 7.2, 7.1])]
    record = confirmation(scores, kpi=Objective(name="bytes", direction="minimize"), test_size=None)
    champion = choose_champion(record.model_copy(update={"pictures": PICTURES}))
    assert (champion.finalist.key, champion.result.seed) == ("norm_balance", 2)
    assert champion.policy["evidence"]["objective_value"] == pytest.approx(5.0)


def test_with_gates_only_students_that_keep_them_are_chosen_from_and_the_card_says_so():
    champion = choose_champion(a_rule_wins(gates={"accuracy": ">= 92.95 %"}))
    assert (champion.finalist.key, champion.result.seed, champion.passing) == ("norm_balance", 3, 3)
    assert "of the 3 students of 4 fresh seeds that keep every KPI gate on the test set" in card(champion)
    assert choose_champion(a_rule_wins(gates={"accuracy": ">= 99 %"})) is None


def test_an_unfinished_confirmation_has_none():
    record = a_rule_wins()
    assert choose_champion(record.model_copy(update={"results": record.results[:-1]})) is None
    assert choose_champion(a_rule_wins(pictures=None)) is None


def test_its_policy_trains_another_student_as_the_finalist_was_trained(tmp_path):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    student = Classifier(CONFIG.student, PICTURES)
    balancer = LossBalancer.from_file(folder / "policy.json", student, total_steps=10)
    assert balancer.policy.family == "norm_balance"
    document = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    assert document["training"]["learning_rate"] == 0.01  # the finalist's, not the search file's
    assert document["evidence"]["confirmed_on_test_set"] is True
    assert document["evidence"]["lead_over_best_constant"] == pytest.approx(0.03, abs=0.001)


def test_its_files_are_loaded_in_another_process_as_the_card_says(tmp_path):
    champion = choose_champion(a_rule_wins())
    folder = write_champion(champion, lambda _: weights(), tmp_path / "champion")
    assert {path.name for path in folder.iterdir()} == {
        "student.pt",
        "policy.json",
        "rule.py",
        "verdict.json",
        "README.md",
    }
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "The model is `mlp`, trained under seed 2" in card
    lines = card.partition("folder `champion`:\n\n```python\n")[2].partition("```")[0]
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    torch.save(images, tmp_path / "images.pt")
    program = f"import torch\npictures = torch.load({str(tmp_path / 'images.pt')!r})\n{lines}"
    program += f"torch.save(logits.detach(), {str(tmp_path / 'logits.pt')!r})"
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=folder, check=True, env=WITH_THE_PACKAGE)
    expected = Classifier(CONFIG.student, PICTURES)
    expected.network.load_state_dict(torch.load(io.BytesIO(weights())))
    torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), expected.eval()(images).detach())


def test_the_verdict_beside_it_can_be_read_by_programs(tmp_path):
    folder = write_champion(choose_champion(no_rule_wins()), lambda _: weights(), tmp_path)
    document = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert document["verdict"]["kind"] in ("constant", "cannot_tell")
    assert document["verdict"]["headline"].startswith(("Cannot tell yet", "Use λ"))
    assert (document["finalist"]["key"], document["seed"]) == ("fixed-0.9", 1)
    assert document["student"]["test"]["accuracy"] == pytest.approx(0.903)
    assert document["verdict"]["headline"] in (folder / "README.md").read_text(encoding="utf-8")


def test_what_is_there_is_not_written_again_and_another_champion_replaces_it(tmp_path):
    read = []

    def reader(champion):
        read.append(champion.finalist.key)
        return weights(len(read))

    champion = choose_champion(no_rule_wins())
    write_champion(champion, reader, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_champion(champion, reader, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    (tmp_path / "student.pt").unlink()
    write_champion(champion, reader, tmp_path)
    write_champion(choose_champion(a_rule_wins()), reader, tmp_path)
    assert read == ["fixed-0.9", "fixed-0.9", "norm_balance"]
    assert json.loads((tmp_path / "policy.json").read_text(encoding="utf-8"))["family"] == "norm_balance"


def test_a_student_without_a_finite_score_is_never_chosen():
    record = no_rule_wins()
    broken = [
        result.model_copy(update={"validation": result.validation.model_copy(update={"accuracy": math.nan})})
        if (result.finalist, result.seed) == ("norm_balance", 1)
        else result
        for result in record.results
    ]
    champion = choose_champion(record.model_copy(update={"results": tuple(broken)}))
    assert champion.finalist.key == "fixed-0.9"
    assert ModelSettings(name="mlp") == champion.student.model_copy(update={"options": {}})
