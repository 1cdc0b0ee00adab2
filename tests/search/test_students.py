"""Several students in one search: each is searched equally closely, and no rule is compared across them."""

import math

import pytest

from policies.registry import create_policy
from search.evidence import judge
from search.records.search import SearchRecord, StudentSize, TrialRecord
from search.settings.search_file import load_config
from search.tracking.wording import run_name, run_parameters, search_tags
from tests.search.plan.driving import tried
from trainables.config.trial import TrialSettings
from trainables.errors import ConfigError
from trainables.suggestion import apply_suggestion, policy_parameters

WIDE = 'space.students.wide={name="mlp", options={hidden=[64]}}'
FAMILIES = 'families=["fixed", "norm_balance"]'


def two_students(*overrides):
    return load_config("digits-quick", [WIDE, FAMILIES, *overrides])


@pytest.fixture
def trial_of():
    policy = create_policy("fixed", {"weight": 0.9})

    def make(number, student, status="finished"):
        return TrialRecord(
            trial_id=str(number),
            number=number,
            status=status,
            family="fixed",
            parameters=policy.values(),
            shared={},
            student=student,
            rule=policy.rule(),
            complexity=policy.complexity,
        )

    return make


def suggestions_of(config, score):
    return sorted(tried(config, score), key=lambda suggestion: suggestion["trial"])


def test_rounds_take_the_students_in_turn():
    config = two_students()
    suggestions = [s for s in suggestions_of(config, lambda s: -s["learning_rate"]) if s["family"] != "fixed"]
    assert len(suggestions) == config.rule_trials == 2 * 8
    assert [s["student"] for s in suggestions] == ["base", "wide"] * 8


def test_how_far_a_search_is_is_counted_over_all_students(trial_of):
    config = two_students()
    search = SearchRecord(
        name="two",
        config=config.model_dump(mode="json"),
        status="stopped",
        trials=(trial_of(1, "base"), trial_of(2, "wide"), trial_of(3, "wide"), trial_of(4, "base", status="pending")),
    )
    for part in (search, search.of_student("base"), search.of_student("wide"), search.of_student()):
        assert (part.planned, part.remaining) == (config.total_trials, config.total_trials - 3)
    assert search.model_copy(update={"status": "finished"}).remaining == 0


def test_the_best_constant_is_looked_for_with_each_student():
    # The student that is always behind has another best constant and another best learning rate.
    def score(suggestion):
        wide = suggestion["student"] == "wide"
        best_weight, best_rate = (0.8, 0.003) if wide else (0.2, 0.03)
        apart = math.log10(suggestion["learning_rate"] / best_rate)
        return float(wide) - (suggestion.get("fixed.weight", 0.5) - best_weight) ** 2 - 0.3 * apart**2

    suggestions = suggestions_of(two_students(), score)
    for student, best_weight, best_rate in (("base", 0.2, 0.03), ("wide", 0.8, 0.003)):
        ours = [s for s in suggestions if (s["family"], s["student"]) == ("fixed", student)]
        late = [s for s in ours[13:] if s["fixed.weight"] > 0.0]  # λ = 0 is tuned separately
        assert sum(abs(s["fixed.weight"] - best_weight) < 0.15 for s in late) >= 0.6 * len(late)
        assert sum(abs(math.log10(s["learning_rate"] / best_rate)) < 0.3 for s in late) >= 0.6 * len(late)


def test_a_single_student_is_the_base():
    config = load_config("digits-quick", [FAMILIES, "constant.most_trials=5"])
    alone = suggestions_of(config, lambda s: -s["learning_rate"])
    assert {s["student"] for s in alone} == {"base"}


def test_with_complexity_as_a_cost_small_trees_are_tried_more_often():
    def score(suggestion):
        return 0.01 * suggestion["tree.low_low"] if suggestion["family"] == "tree" else 0.0

    def late_complexity(*overrides):
        config = load_config("digits-quick", ['families=["tree"]', "trials_per_family=60", *overrides])
        found = [s for s in suggestions_of(config, score) if s["family"] == "tree"][-30:]
        return sum(create_policy("tree", policy_parameters(s)).complexity for s in found) / len(found)

    assert late_complexity('costs=["complexity"]') < late_complexity() - 0.5


def test_a_suggestion_names_the_student():
    base: TrialSettings = two_students().base_trial()
    assert apply_suggestion(base, {"family": "fixed", "student": "wide"}).student.options == {"hidden": [64]}
    assert apply_suggestion(base, {"family": "fixed", "student": "base"}).student == base.student
    assert apply_suggestion(base, {"family": "fixed"}).student == base.student


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ('space.students.base={name="mlp"}', "rename"),
        ('space.students."a b"={name="mlp"}', "letters"),
        ('space.students.twin={name="mlp", options={hidden=[32]}}', "the same student as 'base'"),
        ('costs=["flops"]', "add others under `space.students`"),
        ('costs=["complexity", "complexity"]', "differ"),
        ('costs=["speed"]', "complexity"),
        ('confirm.student="wide"', "must be one of base"),
    ],
)
def test_a_mistake_about_students_and_costs_is_told(override, told):
    with pytest.raises(ConfigError, match=told):
        load_config("digits-quick", [override])


def test_costs_of_students_need_a_choice_of_students():
    assert two_students('costs=["complexity", "flops"]').costs == ("complexity", "flops")


def test_mlflow_tells_the_student_of_each_run():
    trial = TrialRecord(
        trial_id="t1",
        number=7,
        status="pending",
        family="norm_balance",
        parameters={"balance": 1.0},
        shared={},
        student="wide",
        rule="a rule",
        complexity=2,
    )
    sizes = StudentSize(name="base", parameters=10, flops=20), StudentSize(name="wide", parameters=30, flops=60)
    search = SearchRecord(
        name="two", config=two_students().model_dump(mode="json"), student_sizes=sizes, trials=(trial,)
    )
    found = run_parameters(search, trial)
    assert {name: value for name, value in found.items() if name.startswith("student")} == {
        "student": "mlp",
        "student.name": "wide",
        "student.parameters": "30",
        "student.flops": "60",
    }
    assert run_name(trial) == "007 norm_balance (wide)"
    assert "`wide` (30 parameters)" in search_tags(search, judge(search))["mlflow.note.content"]
