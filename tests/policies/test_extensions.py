"""Rules from outside: registered ones, ones read from a file, and ones of an installed package."""

import dataclasses
import inspect
import json
import pathlib
import subprocess
import sys
import textwrap
from typing import ClassVar

import pytest
import torch

from policies import (
    FAMILIES,
    BatchPolicy,
    Decision,
    LossBalancer,
    PolicyError,
    create_policy,
    load_policy,
    load_policy_class,
    policy_document,
    register_policy,
)
from policies.extensions import load_all_installed, origin_of
from policies.own_file import policy_from_source, read_source
from policies.parameter import choice, integer, real
from policies.registry import policy_class
from policies.testing import check_policy

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "my_rules.py"
BOUNDS = {"low": 0, "high": 1, "meaning": "λ"}
NAMED = {real: BOUNDS, integer: BOUNDS, choice: {"options": ("a",), "meaning": "λ"}}


@pytest.fixture(autouse=True)
def families():
    """Remove the families that a test registers."""
    before = dict(FAMILIES)
    yield FAMILIES
    FAMILIES.clear()
    FAMILIES.update(before)


@dataclasses.dataclass(kw_only=True, eq=False)
class Half(BatchPolicy):
    """λ is a half."""

    family: ClassVar[str] = "half"
    source: ClassVar[str] = "this test"

    weight: float = real(0.5, low=0.0, high=1.0, meaning="λ")

    def decide(self, observation):
        return Decision(self.weight, reason="half")

    def rule(self):
        return f"λ = {self.weight:.3g}."

    @property
    def complexity(self):
        return 1


RULE = f"""\
import dataclasses
from typing import ClassVar
from policies import BatchPolicy, Decision
from policies.parameter import real

{inspect.getsource(Half)}"""
"""The same class as the text of a file."""


def variant(**members):
    values = {"__doc__": "Something else.", "family": "other", **members}
    return dataclasses.dataclass(kw_only=True, eq=False)(type("Other", (Half,), values))


def file(tmp_path, text, name="rules.py"):
    (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return tmp_path


def test_a_registered_rule_is_created_by_name():
    assert register_policy(Half) is Half
    assert create_policy("half", {"weight": 0.25}).decide(None).weight == 0.25
    assert register_policy(Half) is Half  # a second call does no harm


def test_a_class_that_is_defined_again_takes_its_own_place():
    register_policy(Half)
    again = dataclasses.dataclass(kw_only=True, eq=False)(type("Half", (Half,), {"__doc__": "Anew."}))
    again.__qualname__, again.__module__ = Half.__qualname__, Half.__module__
    assert register_policy(again) is again
    assert policy_class("half") is again


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (variant(family="fixed"), r"'fixed' is taken by policies\.families\.schedules\.fixed\.Fixed; choose another"),
        (variant(family="pcgrad"), r"'pcgrad' is taken by an alias of `upgrad`"),
        (variant(family="My Rule"), r"`Other\.family` must be a name of lower-case letters.*got 'My Rule'"),
        (variant(family="../evil"), r"got '\.\./evil'"),
        (variant(source=" "), r"`Other\.source` must say where the rule comes from"),
        (variant(__doc__=None), r"`Other` must have a docstring"),
        (type("Other", (BatchPolicy,), {}), r"`Other` is not complete; define `decide`, `rule`\."),
        (type("Other", (Half,), {"own": real(0.1, low=0, high=1, meaning="x")}), r"put @dataclasses\.dataclass"),
        (variant(_begin=lambda self: 1 / 0), r"cannot be created with its parameters' defaults: ZeroDivisionError"),
        (Half(), r"is not a rule; it must be a class derived from policies\.BatchPolicy"),
        (int, r"is not a rule; it must be a class derived"),
    ],
)
def test_an_incomplete_rule_is_refused_with_what_is_missing(policy, message):
    before = dict(FAMILIES)
    with pytest.raises(PolicyError, match=message):
        register_policy(policy)
    assert before == FAMILIES


def test_a_rule_is_read_from_a_file(tmp_path):
    policy = load_policy_class("rules.py:Half", file(tmp_path, RULE))
    check_policy(policy)
    assert origin_of(policy) == "rules.py:Half"
    assert origin_of(FAMILIES["fixed"]) is None
    assert origin_of(Half).endswith("test_extensions:Half")


@pytest.mark.parametrize("name", ["AgreementRamp", "SampleAgreement"])
def test_the_example_keeps_the_contract(name):
    check_policy(load_policy_class(f"my_rules.py:{name}", EXAMPLE.parent))


def test_the_text_alone_gives_the_same_class_again(tmp_path):
    origin, text = read_source("rules.py:Half", file(tmp_path, RULE))
    policy = policy_from_source(origin, text)
    (tmp_path / "rules.py").unlink()
    assert policy_from_source(origin, text) is policy


def test_a_file_whose_loading_was_interrupted_is_loaded_anew(tmp_path, monkeypatch):
    text = "import os\nif 'KD_TEST_INTERRUPT' in os.environ:\n    raise KeyboardInterrupt\n" + RULE
    monkeypatch.setenv("KD_TEST_INTERRUPT", "1")
    with pytest.raises(KeyboardInterrupt):
        load_policy_class("rules.py:Half", file(tmp_path, text))
    monkeypatch.delenv("KD_TEST_INTERRUPT")
    assert load_policy_class("rules.py:Half", file(tmp_path, text)).__name__ == "Half"


def test_a_changed_file_takes_the_place_of_its_earlier_version(tmp_path):
    register_policy(load_policy_class("rules.py:Half", file(tmp_path, RULE)))
    register_policy(load_policy_class("rules.py:Half", file(tmp_path, RULE.replace("real(0.5", "real(0.75"))))
    assert create_policy("half").values() == {"weight": 0.75}


