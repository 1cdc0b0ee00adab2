"""Pictures from a function of the user's own: a clear rule for what is taken, and the reason for what is not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from policies.errors import KDPolicySearchError
from trainables.config import DataSettings
from trainables.datasets import check_dataset, dataset_fingerprint, load_dataset
from trainables.datasets.own_pictures import as_pictures
from trainables.errors import ConfigError, DataError

NOWHERE = Path("unused")
HEAD = """
import numpy as np
import torch
from sklearn.datasets import load_digits

DIGITS = load_digits()
BYTES, LABELS = (DIGITS.images * 15).astype(np.uint8), DIGITS.target


class Pairs(torch.utils.data.Dataset):
    def __init__(self, pictures, labels):
        self.pictures, self.labels = pictures, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, place):
        return self.pictures[place], int(self.labels[place])


def load(train=1000, noise=0.0):
    assert noise == 0.0
    return {
        "train": (BYTES[:train], LABELS[:train]),
        "validation": (BYTES[train:1300], LABELS[train:1300]),
        "test": (BYTES[1300:], LABELS[1300:]),
        "classes": [f"digit {number}" for number in range(10)],
    }
"""


def own(body: str = "", name: str = "load", **values: object) -> DataSettings:
    return DataSettings.parse({"name": f"my_data.py:{name}", "source": HEAD + body, **values})


def loaded(settings: DataSettings):
    check_dataset(settings, NOWHERE)
    return load_dataset(settings, default_root=NOWHERE)


def returning(given: str, **values: object) -> DataSettings:
    return own(f"\n\ndef given():\n    return {given}\n", "given", **values)


def test_sets_classes_and_options_are_those_of_the_function():
    dataset = loaded(own(options={"train": 900}, train_size=100))
    sizes = [len(split) for split in (dataset.pool, dataset.train, dataset.validation, dataset.test)]
    assert sizes == [900, 100, 400, 497]
    assert dataset.image_shape == (1, 8, 8)
    assert dataset.classes[3] == "digit 3"
    assert dataset.name == "my_data.py:load"


def test_sets_that_are_missing_are_split_off():
    dataset = loaded(returning('{"train": (BYTES, LABELS)}', validation_size=300))
    sizes = [len(split) for split in (dataset.pool, dataset.validation, dataset.test)]
    assert sizes == [1797 - 300 - 360, 300, 360]
    assert dataset.classes == tuple("0123456789")


@pytest.mark.parametrize(
    "given",
    [
        "(BYTES[:, :, :, None], LABELS)",
        "(BYTES[:, None], list(LABELS))",
        "(torch.from_numpy(BYTES), torch.from_numpy(LABELS))",
        "(BYTES.astype(np.int64), LABELS.astype(np.uint8))",
        "(BYTES / 255, LABELS)",
        "(torch.from_numpy(BYTES).float()[:, None] / 255, LABELS)",
        "Pairs(BYTES, LABELS)",
        "Pairs(torch.from_numpy(BYTES).float()[:, None] / 255, LABELS)",
        "torch.utils.data.TensorDataset(torch.from_numpy(BYTES), torch.from_numpy(LABELS))",
    ],
)
def test_every_way_to_give_the_same_pictures_gives_the_same_data_set(given):
    plain = loaded(returning('{"train": (BYTES, LABELS)}'))
    assert dataset_fingerprint(loaded(returning(f'{{"train": {given}}}'))) == dataset_fingerprint(plain)


def test_the_layout_is_found_or_said():
    colour = np.arange(5 * 6 * 7 * 3, dtype=np.uint32).reshape(5, 6, 7, 3).astype(np.uint8)
    first = colour.transpose(0, 3, 1, 2)
    for given in (colour, first, torch.from_numpy(colour), list(colour), list(first)):
        np.testing.assert_array_equal(as_pictures(given), first)
    spectral = np.zeros((2, 9, 12, 12), dtype=np.uint8)
    with pytest.raises(DataError, match=r"not clear which axis.*\(2, 9, 12, 12\).*\"layout\": \"NKHW\" or \"NHWK\""):
        as_pictures(spectral)
    assert as_pictures(spectral, "NKHW").shape == (2, 9, 12, 12)
    assert as_pictures(spectral, "NHWK").shape == (2, 12, 9, 12)
    with pytest.raises(DataError, match="layout NHW have 3 axes"):
        as_pictures(spectral, "NHW")


def test_pictures_of_pillow_become_grey_or_colour():
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert as_pictures([grey, grey]).shape == (2, 1, 8, 8)
    for mode in ("RGB", "RGBA", "P", "CMYK", "LA"):
        assert as_pictures([grey.convert("RGB").convert(mode)] * 2).shape == (2, 3, 8, 8)
    assert as_pictures([grey.convert("1")]).max() == 255
    with pytest.raises(DataError, match=r"mode 'I;16', more than 8 bits a channel"):
        as_pictures([Image.new("I;16", (8, 8))])
    with pytest.raises(DataError, match=r"one shape and type, but there are uint8 8×8 and uint8 8×9; resize"):
        as_pictures([grey, grey.resize((9, 8))])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[1, 2]", 'must return a dict with "train"'),
        ('{"training": (BYTES, LABELS)}', r"returned 'training', but the keys are train, .*Did you mean 'train'\?"),
        ('{"test": (BYTES, LABELS)}', 'pictures to train on under "train"'),
        ('{"train": (BYTES, LABELS), "layout": "HWC"}', "\"layout\" as one of NHW, NHWK, NKHW, but returned 'HWC'"),
        ('{"train": (DIGITS.images, LABELS)}', r"must lie in \[0, 1\], but these lie in 0 to 16; divide"),
        ('{"train": (BYTES / 255 - 0.5, LABELS)}', r"lie in -0\.5 to 0\.44"),
        ('{"train": (np.where(BYTES > 9, np.nan, 0.0), LABELS)}', r"must lie in \[0, 1\], but these lie in nan"),
        (
            '{"train": (BYTES.astype(int) * 2, LABELS)}',
            r"whole numbers must lie in 0\.\.255, but these lie in 0\.\.480",
        ),
        ('{"train": (BYTES > 3, LABELS)}', "must be numbers, but are bool"),
        ('{"train": (BYTES.reshape(-1, 64), LABELS)}', r"must be \[N, height, width\].*but have shape \(1797, 64\)"),
        ('{"train": (BYTES, LABELS[:9])}', "1,797 pictures but 9 labels"),
        ('{"train": (BYTES, np.eye(10)[LABELS])}', r"rows of ones and zeros by `argmax\(1\)`"),
        ('{"train": (BYTES, [str(label) for label in LABELS])}', "turn names into numbers"),
        ('{"train": (BYTES, LABELS - 1)}', "there is a label -1; number them anew"),
        ('{"train": (BYTES, LABELS), "classes": ["a", "b"]}', "a name of its own for each label from 0 to 9"),
        ('{"train": BYTES}', r"the items of a data set must be pairs \(picture, label\)"),
        ('{"train": 3}', r"a set must be a pair \(pictures, labels\), .* but is int"),
        ('{"train": (BYTES[:0], LABELS[:0])}', "there is no picture|must be numbers"),
        ('{"train": (BYTES, LABELS), "test": (BYTES[:, :7], LABELS)}', "have train 1×8×8, test 1×7×8; resize"),
        ("1 / 0", r"failed, line \d+ \(`return 1 / 0`\): ZeroDivisionError"),
    ],
)
def test_what_is_in_doubt_is_refused_with_the_remedy(given, message):
    with pytest.raises(DataError, match=message):
        loaded(returning(given))


def test_a_wrong_function_or_option_is_named_before_anything_is_loaded():
    with pytest.raises(ConfigError, match=r"has no function or class 'laod'.*Did you mean 'load'"):
        check_dataset(own(name="laod"), NOWHERE)
    with pytest.raises(ConfigError, match=r"takes no option 'trian'; its options: train, noise\. Did you mean 'train'"):
        check_dataset(own(options={"trian": 3}), NOWHERE)
    with pytest.raises(KDPolicySearchError, match="line 1.*is not valid Python"):
        check_dataset(DataSettings(name="my_data.py:load", source="def load(:"), NOWHERE)


def test_random_numbers_of_the_function_are_seeded_and_those_outside_untouched():
    settings = returning('{"train": ((np.random.rand(300, 6, 6) + torch.rand(1).item()) / 2, LABELS[:300])}')
    small = settings.model_copy(update={"validation_size": 50, "test_size": 50})
    np.random.seed(5)
    torch.manual_seed(5)
    expected = np.random.rand(), torch.rand(1)
    np.random.seed(5)
    torch.manual_seed(5)
    first, second = loaded(small), loaded(small)
    assert (np.random.rand(), torch.rand(1)) == expected
    assert dataset_fingerprint(first) == dataset_fingerprint(second)
