"""KPI gates are read and checked before any work."""

import pytest

from search.settings import gates_of
from search.settings.search_file import parse_config
from trainables.config import OwnKPI
from trainables.errors import ConfigError

FILE = 'name = "mine"\nstudent = { name = "mlp" }\n[teacher]\ncheckpoint = "t.pt"\nmodel = { name = "cnn" }\n'


@pytest.mark.parametrize(
    ("name", "text", "bound", "words"),
    [
        ("accuracy", ">= 0.9", 0.9, "accuracy ≥ 90.00 %"),
        ("accuracy", ">=90%", 0.9, "accuracy ≥ 90.00 %"),
        ("calibration_error", "< 5 %", 0.05, "calibration_error < 5.00 %"),
        ("latency_ms", "<= 2", 2.0, "latency_ms ≤ 2 ms"),
        ("latency_p95_ms_onnx", "<= 0.002 s", 2.0, "latency_p95_ms_onnx ≤ 2 ms"),
        ("throughput", ">= 1e4 samples/s", 1e4, "throughput ≥ 10,000 samples/s"),
        ("file_bytes", "<= 1.5 MB", 1.5e6, "file_bytes ≤ 1.5 MB"),
        ("flops", "<= 20 M", 2e7, "flops ≤ 20 M"),
        ("of_my_own", "> -3", -3.0, "of_my_own > −3"),
    ],
)
def test_a_gate_has_an_operator_a_bound_and_a_unit(name, text, bound, words):
    (gate,) = gates_of({name: text})
    assert (gate.bound, gate.words) == (pytest.approx(bound), words)


def test_a_value_on_the_bound_holds_only_where_the_operator_says_so_and_one_that_is_not_known_never_does():
    (least,), (more) = gates_of({"accuracy": ">= 0.9"}), gates_of({"accuracy": "> 0.9"})
    assert least.holds(0.9)
    assert not more[0].holds(0.9)
    assert not least.holds(None)
    assert not least.holds(float("nan"))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("accuracy", "0.9", "must be an operator and a number"),
        ("accuracy", ">= 90", "must be a share in \\[0, 1\\] or a percentage like \">= 90 %\", but got '>= 90'"),
        ("accuracy", "<= 0.9", "must use >= or >, since more of it is better"),
        ("latency_ms", ">= 2", "must use <= or <, since less of it is better"),
        ("latency_ms", "<= 2 MB", "may have these units: 'ms', 's'; but got 'MB'"),
        ("of_my_own", "<= 2 ms", "may have these units: none; but got 'ms'"),
    ],
)
def test_a_malformed_gate_is_refused_with_its_rule_and_what_was_given(name, text, told):
    with pytest.raises(ConfigError, match=told):
        gates_of({name: text})


def test_a_gate_on_a_metric_of_that_name_of_the_users_own_takes_any_operator():
    (gate,) = gates_of({"accuracy": "<= 12"}, own={"accuracy"})
    assert (gate.bound, gate.unit) == (12.0, "")


def test_a_search_file_names_what_is_measured_and_a_setting_replaces_a_gate():
    config = parse_config(FILE + '[gates]\naccuracy = ">= 0.8"\n', ["gates.accuracy=>= 0.9", "gates.latency_ms=<= 2"])
    assert config.gates == {"accuracy": ">= 0.9", "latency_ms": "<= 2"}
    with pytest.raises(ConfigError, match="must name what is measured: accuracy, .*but got 'latency'.*'latency_ms'"):
        parse_config(FILE, ["gates.latency=<= 2"])
    with pytest.raises(ConfigError, match=r"`gates.accuracy` should be text, but got 0.9"):
        parse_config(FILE, ["gates.accuracy=0.9"])


def test_a_kpi_of_the_users_own_may_have_a_gate():
    kpi = OwnKPI(origin="k.py:recall", source="def recall(model, data):\n    return 1.0\n")
    config = parse_config(FILE)
    changed = config.model_dump(mode="json") | {"kpis": [kpi.model_dump()], "gates": {"recall": ">= 0.5"}}
    assert type(config).parse(changed).gates == {"recall": ">= 0.5"}
    with pytest.raises(ConfigError, match="but got 'recall'"):
        type(config).parse(changed | {"kpis": []})
