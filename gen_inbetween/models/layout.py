"""Diffusers folders of an SVD pipeline: checks and hash."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import NotRequired, TypedDict

from gen_inbetween.runtime.files import read_kept, write_json
from gen_inbetween.runtime.hashing import file_sha256, file_state, is_settled
from gen_inbetween.runtime.hub import INDEX, MOTION_FILE, ModelError
from gen_inbetween.runtime.trust.limits import UntrustedError, checked, read_object, shorten
from gen_inbetween.runtime.trust.model_index import find_foreign

log = logging.getLogger("gen_inbetween")

Width = Annotated[int, Field(ge=1, le=65_536)]
Widths = Annotated[list[Width], Field(min_length=1, max_length=16)]
Depth = Annotated[int, Field(ge=1, le=64)]
Depths = Annotated[list[Depth], Field(min_length=1, max_length=16)]
Sigma = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
BlockTypes = Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=16)]
Size = Annotated[int, Field(ge=1, le=65_536)]  # pixels, or latent pixels

SCHEDULER = "scheduler/scheduler_config.json"
WEIGHTS = ("unet", "vae", "image_encoder")  # the parts of SVD with weights; scheduler and feature_extractor have none


def check_pipeline_folder(folder: Path, *, parts: bool = True) -> None:
    """ModelError, unless `folder` is an SVD pipeline, with all its parts unless `parts` is False."""
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} is not an SVD pipeline: {_what_it_is(folder)}")
    if foreign := find_foreign(folder, _read_json(folder / INDEX)):
        raise ModelError(foreign)
    for config in folder.glob("*/*.json"):  # diffusers reads them whole
        _read_json(config)
    missing = missing_parts(folder) if parts else []
    if missing:
        raise ModelError(f"{folder} is not a whole SVD pipeline: it lacks {', '.join(missing)}; get it again")
    if parts:
        read_config(folder / SCHEDULER, "scheduler")


class UnetConfig(TypedDict):
    """What is read of a UNet's configuration, with the most that a run could mean by it."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    num_frames: Annotated[int, Field(ge=1, le=10_000)]
    sample_size: NotRequired[Size | Annotated[list[Size], Field(min_length=2, max_length=2)] | None]
    block_out_channels: Widths
    down_block_types: NotRequired[BlockTypes]
    up_block_types: NotRequired[BlockTypes]
    in_channels: NotRequired[Width]
    out_channels: NotRequired[Width]
    layers_per_block: NotRequired[Depth | Depths]
    transformer_layers_per_block: NotRequired[Depth | Depths]
    num_attention_heads: NotRequired[Width | Widths]
    cross_attention_dim: NotRequired[Width | Widths]
    addition_time_embed_dim: NotRequired[Width]
    projection_class_embeddings_input_dim: NotRequired[Width]


class VaeConfig(TypedDict):
    """What is read of a VAE's configuration."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    block_out_channels: Widths
    layers_per_block: NotRequired[Depth]
    latent_channels: NotRequired[Width]
    down_block_types: NotRequired[BlockTypes]
    scaling_factor: NotRequired[Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]]


class ImageEncoderConfig(TypedDict):
    """What is read of an image encoder's configuration."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    hidden_size: NotRequired[Width]
    intermediate_size: NotRequired[Width]
    projection_dim: NotRequired[Width]
    num_hidden_layers: NotRequired[Annotated[int, Field(ge=1, le=256)]]
    num_attention_heads: NotRequired[Width]
    image_size: NotRequired[Width]
    patch_size: NotRequired[Width]
    hidden_act: NotRequired[Literal["gelu", "quick_gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"]]


