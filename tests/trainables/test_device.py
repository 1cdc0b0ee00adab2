import pytest
import torch

from trainables.config.trial import DeviceSettings
from trainables.device import select_compute
from trainables.errors import ConfigError


def test_a_trial_that_was_given_no_gpu_uses_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    compute = select_compute(DeviceSettings(), gpu_allowed=False)
    assert compute.device.type == "cpu"
    assert not compute.bfloat16
    assert compute.describe() == "CPU, float32"


def test_demanding_a_gpu_where_there_is_none_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"'cuda'.*gpus_per_trial"):
        select_compute(DeviceSettings(device="cuda"))


def test_precision_can_be_chosen_on_a_cpu():
    compute = select_compute(DeviceSettings(device="cpu", precision="bfloat16"))
    with compute.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
