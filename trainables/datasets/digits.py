"""scikit-learn's handwritten digits: 1,797 grey pictures of 8×8 pixels in ten classes, inside the package."""

from __future__ import annotations

import numpy as np

from trainables.config import DataSettings
from trainables.datasets.source import Counts, Pictures, Places, Progress, Source
from trainables.pictures import Split

_TEST_SIZE = 497  # leaves 1,300: 500 to validate and 800 to train
_LEVELS = 15  # stored levels are 0..16; times 15 they fill 0..240 of a byte


def _look(_settings: DataSettings, _places: Places) -> Counts:
    return Counts(classes=10, training=1797, default_test_size=_TEST_SIZE)


def _read(_settings: DataSettings, _places: Places, _progress: Progress) -> Pictures:
    from sklearn.datasets import load_digits  # here: it costs a second to import

    digits = load_digits()
    images = (digits.images[:, None] * _LEVELS).astype(np.uint8)
    return Pictures(
        classes=tuple(str(name) for name in digits.target_names),
        training=Split(images=images, labels=digits.target.astype(np.int64)),
        default_test_size=_TEST_SIZE,
    )


SOURCE = Source(look=_look, read=_read)
