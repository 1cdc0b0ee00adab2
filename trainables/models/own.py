"""Models of the user's own: a class or function `(image_shape, classes, **options) -> nn.Module` in a file.

K: channels; H, W: height and width in pixels; C: classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.config import ModelSettings, call_own, check_call, own_object
from trainables.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

_FEW = 3
_GIVEN = ("image_shape", "classes")


def check_own_model(settings: ModelSettings) -> None:
    """Check that a model's file can be run and that its class or function takes the options; this builds nothing.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: there is no such class or function, or it does not take an option.
    """
    check_call(own_object(settings.name, settings.source, "model"), settings.name, _GIVEN, settings.options)


def build_own_model(settings: ModelSettings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Build a model with random weights from PyTorch's global generator.

    Raises:
        PolicyError, ConfigError: as `check_own_model`.
        ModelError: the class or function fails, or returns something else than a module.
    """
    from torch import nn

    check_own_model(settings)
    build = own_object(settings.name, settings.source, "model")
    model = call_own(
        settings.name, "building the model", lambda: build(image_shape, classes, **settings.options), ModelError
    )
    if not isinstance(model, nn.Module):
        raise ModelError(f"{settings.name} must return a torch.nn.Module, but returned {type(model).__name__}.")
    _materialise(settings, model, image_shape)
    return model


def _materialise(settings: ModelSettings, model: nn.Module, image_shape: tuple[int, int, int]) -> None:
    """Give lazy layers, such as `LazyLinear`, their weights."""
    import torch
    from torch.nn.parameter import UninitializedParameter

    if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
        blank = torch.zeros(_FEW, *image_shape)
        with torch.no_grad():
            call_own(settings.name, "running a batch of pictures", lambda: model.eval()(blank), ModelError)
        model.train()


def own_constructor(settings: ModelSettings, image_shape: tuple[int, int, int], classes: int) -> str:
    """Return the Python expression that builds a model, `TinyNet((1, 8, 8), 10, width=16)`, for cards and messages."""
    options = "".join(f", {option}={value!r}" for option, value in settings.options.items())
    return f"{settings.name.rpartition(':')[2]}({image_shape}, {classes}{options})"


def try_out_own_model(settings: ModelSettings, image_shape: tuple[int, int, int], classes: int, place: str) -> None:
    """Try a model out as a training will use it, before anything is spent: a batch forward and backward, twice built.

    Args:
        settings: the model.
        image_shape: (K, H, W).
        classes: C.
        place: its section in the search file, for messages.

    Raises:
        ModelError: it gives other weights each time, has nothing to train, fails on a batch, or gives no logits [B, C].
    """
    try:
        one, other = (_seeded(settings, image_shape, classes) for _ in range(2))
        _check_same(settings, one.state_dict(), other.state_dict())
        if not any(parameter.requires_grad for parameter in one.parameters()):
            raise ModelError(f"the model of {settings.name} has no trainable parameter.")
        for training in (True, False):
            check_outputs(settings, one.train(training), image_shape, classes)
    except ModelError as error:
        raise ModelError(f"`{place}`: {error}") from error


def _check_same(settings: ModelSettings, one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    import torch

    if one.keys() != other.keys() or not all(torch.equal(one[key], other[key]) for key in one):
        raise ModelError(
            f"{settings.name} gives other weights each time, so students could not be compared under the same seed;"
            " draw all random numbers from PyTorch's global generator."
        )


def _seeded(settings: ModelSettings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_own_model(settings, image_shape, classes)


def check_outputs(settings: ModelSettings, model: nn.Module, image_shape: tuple[int, int, int], classes: int) -> None:
    """Run a few pictures of noise in the layout that trainings use; PyTorch's global generator does not change.

    Raises:
        ModelError: the model fails, or gives no logits [B, C]; in training mode also if they have no gradient.
    """
    import torch

    noise = torch.randn(_FEW, *image_shape, generator=torch.Generator().manual_seed(0))
    pictures = noise.contiguous(memory_format=torch.channels_last)
    model.to(memory_format=torch.channels_last)
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(model.training):
        try:
            output = call_own(settings.name, "running a batch of pictures", lambda: model(pictures), ModelError)
        except ModelError as error:
            if "view size is not compatible" not in str(error):
                raise
            raise ModelError(
                f"{str(error).removesuffix('.')}. Pictures come in PyTorch's channels-last layout, which `view` cannot"
                " flatten; write `flatten(1)` or `reshape` there."
            ) from error
    if not isinstance(output, torch.Tensor) or output.shape != (_FEW, classes) or not output.is_floating_point():
        found = f"{output.dtype} {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
        raise ModelError(
            f"the model of {settings.name} must give logits, floating-point (B, {classes}) for B pictures, but gave"
            f" {found} for {_FEW}; build its last layer with `classes` outputs, and return its output alone."
        )
    if not bool(output.isfinite().all()):
        raise ModelError(
            f"the model of {settings.name} gives outputs that are infinite or NaN before any training; check how its"
            " weights are initialised."
        )
    if model.training and output.grad_fn is None:
        raise ModelError(
            f"the outputs of {settings.name} have no gradient; remove `no_grad`, `detach` or `inference_mode` from its"
            " `forward`."
        )
