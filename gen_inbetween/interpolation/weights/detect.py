"""Detection of a network from the tensors of its state dict.

block0..2, contextnet, unet            IFNet; block0's input channels less 6 are those of the index: 0, 1 or 5
                                       (RIFE's IFNet_2R has the same tensors and is taken for it)
block0..3 or 4                         IFNet v4; widths, head, encoder and body single out a row of LAYOUTS
flow.*, synthesis.*                    Super SloMo (state_dictFC and state_dictAT of its checkpoint)
matching.*, block0..1                  tiny-di, of any width

A file that we trained says it in its header, with its sizes (`architectures.py`); then that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gen_inbetween.interpolation.interpolator import InterpolatorError, Kind
from gen_inbetween.interpolation.networks.blocks import BlockStyle
from gen_inbetween.interpolation.networks.ifnet import CONTEXT_WIDTH, WIDTHS, IFNet
from gen_inbetween.interpolation.networks.ifnet_v4 import LAYOUTS, IFNetV4, Layout
from gen_inbetween.interpolation.networks.superslomo import SuperSloMo
from gen_inbetween.interpolation.networks.tiny_di import TinyDI
from gen_inbetween.runtime.trust.limits import shorten

State = Mapping[str, Tensor]

PUBLISHED = "as published: MIT, code and weights"
# index channels -> what is published with that input, and the kinds it may be; the first is assumed.
INDEXED: dict[int, tuple[str, tuple[Kind, ...]]] = {
    0: ("RIFE", ("midpoint",)),
    1: ("RIFEm, T-RIFE or D-RIFE", ("time", "index")),
    5: ("DR-RIFE or TR-RIFE", ("index+ref", "time+ref")),
}


@dataclass(frozen=True)
class DetectedNetwork:
    """build(scale) makes the network, without weights; kinds: what it may be used as, the likeliest first."""

    architecture: str
    version: str
    kinds: tuple[Kind, ...]
    license: str
    build: Callable[[float], Any]


def detect_network(state: State) -> DetectedNetwork:
    """The network of `state`, whose names have no "module." prefix. InterpolatorError: none that is known here."""
    try:
        return _detect(state)
    except (KeyError, IndexError, ZeroDivisionError, StopIteration) as error:
        lack = f": {shorten(error)}" if isinstance(error, KeyError) else ""
        raise InterpolatorError(
            f"some of the tensors that tell this network are absent, or of another shape{lack}: the file is cut or "
            "altered"
        ) from error


def _detect(state: State) -> DetectedNetwork:
    if "block0.conv0.0.0.weight" in state and not any(name.startswith("block0.lastconv.") for name in state):
        raise InterpolatorError(
            "this is a RIFE of before the paper, HDv2 or 3.x, whose blocks end in other layers: take the paper's or 4.x"
        )
    if "matching.scale" in state:
        return _tiny_di(state)
    if "block3.conv0.0.0.weight" in state:
        return _v4(state)
    if "block0.conv0.0.0.weight" in state and "block2.conv0.0.0.weight" in state:
        return _paper(state)
    if "flow.conv1.weight" in state and "synthesis.conv1.weight" in state:
        licence = "as published: MIT; the licence of its training data, Adobe240, is not stated"
        return DetectedNetwork("Super SloMo", "Super SloMo", ("time",), licence, _super_slomo)
    names = shorten(", ".join(list(state)[:3]), 200) or "none"
    raise InterpolatorError(
        "these are no weights of a known interpolator (RIFE, RIFE 4.0 to 4.26, InterpAny-Clearer's RIFE, Super SloMo): "
        f"the first tensors are {names}"
    )


def load_weights(network: nn.Module, state: State) -> list[str]:
    """Put `state` into a network built on the meta device. Returns the names that the network does not have.

    Published files carry the training's extra blocks, so more is fine. InterpolatorError: something is missing or has
    another shape.
    """
    wanted = network.state_dict()
    for name, tensor in wanted.items():
        if name not in state:
            raise InterpolatorError(f"the weights lack {name} {tuple(tensor.shape)}: the file is cut or altered")
        if state[name].shape != tensor.shape:
            raise InterpolatorError(
                f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}: a variant not known here"
            )
    network.load_state_dict({name: state[name].float() for name in wanted}, assign=True)
    return sorted(state.keys() - wanted.keys())


def on_meta(build: Callable[[], Any]) -> Any:
    """Build a network without drawing random weights, which would be overwritten."""
    with torch.device("meta"):
        return build()


def _super_slomo(scale: float) -> SuperSloMo:
    if scale != 1:
        raise InterpolatorError(f"Super SloMo estimates motion at the full size only; got scale {scale:g}")
    return SuperSloMo(compat=True)


def _paper(state: State) -> DetectedNetwork:
    widths = tuple(_width(state, number) for number in range(3))
    channels = state["block0.conv0.0.0.weight"].shape[1] - 6
    if widths != WIDTHS or channels not in INDEXED or "unet.conv.weight" not in state:
        raise InterpolatorError(
            f"a RIFE with three blocks of widths {widths} and {channels} index channels is not known; expected widths "
            f"{WIDTHS}, 0, 1 or 5 index channels and a refinement (RIFE, RIFEm, T, D, TR or DR; not HDv2 or 3.x)"
        )
    if state["unet.conv.weight"].shape[1] != CONTEXT_WIDTH:
        raise InterpolatorError("a RIFE with a refinement of another width is not known here")
    version, kinds = INDEXED[channels]
    return DetectedNetwork("IFNet", version, kinds, PUBLISHED, lambda scale: IFNet(channels, scale=scale))


def _tiny_di(state: State) -> DetectedNetwork:
    sizes: dict[str, Any] = {
        "widths": tuple(_width(state, number) for number in range(2)),
        "depth": next(depth for depth in range(99) if f"block0.convblock.{depth}.0.weight" not in state),
        "matching_width": state["matching.encoder.layers.5.weight"].shape[0],
        "context_width": state["contextnet.conv1.conv1.0.weight"].shape[0],
    }

    def build(scale: float) -> TinyDI:
        if scale != 1:
            raise InterpolatorError(f"tiny-di chooses the scale of its motion by itself; got scale {scale:g}")
        return TinyDI(**sizes)

    return DetectedNetwork("tiny-di", "tiny-di", INDEXED[5][1], "Apache-2.0, as this project", build)


def _v4(state: State) -> DetectedNetwork:
    layout = layout_of(state)
    version = next((name for name, known in LAYOUTS.items() if replace(known, scales=()) == layout), None)
    if version is None:
        raise InterpolatorError(
            f"a RIFE 4 of widths {layout.widths}, {layout.style.outputs} outputs and {layout.encoded} encoded channels "
            f"is not known; known are {', '.join(LAYOUTS)}"
        )
    return DetectedNetwork(
        "IFNet v4", version, ("time",), PUBLISHED, lambda scale: IFNetV4(LAYOUTS[version], scale=scale)
    )


def layout_of(state: State) -> Layout:
    """The layout of a version 4 file; `scales` is empty, for no tensor shows it."""
    count = next(number for number in range(99) if f"block{number}.conv0.0.0.weight" not in state)
    widths = tuple(_width(state, number) for number in range(count))
    encoder, width, encoded = _encoder_of(state)
    return Layout(_style_of(state, widths[0]), widths, (), encoder, width, encoded)  # type: ignore[arg-type]


def _style_of(state: State, width: int) -> BlockStyle:
    learned = "block0.conv0.0.1.weight" in state
    shuffled = "block0.lastconv.0.weight" in state
    head = state["block0.lastconv.0.weight" if shuffled else "block0.lastconv.weight"].shape[1]
    if "block0.convblock.0.beta" in state:
        inputs = state["block0.convblock.0.conv.weight"].shape[1]
        return BlockStyle(learned, "scaled", head // 4, shuffled, groups=width // inputs)
    return BlockStyle(learned, "skip" if learned else "plain", head, shuffled)


def _encoder_of(state: State) -> tuple[str, int, int]:
    """(kind, width, channels per frame) of the features' encoder."""
    for kind, first, last in (
        ("named", "cnn0", "cnn3"),
        ("sequence", "0", "6"),
        ("short", "0", "1"),
    ):
        names = f"encode.{first}.weight", f"encode.{last}.weight"
        if all(name in state for name in names):
            return kind, state[names[0]].shape[0], state[names[1]].shape[1]
    return "none", 0, 0


def _width(state: State, number: int) -> int:
    return state[f"block{number}.conv0.1.0.weight"].shape[0]
