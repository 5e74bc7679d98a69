"""The library's samplers as methods of an evaluation: options resolved, weights hashed, one model open at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .. import manifest
from ..config import from_mapping
from ..deciding import check_length, check_size, choose_levers, decide
from ..generation import run_pipeline
from ..interpolating import FLOWS_ALONE, check_belonging
from ..levers import apply_levers
from ..measuring import measured
from ..model_configs import open_configs
from ..models import ModelSpec, open_pipeline, resolve_model
from ..motion import add_backward_motion
from ..motion_files import MissingMotionError
from ..pipeline import InbetweenPipeline
from ..sampling import find_method
from ..settings import SAMPLER_OPTIONS, Settings
from .made import Made, short_hash
from .pair import Pair
from .settings import EvaluationError
from .sources import hash_file

SEED_RULE = "first 63 bits of sha256('<seed> <pair>')"
UNTUNED = "untuned"
PAIRS_OWN = ("fps", "motion_bucket_id")  # what a model is told of a pair, unless the method says it for all
OWN = (
    "method", "motion", "noise_aug_strength", "decode", "decode_chunk_size",
    *SAMPLER_OPTIONS, *FLOWS_ALONE, *PAIRS_OWN,
)  # fmt: skip
THE_RUNS = tuple(item.name for item in fields(Settings) if item.name not in OWN)


@dataclass(frozen=True)
class Sampler:
    """One of the library's samplers with its options."""

    label: str
    settings: Settings  # complete but for what is the pair's own
    told: frozenset[str]  # those of PAIRS_OWN that the method says for all pairs
    spec: ModelSpec
    motion: str | None  # a file or folder, None, or "untuned"
    decided_by: Mapping[str, Any]
    seeded = True

    def make(self, pair: Pair, frame0: Image.Image, frame1: Image.Image, seed: int) -> Made:
        """The clip between two fitted keyframes, its decoded ends left as they are.

        Raises:
            ValueError: a size or count of frames that the model cannot do. RuntimeError: the clip is not finite.
        """
        check_length(pair.num_frames, self.spec.num_frames)
        device = torch.device(str(self.settings.device))
        pipe = open_with_motion(self.spec, str(device), str(self.settings.dtype), self.motion)
        own = {name: getattr(pair, name) for name in PAIRS_OWN if name not in self.told}
        own = {name: value for name, value in own.items() if value is not None}
        settings = replace(self.settings, num_frames=pair.num_frames, seed=noise_seed(seed, pair), **own)
        settings = decide(settings, self.spec, pipe)
        levers = choose_levers(settings, self.spec, device)
        apply_levers(pipe, levers, device)
        settings = replace(settings, split_guidance=levers.split_guidance, decode=levers.decode)
        with measured(device) as cost:
            output = run_pipeline(pipe, frame0, frame1, settings, progress=False)
        frames: list[Image.Image] = list(output.frames[0])
        return Made(frames, output.passes, cost["seconds"], cost["peak_memory"])


def noise_seed(seed: int, pair: Pair) -> int:
    """The seed of the noise: every method starts a pair from the same noise, every pair from its own."""
    digest = hashlib.sha256(f"{seed} {pair.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def open_sampler(
    label: str, entry: Mapping[str, Any], spec: ModelSpec, size: tuple[int, int], device: str, dtype: str
) -> Sampler:
    """A `Sampler` from its entry in the configuration, with the method's own defaults filled in.

    Args:
        entry: {"method": name, ...}. spec: as `open_spec` returns it. size: (width, height) of all clips.

    Raises:
        ValueError: an unknown or impossible option, a motion that is not there or that method "gi" lacks.
    """
    common = next((key for key in entry if key in THE_RUNS), None)
    if common:
        raise EvaluationError(f"{common!r} is not a method's to choose: it is the same for all methods of a run")
    rest = {"model": spec.name, "width": size[0], "height": size[1], "device": device, "dtype": dtype}
    settings = from_mapping(Settings, {**entry, **rest, "exact_ends": False}, where="its options")
    check_belonging(settings)
    check_size(*size, open_configs(spec).size_factor)
    method = find_method(str(settings.method))
    options = method.options(**{name: getattr(settings, name) for name in SAMPLER_OPTIONS})
    motion = spec.motion if settings.motion == "default" else settings.motion
    if method.needs_motion and motion is None:
        raise MissingMotionError(spec.name)
    hashed = motion_hash(motion)  # also where the method leaves it alone: that it is there is checked
    told = {name: getattr(settings, name) for name in PAIRS_OWN if name in entry}
    decided_by = {
        "method": method.name,
        "options": options,
        "model": manifest.folder_sha256(spec.source),
        "motion": hashed if method.needs_motion else None,
        "size": size,
        "dtype": dtype,
        "seed_rule": SEED_RULE,
        **{name: getattr(settings, name) for name in ("noise_aug_strength", "decode", "decode_chunk_size")},
        **told,
    }
    return Sampler(label, replace(settings, motion="default"), frozenset(told), spec, motion, decided_by)


def open_spec(model: str) -> ModelSpec:
    """`models.resolve_model`, fetching the weights: their hash is part of what decides a clip."""
    spec = resolve_model(model)
    if not Path(spec.source).is_dir():
        open_pipeline(model, device="cpu", motion=None, shared=False)
        spec = resolve_model(model)
    return spec


def motion_hash(motion: str | None) -> str | None:
    """The hash of a motion's files, which need not be opened for it; EvaluationError where there are none."""
    if motion is None or motion == UNTUNED:
        return motion
    path = Path(motion).expanduser()
    files = sorted(path.glob("**/*.safetensors")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise EvaluationError(f"motion: expected 'default', 'untuned', a file or a folder with one, got {motion}")
    return short_hash([hash_file(file) for file in files])


@lru_cache(maxsize=1)  # the samplers of one motion come in a row; two copies of SVD would fill a card
def open_with_motion(spec: ModelSpec, device: str, dtype: str, motion: str | None) -> InbetweenPipeline:
    """The model with a motion: a file, none, or "untuned", which turns the attention map and adds nothing."""
    named = None if motion == UNTUNED else motion
    pipe = open_pipeline(spec.name, device=device, dtype=getattr(torch, dtype), motion=named, shared=False)
    if motion == UNTUNED:
        add_backward_motion(pipe.unet)
    return pipe
