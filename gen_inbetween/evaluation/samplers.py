"""Samplers of the library as evaluation methods.

Options are resolved and weights hashed up front; one model is open at a time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from gen_inbetween.diffusion.methods import default_method, find_method
from gen_inbetween.diffusion.motion import add_backward_motion
from gen_inbetween.diffusion.motion_files import MissingMotionError
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.evaluation.clip_store import GeneratedClip
from gen_inbetween.evaluation.methods import GeneratedMethod
from gen_inbetween.evaluation.settings import EvaluationError
from gen_inbetween.generation.auto import DISAGREEMENT, DISPLACEMENT, measure_motion
from gen_inbetween.generation.resolve import check_fields, resolve_run
from gen_inbetween.generation.sample import sample, settle_motion_bucket
from gen_inbetween.generation.settings import INTERPOLATION_ONLY, Settings
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.interpolation.interpolator import FrameInterpolator, check_kind
from gen_inbetween.interpolation.pairs import inbetween_frames
from gen_inbetween.interpolation.registry import DEFAULT, load_interpolator
from gen_inbetween.models.configs import open_configs
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.loading import check_unchanged, fetch_weights, open_pipeline
from gen_inbetween.models.registry import ModelSpec, resolve_model
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.hashing import cached_file_sha256, short_hash

if TYPE_CHECKING:
    from PIL import Image

    from gen_inbetween.evaluation.pairs.pair import Pair

SEED_RULE = "first 63 bits of sha256('<seed> <pair>')"
UNTUNED = "untuned"
PAIRS_OWN = ("fps", "motion_bucket_id")  # what a model is told of a pair, unless the method says it for all
OWN = (
    "method", "motion", "noise_aug_strength", "decode", "decode_chunk_size",
    *(item.name for item in fields(SamplerOptions)), *INTERPOLATION_ONLY, *PAIRS_OWN,
)  # fmt: skip
THE_RUNS = tuple(item.name for item in fields(Settings) if item.name not in OWN)


@dataclass(frozen=True)
class Sampler(GeneratedMethod):
    """One of the library's samplers with its options."""

    settings: Settings  # complete but for what is the pair's own
    fixed: frozenset[str]  # those of PAIRS_OWN that the method says for all pairs
    spec: ModelSpec
    motion: str | None  # a file or folder, None, or "untuned"

    seeded: ClassVar[bool] = True

    @property
    def model(self) -> str:
        """The motion: the base model is one for the whole run."""
        return str(self.motion)

    def generate(self, pair: Pair, keyframes: Sequence[Image.Image], seed: int) -> GeneratedClip:
        """The clip through fitted keyframes, all its frames as they were decoded.

        Raises:
            ValueError: a size or count of frames that the model cannot do. RuntimeError: the clip is not finite.
        """
        own = {name: getattr(pair, name) for name in PAIRS_OWN if name not in self.fixed}
        own = {name: value for name, value in own.items() if value is not None}
        settings = replace(self.settings, num_frames=pair.num_frames, seed=noise_seed(seed, pair), **own)
        timeline = Timeline(tuple(keyframes), pair.positions, pair.num_frames)
        configs = open_configs(self.spec)
        timeline.check_lengths(configs)
        run = resolve_run(settings, configs, has_motion=self.motion is not None, places=timeline.places)
        pipe = open_with_motion(self.spec, str(run.device), str(self.settings.dtype), self.motion)
        self.check_weights(pipe)
        run, found = settle_motion_bucket(pipe, run, timeline)
        clip = sample(pipe, run, timeline)
        check_unchanged(pipe)
        passes = clip.unet_passes + (found["motion_bucket"]["unet_passes"] if found else 0)
        return GeneratedClip(clip.frames, passes, clip.seconds, clip.peak_memory)

    def check_weights(self, pipe: InbetweenPipeline) -> None:
        """EvaluationError unless the weights are those that the clips are filed under."""
        motion = motion_hash(self.motion) if self.decided_by["motion"] is not None else None
        for what, now in (("model", pipe.weights_sha256), ("motion", motion)):
            if now != self.decided_by[what]:
                raise EvaluationError(f"the {what} was changed since the evaluation began: start it again")


