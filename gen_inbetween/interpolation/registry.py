"""Interpolators by name, and opening of their weights.

Nothing of an interpolator is looked for or read before it is opened (`weights.published` says where). Nothing is
downloaded.

A file is recognised by its tensors. T and D of InterpAny-Clearer have the same shapes as RIFEm, and TR those of DR:
what the index input means is then read off the authors' file name (flownet_sdi.pkl is a distance-index model), off our
own header, or is said by `kind`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch

from gen_inbetween.interpolation.baselines import Still
from gen_inbetween.interpolation.carried_interpolator import (
    classical_interpolator,
    dis_interpolator,
    refined_interpolator,
    refinement_recipe,
)
from gen_inbetween.interpolation.interpolator import (
    KINDS,
    FrameInterpolator,
    InterpolatorError,
    InterpolatorInfo,
    Kind,
    KindChoice,
)
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.film import FilmInterpolator, is_torchscript
from gen_inbetween.interpolation.weights.architectures import ARCHITECTURES, build_network
from gen_inbetween.interpolation.weights.detect import DetectedNetwork, detect_network, load_weights, on_meta
from gen_inbetween.interpolation.weights.files import read_weights, weights_file
from gen_inbetween.interpolation.weights.published import (
    BUILT_IN,
    PAGES,
    TITLES,
    is_fetched,
    published_weights,
)
from gen_inbetween.runtime.checks import check_real
from gen_inbetween.runtime.devices import open_device
from gen_inbetween.runtime.hashing import file_sha256, unchanged
from gen_inbetween.runtime.messages import tell_once
from gen_inbetween.runtime.trust.limits import shorten, trusting_programs

log = logging.getLogger("gen_inbetween")

DEFAULT = BUILT_IN
TINY_DI = Path(__file__).parent / "tiny_di.safetensors"

Opener: TypeAlias = Callable[[KindChoice, torch.device, float], FrameInterpolator]


def load_interpolator(
    name_or_path: str | Path,
    kind: KindChoice = "auto",
    device: str | torch.device | None = None,
    *,
    scale: float = 1.0,
    trust: bool = False,
) -> FrameInterpolator:
    """Open an interpolator.

    Args:
        name_or_path: a name of INTERPOLATORS, or a file of weights (or a folder with one): .pkl, .pth, .ckpt as
            published, .safetensors as written by `convert_interpolator`, FILM's TorchScript .pt.
        kind: "auto", or what the file's shapes leave open: "time" or "index", "time+ref" or "index+ref".
        device: where it computes; None: a CUDA card, or the CPU.
        scale: for RIFE, estimate motion at this fraction of the resolution, 0.25 to 4; 0.5 suits 4K frames.
        trust: run a file that is a program, as FILM's TorchScript is; all others are data.

    Returns:
        The interpolator; its `.info` says what it is.

    Raises:
        InterpolatorError: no such name or file, weights of no known network, a kind that they cannot be.
        ImportError: the package behind a name is not installed.
    """
    if kind not in ("auto", *KINDS):
        raise InterpolatorError(f"expected kind to be auto, {', '.join(KINDS)}; got {kind!r}")
    if not isinstance(name_or_path, str | Path):
        raise InterpolatorError(f"expected an interpolator's name or a file of weights, got {name_or_path!r}")
    if not 0.25 <= check_real("scale", scale) <= 4:
        raise InterpolatorError(f"expected scale from 0.25 to 4, got {scale:g}")
    with trusting_programs(trust):
        return _load(name_or_path, kind, device, scale)


def _load(
    name_or_path: str | Path, kind: KindChoice, device: str | torch.device | None, scale: float
) -> FrameInterpolator:
    if name_or_path in INTERPOLATORS:
        interpolator = INTERPOLATORS[str(name_or_path)](kind, open_device(device, mps=False), scale)
    else:
        path = Path(os.path.expanduser(name_or_path))
        if not os.path.exists(path):  # False, too, for too long a name
            raise InterpolatorError(
                f"no interpolator or file {shorten(repr(str(path)))}; the names are {', '.join(INTERPOLATORS)}"
            )
        path = weights_file(path)
        interpolator = open_weights_file(path, kind, open_device(device, mps=False), scale, name=path.name)
    tell_once(introduction(interpolator.info))
    return interpolator


def open_interpolator(
    interpolator: str | Path | FrameInterpolator | None = None, device: str | torch.device | None = None
) -> FrameInterpolator:
    """`interpolator` itself where it is open, on its own device; a name or a file as `load_interpolator` opens it.

    None: DEFAULT.
    """
    interpolator = DEFAULT if interpolator is None else interpolator
    is_open = hasattr(interpolator, "info")
    return interpolator if is_open else load_interpolator(interpolator, device=device)  # type: ignore[arg-type, return-value]


def motion_device(device: str | torch.device | None) -> str | torch.device | None:
    """Where an interpolator measures motion for a run on `device`: there, but on the CPU for mps, which lacks what it
    needs; None: the best there is.

    >>> motion_device("cuda:1"), motion_device("mps")
    ('cuda:1', 'cpu')
    """
    return "cpu" if device is not None and torch.device(device).type == "mps" else device


def introduction(info: InterpolatorInfo) -> str:
    """What is said when an interpolator is opened.

    >>> introduction(classical_interpolator().info)
    'dis-splat, the built-in interpolator'
    """
    if info.name in PAGES and is_fetched(info.name):
        return f"{info.name}, fetched weights"
    return f"{info.name}, {TITLES.get(info.name) or f'{info.architecture} {info.version}, {info.license}'}"


def open_weights_file(
    path: Path, kind: KindChoice, device: torch.device, scale: float, *, name: str
) -> FrameInterpolator:
    """The interpolator of a file; `name` goes into its info. Otherwise as `registry.load_interpolator`."""
    with unchanged(path):  # so that the hash in its info is of the weights that it has
        return _open_weights_file(path, kind, device, scale, name)


def _open_weights_file(
    path: Path, kind: KindChoice, device: torch.device, scale: float, name: str
) -> FrameInterpolator:
    if is_torchscript(path):
        film = FilmInterpolator(path, file_sha256(path), device)
        check_plain(film.info, kind, scale)
        return film
    if refinement_recipe(path) is not None:
        refined = refined_interpolator(path, device, name)
        check_plain(refined.info, kind, scale)
        return refined
    detected, network, header = read_network(path, scale)
    info = replace(network_info(detected, header, network, kind, path, name), scale=scale)
    log.debug("%s: %s %s, kind %s, %s", path, info.architecture, info.version, info.kind, info.license)
    network = network.to(device).eval().requires_grad_(False)
    return NetworkInterpolator(network, info, device)


def read_network(path: Path, scale: float) -> tuple[DetectedNetwork, Any, dict[str, Any]]:
    """What the file is, its network with its weights on the CPU, and our record in it."""
    state, header = read_weights(path)
    try:
        detected = declared_network(header) if "network" in header else detect_network(state)
        network = on_meta(lambda: detected.build(scale))
        ignored = load_weights(network, state)
    except InterpolatorError as error:
        raise InterpolatorError(f"{path}: {error}") from error
    if ignored:
        log.debug("%s: %d tensors of the training are not needed, %s first", path, len(ignored), ignored[0])
    return detected, network, header


def declared_network(header: Mapping[str, Any]) -> DetectedNetwork:
    """The network that the header of our own file declares; whether its tensors fit shows when they are put in."""
    sizes = dict(header["network"])
    name, kind = str(sizes.pop("architecture", None)), cast(Kind, header.get("kind"))
    on_meta(lambda: build_network(name, kind, sizes))  # raises what is wrong with them
    return DetectedNetwork(
        ARCHITECTURES[name].title,
        header.get("version", "trained here"),
        (kind,),
        header.get("license", "not stated"),
        lambda scale: build_network(name, kind, sizes, scale=scale),
    )


def network_info(
    detected: DetectedNetwork, header: dict[str, Any], network: Any, kind: KindChoice, path: Path, name: str
) -> InterpolatorInfo:
    """What a network read from `path` is; `name` is what it was opened as. InterpolatorError: `kind` cannot be."""
    return InterpolatorInfo(
        name=name,
        architecture=detected.architecture,
        version=header.get("version", detected.version),
        kind=_choose_kind(detected, header, kind, path),
        multiple=network.multiple,
        license=header.get("license", detected.license),
        parameters=sum(tensor.numel() for tensor in network.parameters()),
        sha256=file_sha256(path),
    )


def _choose_kind(detected: DetectedNetwork, header: dict[str, Any], kind: KindChoice, path: Path) -> Kind:
    if kind != "auto":
        if kind not in detected.kinds:
            raise InterpolatorError(f"{path} is {detected.version}, of kind {' or '.join(detected.kinds)}; not {kind}")
        return kind
    if header.get("kind") in detected.kinds:
        return cast(Kind, header["kind"])
    if "sdi" in path.stem and "index" in detected.kinds:
        return "index"
    if len(detected.kinds) > 1:
        log.info("%s may be of kind %s; taken as %s", path, " or ".join(detected.kinds), detected.kinds[0])
    return detected.kinds[0]


def check_plain(info: InterpolatorInfo, kind: KindChoice, scale: float) -> None:
    """Raise InterpolatorError where something is asked of an interpolator that has one kind and no scale."""
    if kind not in ("auto", info.kind) or scale != 1:
        raise InterpolatorError(
            f"{info.name} is of kind {info.kind} and has no scale; got kind {kind}, scale {scale:g}"
        )


def _plain(build: Callable[[torch.device], FrameInterpolator]) -> Opener:
    """Opens what has no weights, and so only one kind and no scale."""

    def open_plain(kind: KindChoice, device: torch.device, scale: float) -> FrameInterpolator:
        interpolator = build(device)
        check_plain(interpolator.info, kind, scale)
        return interpolator

    return open_plain


def _weights(name: str, find: Callable[[], Path]) -> Opener:
    """Opens the file that find() gives at that time."""
    return lambda kind, device, scale: open_weights_file(find(), kind, device, scale, name=name)


def _published(name: str) -> Opener:
    return _weights(name, lambda: published_weights(name))


INTERPOLATORS: dict[str, Opener] = {
    "blend": _plain(lambda device: Still(hard=False, device=device)),
    "nearest": _plain(lambda device: Still(hard=True, device=device)),
    "dis": _plain(dis_interpolator),
    "dis-splat": _plain(classical_interpolator),
    "tiny-di": _weights("tiny-di", lambda: TINY_DI),
    **{name: _published(name) for name in PAGES},
}
