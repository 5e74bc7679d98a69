"""Conversion of an interpolator's weights to safetensors."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

from gen_inbetween.interpolation.interpolator import InterpolatorError, InterpolatorInfo, KindChoice
from gen_inbetween.interpolation.networks.film import is_torchscript
from gen_inbetween.interpolation.registry import network_info, read_network
from gen_inbetween.interpolation.weights.files import FORMAT_VERSION, weights_file, write_weights
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.outputs import check_output


def convert_interpolator(
    source: str | Path, destination: str | Path, kind: KindChoice = "auto", *, overwrite: bool = False
) -> InterpolatorInfo:
    """Rewrite a file of weights as safetensors, only what the network needs, and say in JSON what it is.

    destination: a .safetensors file; the JSON stands in its header, and beside it for people to read.
    overwrite: replace files that this package did not write, too; never the source.
    Returns the info of the new file. InterpolatorError: as `load_interpolator`, or another suffix; OutputError: cannot
    be written.
    """
    path, target = weights_file(source), Path(os.path.expanduser(destination))
    if target.suffix != ".safetensors":
        raise InterpolatorError(f"expected the destination to end in .safetensors, got {target.name}")
    check_output(target, [path], overwrite=overwrite)
    if is_torchscript(path):
        raise InterpolatorError(f"{path} is TorchScript, which is a program and not weights: use the file as it is")
    detected, network, header = read_network(path, 1.0)
    info = network_info(detected, header, network, kind, path, path.name)
    record = {
        **header,  # of our own training: its sizes, its recipe
        "format_version": FORMAT_VERSION,
        **{key: value for key, value in asdict(info).items() if key not in ("name", "sha256", "scale")},
        "source": header.get("source", path.name),
        "source_sha256": header.get("source_sha256", info.sha256),
    }
    write_weights(target, network.state_dict(), record, overwrite=overwrite)
    return replace(info, name=target.name, sha256=file_sha256(target))
