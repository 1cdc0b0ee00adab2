"""Views of the training pictures from a function of the user's own, `my_views.py:view`.

    def view(picture, generator):    # uint8 [K, H, W], and a torch.Generator seeded for this picture and view
        ...
        return changed               # uint8 [K, H, W]

The function sees one picture at a time, so a view cannot depend on the pictures beside it. All views are computed once,
before the first trial: the teacher is asked about the very pictures that students see, and no trial runs the function.

N: pictures; V: views of each; B: pictures of a batch; K: channels; H, W: height and width.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from policies.extensions import told
from policies.own_file import line_in
from trainables.config import AugmentationSettings, check_call, own_object
from trainables.errors import ConfigError, DataError
from trainables.pictures import Images, as_tensor
from trainables.training.augmentation import Augmentation, PictureViews
from trainables.training.seeding import random_value

MOST_BYTES = 4 * 2**30
"""The most bytes of all views together, which stay in memory."""
_GIVEN = ("picture", "generator")
_FEW = 4
_STREAM = 2  # of (seed, view, stream, picture); flips and shifts have 0 and 1

View = Callable[[Tensor, torch.Generator], Any]
Views = npt.NDArray[np.uint8]
"""Uint8 [V, N, K, H, W]."""


class OwnViews:
    """The views of one set of pictures, computed beforehand.

    Args:
        views: uint8 [V, N, K, H, W].
        device: where `apply` will run.
    """

    def __init__(self, views: Views, device: torch.device | str = "cpu") -> None:
        self._views = as_tensor(views).to(device)
        self.views = len(views)
        """The number of views of each picture."""

    def apply(self, images: Tensor, indices: Tensor, view: int) -> Tensor:  # noqa: ARG002 - the views are known
        """Return view `view` of the pictures at `indices`, uint8 [B, K, H, W]; see `Augmentation.apply`."""
        return self._views[view].index_select(0, indices)


def create_views(
    settings: AugmentationSettings,
    count: int,
    own: Views | None,
    *,
    mean: npt.NDArray[np.floating[Any]],
    device: torch.device | str = "cpu",
) -> PictureViews:
    """Create the views of `count` pictures; `own` are those of a function, None if the settings name none."""
    return Augmentation(settings, count, mean=mean, device=device) if own is None else OwnViews(own, device)


def check_own_views(settings: AugmentationSettings) -> None:
    """Check that the function's file can be run and that the function takes a picture and a generator.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: there is no such function, or it takes other arguments.
    """
    check_call(_function(settings), _origin(settings), _GIVEN, {})


def try_out_views(settings: AugmentationSettings, images: Images) -> None:
    """Compute views of a few pictures, then again in the reverse order, and compare them.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: the function fails, returns something else than such a picture, or gives other views each time.
        DataError: all views together would take too much memory.
    """
    check_own_views(settings)
    count = len(images)
    size = settings.views * count * math.prod(images.shape[1:])
    if size > MOST_BYTES:
        raise DataError(
            f"`augmentation.views` = {settings.views} views of {count:,} pictures take {size / 2**30:.1f} GiB, but at"
            f" most {MOST_BYTES / 2**30:.0f} GiB are kept for a function of your own; lower `views` or"
            " `data.train_size`."
        )
    function, few = _function(settings), images[: min(_FEW, len(images))]
    places = [(view, place) for view in range(min(2, settings.views)) for place in range(len(few))]
    with _global_generators_kept():
        first = {key: _view_of(function, settings, few[key[1]], *key) for key in places}
        again = {key: _view_of(function, settings, few[key[1]], *key) for key in reversed(places)}
    for view, place in places:
        if not np.array_equal(first[view, place], again[view, place]):
            raise ConfigError(
                f"{_origin(settings)} must give the same view of a picture each time under the same generator, but view"
                f" {view} of picture {place} differs; draw all random numbers from the generator that it gets, and keep"
                " nothing between two calls."
            )


def compute_views(settings: AugmentationSettings, images: Images) -> Views:
    """Compute all views of a set of pictures, after `try_out_views`.

    Args:
        settings: the function, the number of views and their seed.
        images: uint8 [N, K, H, W].

    Raises:
        PolicyError, ConfigError, DataError: as `try_out_views`; also ConfigError if the function fails later on.
    """
    try_out_views(settings, images)
    function = _function(settings)
    views = np.empty((settings.views, *images.shape), dtype=np.uint8)
    with _global_generators_kept():
        for view in range(settings.views):
            for place, changed in enumerate(_of_all(function, settings, images, view)):
                views[view, place] = changed
    return views


def _of_all(
    function: View, settings: AugmentationSettings, images: Images, view: int
) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(images), 1024):
        for place, picture in enumerate(images[start : start + 1024], start=start):
            yield _view_of(function, settings, picture, view, place)


def _view_of(
    function: View, settings: AugmentationSettings, picture: npt.NDArray[np.uint8], view: int, place: int
) -> npt.NDArray[np.uint8]:
    """Return one view of one picture.

    PyTorch's, NumPy's and Python's own generators are seeded, too, since torchvision's transforms draw from them.
    """
    seed = random_value(settings.seed, view, _STREAM, place)
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    generator = torch.Generator().manual_seed(seed)
    origin = _origin(settings)
    try:
        changed = function(torch.from_numpy(np.array(picture)), generator)
    except Exception as error:  # whatever the user's own code raises
        where = line_in(origin.rpartition(":")[0], error)
        raise ConfigError(f"the augmentation {origin} failed{where}: {told(error)}.") from error
    if not isinstance(changed, Tensor) or changed.dtype is not torch.uint8 or changed.shape != picture.shape:
        found = f"{changed.dtype} {tuple(changed.shape)}" if isinstance(changed, Tensor) else type(changed).__name__
        raise ConfigError(
            f"the augmentation {origin} must return a tensor torch.uint8 {picture.shape}, as it was given, but returned"
            f" {found}; end it with `.clamp(0, 255).round().to(torch.uint8)`, and normalise nothing."
        )
    return np.asarray(changed.detach().numpy())


def _origin(settings: AugmentationSettings) -> str:
    assert settings.function is not None  # callers ask only for the views of a function
    return settings.function


def _function(settings: AugmentationSettings) -> View:
    return own_object(_origin(settings), settings.source, "augmentation")


@contextlib.contextmanager
def _global_generators_kept() -> Iterator[None]:
    """Restore PyTorch's, NumPy's and Python's own generators after the block."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