@pytest.mark.parametrize(
    ("reference", "text", "message"),
    [
        ("rules.py", RULE, r"given as FILE\.py:CLASS, like my_rules\.py:MyRule, but got 'rules\.py'"),
        ("rules:Half", RULE, r"but got 'rules:Half'"),
        ("none.py:Half", RULE, r"cannot read '.*none\.py', named by 'none\.py:Half': No such file"),
        ("rules.py:Halb", RULE, r"rules\.py has no class 'Halb'; rules in it: Half\. Did you mean 'Half'\?"),
        ("rules.py:x", "x = 3", r"3 is not a rule; it must be a class derived"),
        ("rules.py:X", "a = 1\nb = a / 0\n", r"rules\.py, line 2 \(`b = a / 0`\), failed.*ZeroDivisionError: division"),
        (
            "rules.py:X",
            "def f():\n    return [][1]\nf()\n",
            r"rules\.py, line 2 \(`return \[\]\[1\]`\), failed.*IndexError",
        ),
        ("rules.py:X", "x = (1,\ny = 2\n", r"rules\.py, line 1, is not valid Python: .*never closed.*`x = \(1,`"),
        (
            "rules.py:X",
            "import no_such_thing\n",
            r"line 1 .*No module named 'no_such_thing'\. Only this file is copied",
        ),
        ("rules.py:X", "raise SystemExit(3)\n", r"rules\.py, line 1 .*failed.*SystemExit: 3"),
        ("rules.py:X", "#" * 30_001, r"must have at most 30,000 characters.*has 30,001"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path, reference, text, message):
    with pytest.raises(PolicyError, match=message):
        load_policy_class(reference, file(tmp_path, text))


def install(tmp_path, monkeypatch, entry_points, **modules):
    """Write a package to the import path as pip would."""
    information = tmp_path / "kd_outside-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: kd-outside\nVersion: 1.2\n")
    (information / "entry_points.txt").write_text(f"[kd_policy_search.policies]\n{entry_points}\n")
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)


def test_an_installed_rule_is_found_by_its_family(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "half = kd_outside_a:Half", kd_outside_a=RULE)
    assert create_policy("half").values() == {"weight": 0.5}
    assert origin_of(policy_class("half")) == "kd_outside_a:Half"


def test_an_unknown_family_is_answered_with_installed_ones_too(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "half = kd_outside_b:Half", kd_outside_b=RULE)
    with pytest.raises(PolicyError, match="there is no policy family 'halv'.*Did you mean 'half'"):
        policy_class("halv")
    assert "kd_outside_b" not in sys.modules


def test_a_broken_package_is_named_and_breaks_nothing_else(tmp_path, monkeypatch):
    points = "half = kd_outside_c:Half\nbroken = kd_outside_d:Any\nfixed = kd_outside_c:Half\nthird = kd_outside_c:Half"
    install(tmp_path, monkeypatch, points, kd_outside_c=RULE, kd_outside_d="raise OSError('no disk')")
    problems = load_all_installed()
    assert set(problems) == {"broken", "fixed", "third"}
    assert "broken = 'kd_outside_d:Any' of kd-outside 1.2" in problems["broken"]
    assert "OSError: no disk" in problems["broken"]
    assert "must be named like its family, 'half'" in problems["third"]
    assert create_policy("half").family == "half"
    assert create_policy("fixed").family == "fixed"
    with pytest.raises(PolicyError, match="OSError: no disk"):
        policy_class("broken")


def document(tmp_path, policy):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy_document(policy, temperature=4.0)))
    return path


def test_a_policy_file_tells_which_class_it_needs(tmp_path, families):
    policy = load_policy_class("rules.py:Half", file(tmp_path, RULE))
    path = document(tmp_path, policy(weight=0.3))
    assert json.loads(path.read_text())["origin"] == "rules.py:Half"
    remedy = r"class is rules\.py:Half\. Import Half.*register_policy\(Half\) first, or pass policies=\[Half\]"
    for read in (load_policy, lambda path: LossBalancer.from_file(path, torch.nn.Linear(2, 2))):
        with pytest.raises(PolicyError, match=remedy):
            read(path)
    assert load_policy(path, policies=[policy]).values() == {"weight": 0.3}
    del families["half"]
    balancer = LossBalancer.from_file(path, torch.nn.Linear(2, 2), policies=[policy])
    assert balancer.policy.values() == {"weight": 0.3}


def test_a_built_in_rule_names_no_class(tmp_path):
    assert "origin" not in json.loads(document(tmp_path, create_policy("fixed")).read_text())


def test_reading_a_rule_imports_no_torch():
    code = f"""
import sys
from policies import load_policy_class, register_policy
from policies.testing import check_policy
check_policy(register_policy(load_policy_class("my_rules.py:AgreementRamp", {str(EXAMPLE.parent)!r})))
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("declare", [real, integer, choice])
def test_a_declaration_whose_values_have_no_names_is_told_how_to_name_them(declare):
    with pytest.raises(
        PolicyError, match=rf"by keyword, like {declare.__name__}\(.*meaning='…'\), but got 'λ early', 0"
    ):
        declare(0.7, "λ early", 0, **NAMED[declare])


def test_a_file_with_such_a_declaration_names_the_line(tmp_path):
    text = RULE.replace("real(0.5, low=0.0", 'real(0.5, "λ", low=0.0')
    with pytest.raises(
        PolicyError, match=r"rules\.py, line 13 \(`weight: float = real.*takes all but the default by keyword"
    ):
        load_policy_class("rules.py:Half", file(tmp_path, text))
