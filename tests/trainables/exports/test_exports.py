"""Networks written by torch.export and as ONNX, compared and timed."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from trainables.config.trial import ModelSettings
from trainables.errors import ExportError
from trainables.exports import comparing, onnx_file
from trainables.exports.comparing import batches_like, compare
from trainables.exports.onnx_file import check_extra, check_onnx, with_onnx, write_onnx
from trainables.exports.program import check_program, export_program, write_program
from trainables.models import create_model, measure_figures
from trainables.models.cost import pictures_like
from trainables.tasks import count_rows


class Mixed(nn.Module):
    """Reads a dict of a matrix and of token numbers; gives a tuple."""

    def __init__(self):
        super().__init__()
        self.words, self.last = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, inputs):
        hidden = self.words(inputs["ids"]).mean(1) + inputs["values"]
        return self.last(hidden), hidden.sum(1)


class Stubborn(nn.Module):
    """Looks at a value, which no trace can follow."""

    def forward(self, inputs):
        return inputs * 2 if inputs.sum().item() > 0 else inputs


def mixed_inputs(rows=5):
    return {"ids": torch.arange(rows * 6).reshape(rows, 6) % 9, "values": torch.randn(rows, 4)}


CASES = [
    (lambda: create_model(ModelSettings(name="mlp"), image_shape=(1, 8, 8), classes=10), torch.randn(9, 1, 8, 8)),
    (
        lambda: create_model(ModelSettings(name="small-resnet"), image_shape=(3, 8, 8), classes=4),
        torch.randn(3, 3, 8, 8),
    ),
    (Mixed, mixed_inputs()),
]


@pytest.mark.parametrize(("build", "inputs"), CASES, ids=["mlp", "small-resnet", "dict"])
def test_both_forms_give_the_networks_outputs_in_batches_of_any_size(build, inputs, tmp_path):
    network = build().eval()
    program = export_program(network, inputs)
    write_program(program, tmp_path / "a.pt2")
    found = check_program(tmp_path / "a.pt2", network, inputs)
    assert found.largest == 0.0
    assert found.samples == count_rows(inputs)
    names = ["ids", "values"] if isinstance(inputs, dict) else ["pictures"]
    answers = ["logits", "sums"] if isinstance(inputs, dict) else ["logits"]
    write_onnx(program, tmp_path / "a.onnx", inputs=names, outputs=answers)
    assert check_onnx(tmp_path / "a.onnx", network, inputs).largest < 1e-4
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == names
    assert [one.name for one in session.get_outputs()] == answers
    assert {one.shape[0] for one in (*session.get_inputs(), *session.get_outputs())} == {"batch"}


def test_a_program_runs_without_the_class_that_built_the_network(tmp_path):
    network = Mixed().eval()
    write_program(export_program(network, mixed_inputs()), tmp_path / "a.pt2")
    torch.save((mixed_inputs(3), None), tmp_path / "in.pt")
    inputs = torch.load(tmp_path / "in.pt")[0]
    torch.save(network(inputs), tmp_path / "expected.pt")
    program = """
import torch
network = torch.export.load("a.pt2").module()
inputs, _ = torch.load("in.pt")
for one, other in zip(network(inputs), torch.load("expected.pt")):
    torch.testing.assert_close(one, other)
"""
    subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, check=True)


def test_a_network_that_cannot_be_traced_is_refused_in_one_line():
    with pytest.raises(ExportError, match="torch.export cannot export the network: .*") as caught:
        export_program(Stubborn().eval(), torch.randn(4, 3))
    assert "\n" not in str(caught.value)


def test_other_outputs_are_refused():
    network = nn.Linear(3, 2).eval()
    inputs = torch.randn(4, 3)
    with pytest.raises(ExportError, match=r"gives other outputs than the network: they differ by 0.5"):
        compare(network, lambda batch: [network(batch).detach() + 0.5], inputs, "the copy")
    with pytest.raises(ExportError, match=r"gives outputs of shapes \[\[1, 1\]\] on 1 samples"):
        compare(network, lambda batch: [network(batch).detach()[:, :1]], inputs, "the copy")
    within = comparing.TOLERANCE / 2
    assert compare(network, lambda batch: [network(batch).detach() + within], inputs, "the copy").samples == 4


def test_gaps_in_other_places_are_refused():
    network = nn.Linear(3, 2).eval()
    with pytest.raises(ExportError, match="differ by inf"):
        compare(network, lambda batch: [network(batch).detach() * torch.nan], torch.randn(4, 3), "the copy")


def test_batches_are_of_several_sizes_and_rows_repeat_where_there_are_few():
    assert [count_rows(batch) for batch in batches_like(mixed_inputs(3))] == [1, 2, 7, 3]
    assert [count_rows(batch) for batch in batches_like(torch.randn(7, 2))] == [1, 2, 7]


def test_size_and_speed_in_onnxruntime_stand_beside_pytorchs():
    network = create_model(ModelSettings(name="mlp"), image_shape=(1, 8, 8), classes=10)
    figures = measure_figures(network, (1, 8, 8), seconds=0.02, cuda=False)
    more = with_onnx(figures, network, pictures_like((1, 8, 8)), seconds=0.02)
    assert more.onnx_bytes > 4 * more.parameters
    assert more.latency["onnx"].keys() == more.latency["cpu"].keys()
    assert 0 < more.latency["onnx"]["p50_ms"] <= more.latency["onnx"]["p95_ms"]
    assert more.device_names["onnx"].endswith("onnxruntime on 1 thread")


def test_a_network_without_an_onnx_form_has_no_such_figures():
    class Measured(Stubborn):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

    figures = measure_figures(Measured(), (1, 2, 2), seconds=0.01, cuda=False)
    assert with_onnx(figures, Measured(), pictures_like((1, 2, 2))) == figures


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path):
    find = onnx_file.importlib.util.find_spec
    monkeypatch.setattr(
        onnx_file.importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    with pytest.raises(
        ExportError, match=r"ONNX needs onnxruntime, which is not installed; .*kd-policy-search\[onnx\]"
    ):
        check_extra()
    network = nn.Flatten()
    figures = measure_figures(network, (1, 2, 2), seconds=0.01, cuda=False)
    assert with_onnx(figures, network, pictures_like((1, 2, 2))) is figures
