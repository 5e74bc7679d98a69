"""Open an interpolator from a file of weights; convert such a file to safetensors.

A file is recognised by its tensors. T and D of InterpAny-Clearer have the same shapes as RIFEm, and TR those of DR:
what the index input means is then read off the authors' file name (flownet_sdi.pkl is a path-distance model), off our
own header, or is said by `kind`.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch

from gen_inbetween.interpolation.interpolator import FrameInterpolator, InterpolatorError, InterpolatorInfo, Kind
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.film import FilmInterpolator, is_torchscript
from gen_inbetween.interpolation.weights.detect import Recognised, load_weights, on_meta, recognise
from gen_inbetween.interpolation.weights.files import FORMAT_VERSION, read_weights, weights_file, write_weights
from gen_inbetween.runtime.hashing import file_sha256

log = logging.getLogger("gen_inbetween")

AskedKind: TypeAlias = Kind | Literal["auto"]


def convert_interpolator(source: str | Path, destination: str | Path, kind: AskedKind = "auto") -> InterpolatorInfo:
    """Rewrite a file of weights as safetensors, only what the network needs, and say in JSON what it is.

    destination: a .safetensors file; the JSON stands in its header, and beside it as .json for people to read.
    Returns the info of the new file. InterpolatorError: as `load_interpolator`, or another suffix; OutputError: cannot
    be written.
    """
    path, target = weights_file(source), Path(destination).expanduser()
    if target.suffix != ".safetensors":
        raise InterpolatorError(f"expected the destination to end in .safetensors, got {target.name}")
    if is_torchscript(path):
        raise InterpolatorError(f"{path} is TorchScript, which is a program and not weights: use the file as it is")
    found, network, header = _read_network(path, 1.0)
    info = _info(found, header, network, kind, path, path.name)
    record = {
        **header,  # of our own training: its sizes, its recipe
        "format_version": FORMAT_VERSION,
        **{key: value for key, value in asdict(info).items() if key not in ("name", "sha256", "scale")},
        "source": header.get("source", path.name),
        "source_sha256": header.get("source_sha256", info.sha256),
    }
    write_weights(target, network.state_dict(), record)
    return replace(info, name=target.name, sha256=file_sha256(target))


def open_weights(path: Path, kind: AskedKind, device: torch.device, scale: float, *, name: str) -> FrameInterpolator:
    """The interpolator of a file; `name` goes into its info. Otherwise as `registry.load_interpolator`."""
    if is_torchscript(path):
        film = FilmInterpolator(path, file_sha256(path), device)
        check_plain(film.info, kind, scale)
        return film
    found, network, header = _read_network(path, scale)
    info = replace(_info(found, header, network, kind, path, name), scale=scale)
    log.info("%s: %s %s, kind %s, %s", path, info.architecture, info.version, info.kind, info.licence)
    network = network.to(device).eval().requires_grad_(False)
    return NetworkInterpolator(network, info, device)


def _read_network(path: Path, scale: float) -> tuple[Recognised, Any, dict[str, Any]]:
    """What the file is, its network with its weights on the CPU, and our record in it."""
    state, header = read_weights(path)
    try:
        found = recognise(state, header)
        network = on_meta(lambda: found.build(scale))
        ignored = load_weights(network, state)
    except InterpolatorError as error:
        raise InterpolatorError(f"{path}: {error}") from error
    if ignored:
        log.info("%s: %d tensors of the training are not needed, %s first", path, len(ignored), ignored[0])
    return found, network, header


def _info(
    found: Recognised, header: dict[str, Any], network: Any, kind: AskedKind, path: Path, name: str
) -> InterpolatorInfo:
    return InterpolatorInfo(
        name=name,
        architecture=found.architecture,
        version=header.get("version", found.version),
        kind=_choose_kind(found, header, kind, path),
        multiple=network.multiple,
        licence=header.get("license", header.get("licence", found.licence)),
        parameters=sum(tensor.numel() for tensor in network.parameters()),
        sha256=file_sha256(path),
    )


def _choose_kind(found: Recognised, header: dict[str, Any], kind: AskedKind, path: Path) -> Kind:
    if kind != "auto":
        if kind not in found.kinds:
            raise InterpolatorError(f"{path} is {found.version}, of kind {' or '.join(found.kinds)}; not {kind}")
        return kind
    if header.get("kind") in found.kinds:
        return cast(Kind, header["kind"])
    if "sdi" in path.stem and "index" in found.kinds:
        return "index"
    if len(found.kinds) > 1:
        log.info("%s may be of kind %s; taken as %s", path, " or ".join(found.kinds), found.kinds[0])
    return found.kinds[0]


def check_plain(info: InterpolatorInfo, kind: AskedKind, scale: float) -> None:
    """Raise InterpolatorError where something is asked of an interpolator that has one kind and no scale."""
    if kind not in ("auto", info.kind) or scale != 1:
        raise InterpolatorError(
            f"{info.name} is of kind {info.kind} and has no scale; got kind {kind}, scale {scale:g}"
        )
