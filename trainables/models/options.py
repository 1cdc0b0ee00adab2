"""The options of each family of models. Imports no torch, so that a search file can be checked at once."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic
from pydantic import Field

from trainables.settings import Settings

Width = Annotated[int, Field(ge=1, le=65_536)]


class MLPOptions(Settings):
    """`hidden`: units of each hidden layer; none gives softmax regression."""

    hidden: tuple[Width, ...] = (32,)


class CNNOptions(Settings):
    """`widths`: channels of each stage; height and width are halved between stages. `head`: whether the linear
    layer reads the mean over all positions, or every position, which suits tiny pictures.
    """

    widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (16, 32, 64)
    head: Literal["mean", "flatten"] = "mean"


class SmallResNetOptions(Settings):
    """`widths`: channels of each stage; `blocks`: residual blocks a stage; `stem_stride` 2 costs a quarter of 1."""

    widths: Annotated[tuple[Width, ...], Field(min_length=1)] = (32, 64, 128)
    blocks: int = Field(1, ge=1, le=64)
    stem_stride: Literal[1, 2] = 1


class CIFARResNetOptions(Settings):
    """`shortcut`: where the shape changes, `identity` pads with zeros (option A, no parameters), `projection` is a
    1×1 convolution (option B).
    """

    shortcut: Literal["identity", "projection"] = "identity"


class WideCIFARResNetOptions(Settings):
    """`shortcut`: as in `CIFARResNetOptions`; the published networks of four times the width have projections."""

    shortcut: Literal["identity", "projection"] = "projection"


class WideResNetOptions(Settings):
    """`dropout`: share of the channels' values dropped between the two convolutions of a block. `shortcut_reads`:
    whether the 1×1 shortcut reads the block's first activation, as in the paper, or the block's input.
    """

    dropout: float = Field(0.0, ge=0, lt=1)
    shortcut_reads: Literal["activation", "input"] = "activation"

    _later: ClassVar[frozenset[str]] = frozenset({"shortcut_reads"})


class MobileNetOptions(Settings):
    """`width`: the factor of all channels but the last convolution's, which grows only above 1."""

    width: float = Field(0.5, ge=0.1, le=8)


class NoOptions(Settings):
    """No options: the model is taken as it is."""


class FreeOptions(Settings):
    """Options that a class or function outside this project takes. Their names and types are its own."""

    model_config = pydantic.ConfigDict(extra="allow")
