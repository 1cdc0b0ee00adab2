import gc
import weakref

import numpy as np
import pytest
import torch

from trainables.pictures.normalization import as_tensor, normalise


def test_normalise_subtracts_and_divides_by_channel() -> None:
    images = torch.tensor([[[[0, 255]], [[10, 30]]]], dtype=torch.uint8)
    result = normalise(images, torch.tensor([100.0, 20.0]), torch.tensor([50.0, 10.0]))
    torch.testing.assert_close(result, torch.tensor([[[[-2.0, 3.1]], [[-1.0, 1.0]]]]))


@pytest.mark.parametrize("writeable", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_as_tensor_shares_memory_and_does_not_warn(writeable: bool, dtype: type) -> None:
    array = np.arange(24).astype(dtype).reshape(2, 3, 4)[:, ::2]
    array.flags.writeable = writeable
    tensor = as_tensor(array)
    assert tensor.data_ptr() == array.ctypes.data
    assert tensor.tolist() == array.tolist()
    assert torch.from_numpy(np.empty(0, dtype)).dtype == tensor.dtype


def test_as_tensor_keeps_the_array_alive() -> None:
    class Owned(np.ndarray):  # a plain array takes no weak reference
        pass

    array = np.arange(1000).view(Owned)
    array.flags.writeable = False
    alive = weakref.ref(array)
    tensor = as_tensor(array)
    del array
    gc.collect()
    assert alive() is not None
    assert tensor.sum() == 499_500
    del tensor
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("writeable", [False, True])
def test_as_tensor_copies_a_reversed_array(writeable: bool) -> None:
    array = np.arange(5)[::-1]
    array.flags.writeable = writeable
    assert as_tensor(array).tolist() == [4, 3, 2, 1, 0]


def test_as_tensor_takes_an_empty_read_only_array() -> None:
    array = np.empty((0, 3), dtype=np.float32)
    array.flags.writeable = False
    assert as_tensor(array).shape == (0, 3)
