import pickle
import subprocess
import sys

import pytest

from trainables.config.own_kpi import OwnKPI
from trainables.errors import ConfigError


def parse(body, name="mine"):
    return OwnKPI.parse({"origin": f"own.py:{name}", "source": body})


def test_a_kpi_is_named_like_its_function_and_travels_as_text():
    kpi = parse("def mine(model, data, weight=2):\n    return weight * data")
    assert kpi.name == "mine"
    assert pickle.loads(pickle.dumps(kpi)).measure(None, 4).value == 8.0


@pytest.mark.parametrize(
    ("body", "name", "message"),
    [
        ("def mine(model, data):\n    return 1", "mien", r"own\.py has no function 'mien'.*mine.*Did you mean 'mine'"),
        ("mine = 3", "mine", r"own\.py has no function 'mine'; functions in it: none"),
        ("def mine(model):\n    return 1", "mine", r"must take two arguments, \(model, data\), but is mine\(model\)"),
        ("def mine(model, data, third):\n    return 1", "mine", r"must take two arguments.*third"),
        ("def accuracy(model, data):\n    return 1", "accuracy", r"a new name, but 'accuracy' is one of accuracy"),
        ("def latency(model, data):\n    return 1", "latency", r"a new name, but 'latency' is one of .*latency"),
        ("def mine(model, data)\n    return 1", "mine", r"own\.py, line 1, is not valid Python"),
        ("import nowhere_to_be_found", "mine", r"own\.py, line 1 .*nowhere_to_be_found.*installed packages, but not"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_at_once(body, name, message):
    with pytest.raises(ConfigError, match=message):
        parse(body, name)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [1, 2]", r"must return one number, but returned \[1, 2\]"),
        ("return None", r"must return one number, but returned None"),
        ("return '0.5'", r"must return one number, but returned '0\.5'"),
        ("return data.missing", r"failed, line 2 \(`return data\.missing`\): AttributeError"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(body, message):
    with pytest.raises(ConfigError, match=message):
        parse(f"def mine(model, data):\n    {body}").measure(None, None)


def test_numbers_of_every_kind_are_taken():
    body = "import numpy, torch\ndef mine(model, data):\n    return data"
    import numpy as np
    import torch

    kpi = parse(body)
    values = [kpi.measure(None, value).value for value in (1, True, np.float32(0.5), torch.tensor([0.25]), np.int64(3))]
    assert values == [1.0, 1.0, 0.5, 0.25, 3.0]


def test_one_value_a_sample_is_kept_and_its_mean_is_the_kpi():
    import torch

    kpi = parse("import torch\ndef mine(model, data):\n    return data")
    right, losses = torch.tensor([True, False, True, True]), torch.tensor([0.5, 1.5, 4.0])
    assert kpi.measure(None, right).value == 0.75
    assert kpi.measure(None, right).samples.tolist() == [True, False, True, True]
    assert kpi.measure(None, losses).value == 2.0
    assert kpi.measure(None, losses).samples.tolist() == [0.5, 1.5, 4.0]
    assert kpi.measure(None, torch.tensor([0.25])).samples is None


def test_settings_with_a_kpi_import_no_torch():
    code = (
        "import sys; from trainables.config import TrialSettings; from trainables.config.own_kpi import OwnKPI;"
        "OwnKPI(origin='a.py:f', source='def f(model, data): return 1'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_a_kpi_writes_into_its_data_reaches_nobody_else():
    """All trials share the labels and the teacher's logits, and Ray maps them read-only."""
    import torch

    from trainables.device import Compute
    from trainables.evaluation import EvaluationSet, evaluate

    torch.manual_seed(0)
    labels, teacher = torch.tensor([0, 1, 2, 1]), torch.randn(4, 3)
    pictures = EvaluationSet(
        images=torch.randint(256, (4, 1, 2, 2), dtype=torch.uint8),
        labels=labels.clone(),
        teacher_logits=teacher.clone(),
        classes=("a", "b", "c"),
        mean=torch.zeros(1),
        std=torch.ones(1),
        compute=Compute(torch.device("cpu"), bfloat16=False),
    )
    student = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    read = parse(
        "def read(model, data):\n"
        "    tensors = data.labels, data.logits, data.teacher_logits, data.images.labels, data.images.teacher_logits\n"
        "    return float(sum(tensor.double().sum() for tensor in tensors))",
        "read",
    )
    spoil = parse(
        "def spoil(model, data):\n"
        "    for tensor in (data.labels, data.logits, data.teacher_logits, data.images.labels):\n"
        "        tensor.zero_()\n"
        "    return 0",
        "spoil",
    )
    alone = evaluate(student, pictures, [read]).own_kpis
    assert evaluate(student, pictures, [spoil, read]).own_kpis["read"] == alone["read"]
    assert torch.equal(pictures.labels, labels)
    assert torch.equal(pictures.teacher_logits, teacher)
