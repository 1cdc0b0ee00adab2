"""Files as people have them are read, and no code in them is run."""

import argparse
import collections
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from trainables.checkpoints import read_weights
from trainables.errors import CheckpointError

WHAT = "the teacher's `checkpoint`"


@pytest.fixture
def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "teacher.pt"


def read(path, wanted=None):
    return read_weights(path, wanted, WHAT)


def assert_same(found, network, prefix=""):
    expected = {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "key", [None, "state_dict", "model", "model_state_dict", "net", "network", "state_dict_ema", "model_ema", "ema"]
)
def test_a_state_dict_is_found_under_the_usual_keys(path, network, key):
    state = network.state_dict()
    torch.save(state if key is None else {"epoch": 3, key: state, "optimizer": {"lr": 0.1}}, path)
    assert_same(read(path).tensors, network)


def besides(network):
    class Config(dict):
        pass

    config = Config(depth=3)
    config.nested = [Config()]
    return {
        "state_dict": network.state_dict(),
        "hyper_parameters": argparse.Namespace(lr=np.float64(0.1), classes=np.int64(4)),
        "counts": collections.defaultdict(list, a=[1]),
        "history": np.arange(3.0),
        "dtype": torch.float32,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "path": path_like(),
        "set": {1, 2},
        "counter": collections.Counter("abc"),
    }


def path_like():
    import pathlib

    return pathlib.PurePosixPath("a/b")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_other_objects_beside_the_weights_are_no_hindrance(path, network, zipped, monkeypatch):
    content = besides(network)
    # A class that the reader cannot import, as a user's own configuration would be.
    config = type("Config", (dict,), {"__module__": "users_own_code"})
    module = type(os)("users_own_code")
    module.Config = config
    monkeypatch.setitem(__import__("sys").modules, "users_own_code", module)
    config.__qualname__ = "Config"
    content["config"] = config(depth=3)
    content["config"].width = 4
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(__import__("sys").modules, "users_own_code")
    assert_same(read(path).tensors, network)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_network_pickled_as_a_whole_gives_its_weights(path, network, zipped):
    torch.save(network, path, _use_new_zipfile_serialization=zipped)
    assert_same(read(path).tensors, network)
    torch.save({"model": nn.DataParallel(network)}, path, _use_new_zipfile_serialization=zipped)
    assert_same(read(path).tensors, network, "module.")


def test_an_averaged_model_is_read_with_its_counter(path, network):
    torch.save(AveragedModel(network).state_dict(), path)
    found = read(path)
    assert found.kind == "ema"
    assert "n_averaged" in found.tensors
    assert "module.3.weight" in found.tensors


@pytest.mark.parametrize(("wanted", "kind"), [(None, "plain"), ("plain", "plain"), ("ema", "ema")])
def test_of_plain_and_averaged_weights_the_wanted_ones_are_taken(path, network, wanted, kind):
    averaged = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    torch.save({"model": network.state_dict(), "model_ema": {"module": averaged, "decay": 0.9}}, path)
    found = read(path, wanted)
    assert (found.kind, found.both) == (kind, True)
    expected = averaged if kind == "ema" else network.state_dict()
    assert torch.equal(found.tensors["3.bias"], expected["3.bias"])


def test_averaged_weights_that_are_not_there_are_told(path, network):
    torch.save(network.state_dict(), path)
    with pytest.raises(CheckpointError, match=r"has no averaged \(EMA\) weights, which `weights` = 'ema' asks for"):
        read(path, "ema")


class Malicious:
    """Creates a file when it is unpickled."""

    def __init__(self, call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["beside", "as a name", "as a tensor", "alone"])
def test_no_code_in_a_file_is_run(tmp_path, path, network, zipped, place):
    trace = tmp_path / "it_ran"
    for call in (
        (os.system, (f"touch {trace}",)),
        (eval, (f"open({str(trace)!r}, 'w')",)),
        (exec, (f"open({str(trace)!r}, 'w')",)),
        (open, (str(trace), "w")),
        (getattr(os, "mkdir"), (str(trace),)),  # noqa: B009
    ):
        state = dict(network.state_dict())
        bad = Malicious(call)
        content = {
            "beside": {"state_dict": state, "extra": bad},
            "as a name": {"state_dict": state, bad: 1},
            "as a tensor": {"state_dict": {**state, "3.bias": bad}},
            "alone": bad,
        }[place]
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        if place in ("beside", "as a name"):
            assert_same(read(path).tensors, network)
        else:
            with pytest.raises(CheckpointError):
                read(path)
        assert not trace.exists()


def raw_file(path, network, program):
    """Write a checkpoint whose pickle is the given program."""
    torch.save(network.state_dict(), path)
    with zipfile.ZipFile(path) as archive:
        names = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, program if name.endswith("data.pkl") else content)


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}(X\x08\x00\x00\x00__code__K\x01ub.",  # BUILD with a dict
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__K\x01s\x86b.",  # BUILD with slots
        b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00itemsK\x01sb.",
        b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x08\x00\x00\x00__call__\x86R.",
    ],
)
def test_a_file_cannot_change_what_reads_it(path, network, program):
    before = torch._utils._rebuild_tensor_v2.__dict__.copy(), torch._utils._rebuild_tensor_v2.__defaults__
    raw_file(path, network, program)
    with pytest.raises(CheckpointError):
        read(path)
    after = torch._utils._rebuild_tensor_v2.__dict__, torch._utils._rebuild_tensor_v2.__defaults__
    assert after == before
    assert collections.OrderedDict(a=1).items()


def test_a_torchscript_archive_is_refused(path, network):
    with __import__("warnings").catch_warnings():
        __import__("warnings").simplefilter("ignore")
        torch.jit.script(network).save(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04cut", pickle.dumps([1, 2])])
def test_a_damaged_file_is_told(path, content):
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read|must hold a state dict"):
        read(path)
