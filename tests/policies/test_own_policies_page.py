"""The code and the tables of docs/own-policies.md are right."""

import inspect
import pathlib
import re

import pytest

from policies import Geometry, Observation, SampleObservation, load_policy_class
from policies.parameter import choice, integer, real
from policies.policy import Need
from policies.testing import check_policy

PAGE = (pathlib.Path(__file__).parents[2] / "docs" / "own-policies.md").read_text(encoding="utf-8")


def first_column(table: str) -> list[str]:
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_the_rule_on_the_page_keeps_the_contract(tmp_path):
    (text,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "class MyRule" in code]
    (tmp_path / "my_rules.py").write_text(text, encoding="utf-8")
    rule = load_policy_class("my_rules.py:MyRule", tmp_path)
    check_policy(rule)
    policy = rule.from_parameters({"weight": 0.8})
    assert policy.decide(Observation(step=1, progress=0.25)).weight == pytest.approx(0.6)


def test_the_tables_name_what_a_rule_is_given():
    section = PAGE.partition("## What a rule is given")[2].partition("\n## ")[0]
    of_batch, _, of_samples = section.partition("`weights(samples)`")
    assert first_column(of_batch) == list(Observation._fields)
    assert sorted(first_column(of_samples)) == sorted(SampleObservation._fields)
    for name in re.findall(r"`\.(\w+)`", section):
        assert hasattr(Geometry, name), name
    assert {name for name in Need.__args__ if f"| `{name}` |" in of_batch} == set(Need.__args__)


@pytest.mark.parametrize("declare", [real, integer, choice])
def test_the_page_gives_the_signatures_of_declarations(declare):
    (shown,) = re.findall(rf"^{declare.__name__}\((.*?)\) ", PAGE, flags=re.MULTILINE)
    names = re.findall(r"(\w+)(?==|,|$)", re.sub(r"=\([^)]*\)|=\w+", "=", shown))
    expected = [name for name in inspect.signature(declare).parameters if name != "misplaced"]
    assert names == expected