def noise_seed(seed: int, pair: Pair) -> int:
    """The seed of the noise: every method starts a pair from the same noise, every pair from its own."""
    digest = hashlib.sha256(f"{seed} {pair.name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def open_sampler(
    label: str,
    entry: Mapping[str, Any],
    size: tuple[int, int],
    output: Path,
    spec: ModelSpec,
    device: str,
    dtype: str,
) -> Sampler:
    """A `Sampler` from its entry in the configuration, with the method's own defaults filled in.

    Args:
        entry: {"method": name, ...}. size: (width, height) of all clips. output: folder of the evaluation.
        spec: as `open_spec` returns it. device, dtype: what the model is opened with.

    Raises:
        ValueError: an unknown or impossible option, a motion that is not there or that method "gi" lacks.
    """
    shared = next((key for key in entry if key in THE_RUNS), None)
    if shared:
        raise EvaluationError(f"{shared!r} is not a method's to choose: it is the same for all methods of a run")
    rest = {"model": spec.name, "width": size[0], "height": size[1], "device": device, "dtype": dtype}
    settings = from_mapping(Settings, {**entry, **rest, "exact_ends": False}, where="its options")
    check_fields(settings)
    open_configs(spec).check_size(*size)
    method = find_method(str(settings.method))
    options = method.resolve(settings.sampler)
    motion = None if (file := spec.motion_file(settings.motion)) is None else str(file)
    if method.needs_motion and motion is None:
        raise MissingMotionError(spec.name)
    motion_sha256 = motion_hash(motion)  # also where the method leaves it alone: that it is there is checked
    fixed = {name: getattr(settings, name) for name in PAIRS_OWN if name in entry}
    decided_by = {
        "method": method.name,
        "options": options.deciding(),
        "model": folder_sha256(spec.source),
        "motion": motion_sha256 if method.needs_motion else None,
        "size": size,
        "dtype": dtype,
        "seed_rule": SEED_RULE,
        **{name: getattr(settings, name) for name in ("noise_aug_strength", "decode", "decode_chunk_size")},
        **fixed,
    }
    return Sampler(label, decided_by, output, replace(settings, motion="default"), frozenset(fixed), spec, motion)


def open_spec(model: str) -> ModelSpec:
    """`models.resolve_model`, fetching the weights: their hash is part of what decides a clip."""
    return fetch_weights(resolve_model(model))


def motion_hash(motion: str | None) -> str | None:
    """The hash of a motion's files, which need not be opened for it; EvaluationError where there are none."""
    if motion is None or motion == UNTUNED:
        return motion
    path = Path(os.path.expanduser(motion))
    files = sorted(path.glob("**/*.safetensors")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise EvaluationError(f"motion: expected 'default', 'untuned', a file or a folder with one, got {motion}")
    return short_hash([cached_file_sha256(file) for file in files])


@lru_cache(maxsize=1)  # the samplers of one motion come in a row; two copies of SVD would fill a card
def open_with_motion(spec: ModelSpec, device: str, dtype: str, motion: str | None) -> InbetweenPipeline:
    """The model with a motion: a file, none, or "untuned", which turns the attention map and adds nothing."""
    named = None if motion == UNTUNED else motion
    pipe = open_pipeline(spec, device=device, dtype=getattr(torch, dtype), motion=named, shared=False)
    if motion == UNTUNED:
        add_backward_motion(pipe.unet)
    return pipe


@dataclass(frozen=True)
class AutoSampler(Sampler):
    """A sampler that leaves some pairs to an interpolator; a clip of 0 UNet passes is one of those."""

    interpolator: FrameInterpolator
    iters: int

    def generate(self, pair: Pair, keyframes: Sequence[Image.Image], seed: int) -> GeneratedClip:
        """As `Sampler.generate`; of an interpolated clip the keyframes are themselves.

        It is interpolated where the motion is tiny between all neighbours.
        """
        neighbours = list(zip(keyframes, keyframes[1:], strict=False))
        lengths = [last - first + 1 for first, last in zip(pair.positions, pair.positions[1:], strict=False)]
        frames: list[Image.Image] = []
        with measure_cost(torch.device(self.interpolator.device)) as cost:
            if all(measure_motion(*each, self.interpolator).tiny for each in neighbours):
                for each, length in zip(neighbours, lengths, strict=True):
                    between = inbetween_frames(*each, length, self.interpolator, iters=self.iters)
                    frames += between if not frames else between[1:]
        return GeneratedClip(frames, 0, **cost) if frames else super().generate(pair, keyframes, seed)


def open_auto(
    label: str,
    entry: Mapping[str, Any],
    size: tuple[int, int],
    output: Path,
    spec: ModelSpec,
    device: str,
    dtype: str,
) -> AutoSampler:
    """{method: auto, interpolator: name or file, iters: n, any option of the sampler ...}; arguments as `open_sampler`.

    Raises:
        ValueError: as `open_sampler`, or an interpolator that cannot be opened. ImportError: its package.
    """
    rest = {key: value for key, value in entry.items() if key not in ("interpolator", "iters")}
    method = default_method(spec.motion_file(entry.get("motion", "default")) is not None)
    sampler = open_sampler(label, {**rest, "method": method}, size, output, spec, device, dtype)
    interpolator = load_interpolator(entry.get("interpolator") or DEFAULT, device=device)
    iters = 1 if entry.get("iters") is None else entry["iters"]
    check_kind(interpolator.info.kind, 0.5, None, iters)
    auto = {"version": interpolator.info.version, "sha256": interpolator.info.sha256, "iters": iters}
    auto |= {"name": interpolator.info.name, "limits": [DISPLACEMENT, DISAGREEMENT]}
    values = {item.name: getattr(sampler, item.name) for item in fields(sampler)}
    values["decided_by"] = {**sampler.decided_by, "auto": auto}
    return AutoSampler(**values, interpolator=interpolator, iters=iters)
