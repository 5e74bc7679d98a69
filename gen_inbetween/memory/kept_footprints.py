"""Footprints of stages, counted once and kept by their configuration.

    footprint("unet", configs.unet, torch.float16, 4, 25, 72, 128, True, 0)

Counting builds the model without weights and runs it on the meta device, which takes diffusers and seconds. The figures
of Stable Video Diffusion at its own size lie in `footprints.json` beside this file; others are kept in the cache
folder, until one of the packages or this library changes. `python eval/count_footprints.py` counts the
file's again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

from gen_inbetween.memory.counter import Footprint
from gen_inbetween.models.layout import cache_folder
from gen_inbetween.runtime.files import read_kept, write_json
from gen_inbetween.runtime.hashing import json_sha256, short_hash
from gen_inbetween.runtime.manifest import installed_version

log = logging.getLogger("gen_inbetween")

Stage = Literal["unet", "outer_unet", "encode", "decode", "image_encoder"]
SHIPPED = Path(__file__).parent / "footprints.json"
PACKAGES = ("torch", "diffusers", "transformers", "gen_inbetween")
# Of a configuration: what costs nothing, and what the classes assume where it is not said.
COSTLESS = {
    "sample_size", "num_frames", "scaling_factor", "architectures", "model_type", "attention_dropout", "dropout",
    "initializer_factor", "initializer_range", "layer_norm_eps", "torch_dtype", "dtype", "transformers_version",
}  # fmt: skip
ASSUMED: dict[str, Any] = {
    "down_block_types": [*["CrossAttnDownBlockSpatioTemporal"] * 3, "DownBlockSpatioTemporal"],
    "up_block_types": ["UpBlockSpatioTemporal", *["CrossAttnUpBlockSpatioTemporal"] * 3],
    "image_size": 224,
    "num_channels": 3,
}
VAE_ASSUMED: dict[str, Any] = {"in_channels": 3, "out_channels": 3}


def footprint(stage: Stage, config: str, dtype: torch.dtype, *arguments: int | str) -> Footprint:
    """What `memory.footprint.count_<stage>(config, dtype, *arguments)` counts, or counted earlier."""
    key = footprint_key(stage, config, dtype, *arguments)
    figures = shipped().get(key) or _kept().get(key)
    if figures is None:
        figures = list(astuple(count(stage, config, dtype, *arguments)))
        _keep(key, figures)
    for record in _recorders:
        record[key] = figures
    return Footprint(*figures)


def count(stage: Stage, config: str, dtype: torch.dtype, *arguments: Any) -> Footprint:
    """Counted now."""
    from gen_inbetween.memory import footprint as counting  # diffusers and transformers: not where figures are kept

    counted: Footprint = getattr(counting, f"count_{stage}")(config, dtype, *arguments)
    return counted


def footprint_key(stage: Stage, config: str, dtype: torch.dtype, *arguments: int | str) -> str:
    """The name of a figure: equal for configurations that cost the same."""
    said = {name: value for name, value in json.loads(config).items() if name[0] != "_" and name not in COSTLESS}
    assumed = ASSUMED if stage in ("unet", "outer_unet", "image_encoder") else VAE_ASSUMED
    said = {name: value for name, value in said.items() if assumed.get(name, said) != value}
    return json_sha256([stage, said, str(dtype), *arguments])[:16]


@cache
def shipped() -> dict[str, list[int]]:
    """The figures in the package, by their keys."""
    figures: dict[str, list[int]] = json.loads(SHIPPED.read_text(encoding="utf-8"))["footprints"]
    return figures


_recorders: list[dict[str, list[int]]] = []
_counted: dict[str, list[int]] = {}  # by this process, and read from the cache folder


def forget() -> None:
    """Let go of what this process has counted and read; what is in the cache folder stays."""
    _counted.clear()


@contextmanager
def recorded() -> Iterator[dict[str, list[int]]]:
    """Yields a dict that holds every figure asked for inside the block."""
    figures: dict[str, list[int]] = {}
    _recorders.append(figures)
    try:
        yield figures
    finally:
        _recorders.remove(figures)


def _store() -> Path:
    """The cache's file: one for each state of the packages and of the code that is counted."""
    code = Path(__file__).parents[1]
    changed = max(file.stat().st_mtime_ns for room in ("memory", "diffusion") for file in (code / room).rglob("*.py"))
    return cache_folder() / f"footprints-{short_hash([changed, *map(installed_version, PACKAGES)])}.json"


def _kept() -> dict[str, list[int]]:
    if not _counted:
        _counted.update(read_kept(_store()))
    return _counted


def _keep(key: str, figures: list[int]) -> None:
    _counted[key] = figures
    try:
        write_json(_store(), _counted)
    except OSError as error:  # a read-only home costs time at the next run, nothing else
        log.debug("footprints are not kept: %s", error)