class SchedulerConfig(TypedDict):
    """What of a scheduler's configuration may take memory without end, or come to no numbers."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    num_train_timesteps: NotRequired[Annotated[int, Field(ge=1, le=100_000)]]
    sigma_min: NotRequired[Sigma | None]
    sigma_max: NotRequired[Sigma | None]


SHAPES: dict[str, TypeAdapter[Any]] = {
    "unet": TypeAdapter(UnetConfig),
    "vae": TypeAdapter(VaeConfig),
    "image_encoder": TypeAdapter(ImageEncoderConfig),
    "scheduler": TypeAdapter(SchedulerConfig),
}


def read_config(path: Path, part: str) -> dict[str, Any]:
    """The configuration of a part; ModelError: it is none, or says what no such part can be."""
    try:
        config = read_object(path)
        checked(SHAPES[part], config, str(path))
        return config
    except UntrustedError as error:
        raise ModelError(str(error)) from error


def missing_parts(folder: Path) -> list[str]:
    """The parts of an SVD pipeline which are not in `folder`, an interrupted download for one."""
    weights = [part for part in WEIGHTS if not any((folder / part).glob("*.safetensors"))]
    configs = [f"{part}/config.json" for part in WEIGHTS if not (folder / part / "config.json").is_file()]
    others = (SCHEDULER, "feature_extractor/preprocessor_config.json")
    return [f"{part}/*.safetensors" for part in weights] + configs + [p for p in others if not (folder / p).is_file()]


def folder_sha256(folder: str | os.PathLike[str], *, again: bool = False) -> str:
    """Hash of a diffusers model folder: weights and configurations one level down (unet/, vae/, ...), names included.

    Of a single-file checkpoint, that of the file. Contents are read once: hashes are kept by path and `file_state` in
    `cache_folder()`; SVD-XT is 4.6 GB.

    Args:
        again: read all of it, whatever was kept.
    """
    files = model_files(folder)
    if not files:
        raise ModelError(f"{folder}: expected a diffusers model folder with weights in it, found none")
    if files == [Path(folder)]:
        return _file_hashes(files, again)[0]
    digest = hashlib.sha256()
    for path, content in zip(files, _file_hashes(files, again), strict=True):
        digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def model_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The weights and configurations of a diffusers model folder, or the one file, which `folder_sha256` is of."""
    if Path(folder).is_file():
        return [Path(folder)]
    return sorted(path for pattern in ("*/*.safetensors", "*/*.json") for path in Path(folder).glob(pattern))


def cache_folder() -> Path:
    """Where hashes are kept between runs: $XDG_CACHE_HOME/gen_inbetween, or ~/.cache/gen_inbetween.

    A user without a home, as in many containers, has a folder that cannot be: nothing is kept, for the folder of
    temporary files is everybody's, and a hash that somebody else wrote is worth nothing.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "gen_inbetween"
    except RuntimeError:
        return Path(os.devnull) / "gen_inbetween"


def _file_hashes(files: list[Path], again: bool) -> list[str]:
    store = cache_folder() / "sha256.json"
    kept = read_kept(store)
    states = [file_state(path) for path in files]
    keys = [" ".join(map(str, (path.resolve(), *state))) for path, state in zip(files, states, strict=True)]
    hashes = {key: kept[key] for key in keys if key in kept and not again}
    for key, path in zip(keys, files, strict=True):
        if key not in hashes:
            hashes[key] = file_sha256(path)
    # What was written a moment ago may be written again without its times telling.
    news = {key: hashes[key] for key, state in zip(keys, states, strict=True) if is_settled(state)}
    if any(kept.get(key) != value for key, value in news.items()):
        try:
            write_json(store, kept | news)
        except OSError as error:  # a read-only home costs time at the next run, nothing else
            log.debug("hashes are not kept: %s", error)
    return [hashes[key] for key in keys]


def _what_it_is(path: Path) -> str:
    if not any(path.iterdir()):
        return "it is empty"
    if (path / MOTION_FILE).is_file() or (path / "unet").is_dir():
        return "it holds a backward motion or a UNet alone; give that as motion, and the model it belongs to as model"
    if (path / "config.json").is_file():
        config = _read_json(path / "config.json")
        kind = config.get("_class_name") or config.get("model_type") or "part of a model"
        return f"it is a single {shorten(kind)}; give the folder which has {INDEX} in it"
    return f"it has no {INDEX}; it holds {', '.join(sorted(entry.name for entry in path.iterdir())[:4])}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except UntrustedError as error:
        raise ModelError(str(error)) from error
