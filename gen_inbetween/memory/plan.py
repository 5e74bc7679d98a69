"""Predicted memory and UNet passes of a run.

    print(plan("svd-xt", vram_gb=16))

The candidates are exact memory options, fastest first; the first that fits is taken. Approximate ones are the user's to
choose. Everything is counted on configurations: no weights are loaded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gen_inbetween.diffusion.decoding.modes import DEFAULT_CHUNK_SIZE, DecodeMode
from gen_inbetween.diffusion.methods import Method, find_method, planned_sigmas
from gen_inbetween.diffusion.options import SamplerOptions
from gen_inbetween.diffusion.samplers.step_cache import whole_steps
from gen_inbetween.diffusion.windows.layout import SHORTEST, decode_spans, lay_windows
from gen_inbetween.memory.counter import Footprint
from gen_inbetween.memory.kept_footprints import footprint
from gen_inbetween.memory.options import MemoryOptions, Offload, describe_memory_options
from gen_inbetween.models.configs import ModelConfigs, open_configs
from gen_inbetween.models.registry import ModelSpec
from gen_inbetween.runtime.checks import check_positive, check_whole

VRAM_SIZES = (8, 12, 16, 24, 48, 80)  # GB, cards as they are sold
GB = 1e9
ALLOWANCE = 1.1  # allocator and cuDNN on top of the tensors; an estimate, not measured on a GPU
STAGE_COLUMNS = {"encode": 8, "denoise": 9, "decode": 8}


@dataclass(frozen=True)
class MemoryCandidate:
    """Memory options, and the bytes that each stage of the run (encode, denoise, decode) takes with them."""

    options: MemoryOptions
    stages: dict[str, int]

    @property
    def peak(self) -> float:
        """Bytes to have free, allowance included."""
        return ALLOWANCE * max(self.stages.values())


@dataclass(frozen=True)
class Workload:
    """One clip on one model; height and width of the latents.

    num_frames: that go through the UNet at once: all of a clip between two keyframes, else those of the longest window.
    windows: frames of every window; () for a clip that is one.
    decoded: frames that are decoded at once; 0: num_frames.
    """

    configs: ModelConfigs
    dtype: torch.dtype
    num_frames: int
    height: int
    width: int
    method: Method
    windows: tuple[int, ...] = ()
    decoded: int = 0

    def unet(self, clips: int, chunk: int = 0) -> Footprint:
        """One pass over so many clips; chunk: frames per feed-forward chunk, 0: whole."""
        size = (self.num_frames, self.height, self.width)
        return footprint("unet", self.configs.unet, self.dtype, clips, *size, self.method.needs_motion, chunk)

    def outer_unet(self, clips: int) -> Footprint:
        """One pass over its outermost level alone, which `step_cache` makes between whole ones."""
        size = (self.num_frames, self.height, self.width)
        return footprint("outer_unet", self.configs.unet, self.dtype, clips, *size, self.method.needs_motion)

    def decode(self, mode: DecodeMode) -> Footprint:
        frames = self.decoded or self.num_frames
        return footprint("decode", self.configs.vae, self.dtype, frames, self.height, self.width, mode)

    def parts(self, clips: int, chunk: int = 0) -> dict[str, Footprint]:
        """What the stages run, the UNet for one pass over so many clips."""
        pixels = [self.configs.latent_factor * side for side in (self.height, self.width)]
        return {
            "image encoder": footprint("image_encoder", self.configs.image_encoder, self.dtype),
            "encode": footprint("encode", self.configs.vae, self.dtype, *pixels),
            "UNet": self.unet(clips, chunk),
            "decode": self.decode("streamed"),
        }

    def candidates(self, clips: int) -> Iterator[MemoryCandidate]:
        """Fastest first, each counted when it is reached; `clips` go through the UNet at once in the first."""
        chunk = forward_chunk(math.gcd(*(self.windows or (self.num_frames,))))  # it has to divide every window
        directions = 2 if self.method.motions in ("rotated", "reversed") else 1
        split = clips > directions
        table: list[tuple[bool, Offload, int]] = [
            (False, "none", 0),
            (split, "none", 0),
            (split, "none", chunk),
            (split, "model", chunk),
            (split, "group", 0),
            (split, "group", chunk),
        ]
        for split_guidance, offload, chunking in dict.fromkeys(table):
            parts = self.parts(directions if split_guidance else clips, chunking)
            options = MemoryOptions(
                split_guidance=split_guidance, offload=offload, forward_chunking=chunking, decode="streamed"
            )
            yield MemoryCandidate(options, stage_bytes(offload, parts))


@dataclass(frozen=True)
class Plan:
    """What a run will take. `fits` is False where not even the most frugal candidate is enough for `vram_gb`.

    `passes` counts sample-forwards (clips through the UNet), of which `clips` go at once when memory allows it.
    Candidates are counted when asked for: a run that fits at once does not wait for the rest. `str(plan)` is a table.
    """

    title: str
    passes: int
    clips: int
    workload: Workload
    vram_gb: float | None
    spans: int = 1  # stretches that are decoded one by one
    outer: float = 0.0  # the share of passes that `step_cache` makes over the UNet's outermost level alone

    @property
    def flops(self) -> int:
        """Of the whole run: all UNet passes and the streamed decode."""
        windows = self.workload.windows or (self.workload.num_frames,)
        one_pass = {length: self.pass_flops(length) for length in set(windows)}
        denoise = sum(one_pass[length] for length in windows) * self.passes / len(windows)
        return round(denoise) + self.workload.decode("streamed").flops * self.spans

    def pass_flops(self, num_frames: int) -> float:
        """Of one clip of so many frames through the UNet, the mean over whole passes and those of `step_cache`."""
        window = replace(self.workload, num_frames=num_frames)
        flops = (1 - self.outer) * window.unet(self.clips).flops
        if self.outer:
            flops += self.outer * window.outer_unet(self.clips).flops
        return flops / self.clips

    @property
    def candidates(self) -> tuple[MemoryCandidate, ...]:
        """All of them, fastest first."""
        return tuple(self.workload.candidates(self.clips))

    @property
    def candidate(self) -> MemoryCandidate:
        """The one to use: the first that fits, or else the most frugal."""
        return self.candidate_for(self.vram_gb) or self.candidates[-1]

    @property
    def memory(self) -> MemoryOptions:
        """The memory options to use."""
        return self.candidate.options

    @property
    def peak_gb(self) -> float:
        return self.candidate.peak / GB

    @property
    def fits(self) -> bool:
        return self.candidate_for(self.vram_gb) is not None

    def candidate_for(self, vram_gb: float | None) -> MemoryCandidate | None:
        """The first candidate that fits into so many GB (None: no limit), or None."""
        candidates = self.workload.candidates(self.clips)
        return next((each for each in candidates if vram_gb is None or each.peak <= vram_gb * GB), None)

    def __str__(self) -> str:
        return "\n".join(render(self))


def plan(
    model: str | Path | ModelSpec | ModelConfigs,
    *,
    width: int | None = None,
    height: int | None = None,
    num_frames: int | None = None,
    positions: Sequence[int] | None = None,
    loop: bool = False,
    method: str = "gi",
    options: SamplerOptions | None = None,
    vram_gb: float | None = None,
    dtype: torch.dtype = torch.float16,
) -> Plan:
    """Plan the run of one clip.

    Args:
        model: a name, folder, hub id, spec, or configurations; no weights are loaded.
        width, height, num_frames: None for the model's own.
        positions: frame numbers of the keyframes, where there are more than two; None: both ends. A `loop` needs them.
        vram_gb: GB (1e9 bytes) to fit into; None for no limit.
        options: the method's options, which decide the number of passes; None for its own.

    Raises:
        ModelError, ValueError: an unknown model, method or option; a size that the model cannot do.
    """
    width, height, num_frames = (
        None if value is None else check_whole(name, value, 1)
        for name, value in (("width", width), ("height", height), ("num_frames", num_frames))
    )
    if vram_gb is not None:
        check_positive("vram_gb", vram_gb)
    if not isinstance(options, SamplerOptions | None):
        raise ValueError(f"expected options as SamplerOptions, got {type(options).__name__}")
    if positions is not None:
        positions = [check_whole("each of positions", position, 0) for position in positions]
        if len(positions) < 2 - loop or any(later <= earlier for earlier, later in itertools.pairwise(positions)):
            raise ValueError(f"expected positions as frame numbers that rise, two or more, got {positions}")
    if loop and not positions:
        raise ValueError("a loop has no ends: expected the positions of its keyframes, [0] for a single one")
    configs = open_configs(model)
    width, height, num_frames = width or configs.width, height or configs.height, num_frames or configs.num_frames
    configs.check_size(width, height)
    latent_height, latent_width = (side // configs.latent_factor for side in (height, width))
    windows, decoded = split_clip(configs, positions, num_frames, loop)
    size = latent_height, latent_width
    longest = max(windows, default=num_frames)
    workload = Workload(configs, dtype, longest, *size, find_method(method), tuple(windows), max(decoded))
    options = workload.method.resolve(options)
    segments = max(1, len(positions or (0, 1)) - (not loop))
    passes = workload.method.unet_passes(options, segments, max(0, len(windows) - segments))
    through = (
        f" through {len(positions or ())} keyframes ({len(windows)} windows of up to {longest})" if windows else ""
    )
    return Plan(
        title=f"{configs.name}, {str(dtype).removeprefix('torch.')}, {num_frames} frames of {width}x{height}{through}, "
        f"method {method}, {options.num_inference_steps} steps",
        passes=passes,
        clips=workload.method.clips_at_once(options),
        workload=workload,
        vram_gb=vram_gb,
        spans=len(decoded),
        outer=outer_share(workload.method, options),
    )


def outer_share(method: Method, options: SamplerOptions) -> float:
    """The share of a run's passes that `step_cache` makes over the UNet's outermost level alone."""
    assert options.num_inference_steps is not None
    if (every := options.step_cache or 1) == 1:
        return 0.0
    sigmas = planned_sigmas(options)
    order, passes = method.step_order(options, sigmas), method.step_passes(options, sigmas)
    whole = whole_steps([sigmas[i] for i in order], every)
    return sum(count for count, entire in zip(passes, whole, strict=True) if not entire) / sum(passes)


def split_clip(
    configs: ModelConfigs, positions: Sequence[int] | None, num_frames: int, loop: bool
) -> tuple[list[int], list[int]]:
    """(frames of each window, frames of each stretch that is decoded at once); no windows between two keyframes.

    ValueError: keyframes between which no window of this model fits.
    """
    if positions is None or (len(positions) == 2 and not loop):
        configs.check_length(num_frames)
        return [], [num_frames]
    marks = [*positions, num_frames] if loop else list(positions)
    for first, last in zip(marks, marks[1:], strict=False):
        if not SHORTEST <= last - first + 1 <= configs.longest:
            raise ValueError(
                f"keyframes at the frames {first} and {last} make a segment of {last - first + 1}: {configs.name} does "
                f"{SHORTEST} to {configs.longest}"
            )
    windows = [len(window.frames) for window in lay_windows(positions, num_frames, loop=loop)]
    if num_frames <= configs.num_frames:
        return windows, [num_frames]
    return windows, [len(frames) for frames, _ in decode_spans(positions, num_frames, loop=loop)]


def render(plan: Plan) -> Iterator[str]:
    """The lines of the table that `inbetween plan` shows."""
    yield plan.title
    yield f"{plan.passes} UNet passes of one clip, {plan.flops / 1e15:.3g} PFLOP with the decode"
    yield f"\n{'':30}{'weights GB':>12}{'activations GB':>16}{'TFLOP':>9}"
    parts = plan.workload.parts(plan.clips) | {
        "decode, all at once": plan.workload.decode("all"),
        f"decode, chunks of {DEFAULT_CHUNK_SIZE} (inexact)": plan.workload.decode("chunked"),
    }
    for name, part in parts.items():
        yield f"{name:30}{part.weights / GB:12.2f}{part.activations / GB:16.2f}{part.flops / 1e12:9.2f}"
    columns = f"{'encode':>8}{'denoise':>9}{'decode':>8}{'needs GB':>10}  chosen for GB"
    yield f"\n{'exact options, fastest first':46}{columns}"
    for candidate in plan.candidates:
        sizes = " ".join(str(size) for size in VRAM_SIZES if plan.candidate_for(size) == candidate)
        stages = "".join(f"{candidate.stages[stage] / GB:{width}.2f}" for stage, width in STAGE_COLUMNS.items())
        yield f"{describe_memory_options(candidate.options):46}{stages}{candidate.peak / GB:10.2f}  {sizes}"
    yield f"(needs: the largest stage and {ALLOWANCE - 1:.0%} for allocator and kernels; GB: 1e9 bytes)"
    if plan.vram_gb is not None:
        chosen = f"{describe_memory_options(plan.memory)}, decode {plan.memory.decode}: {plan.peak_gb:.2f} GB"
        verdict = "" if plan.fits else " DOES NOT FIT; take a smaller size, fewer frames, or decode='chunked' (inexact)"
        yield f"\nfor {plan.vram_gb:g} GB: {chosen}{verdict}"


def forward_chunk(num_frames: int) -> int:
    """Frames per feed-forward chunk: the largest divisor up to a quarter of the frames, where the feed-forwards no
    longer make the peak and smaller chunks save nothing; 0 where there is none.

    >>> [forward_chunk(count) for count in (25, 14, 3)]
    [5, 2, 0]
    """
    return max((size for size in range(1, num_frames // 4 + 1) if num_frames % size == 0), default=0)


def stage_bytes(offload: Offload, parts: dict[str, Footprint]) -> dict[str, int]:
    """Bytes on the device in each stage: the weights that `offload` leaves there, and the stage's activations."""
    clip, encode, unet, decode = (parts[name] for name in ("image encoder", "encode", "UNet", "decode"))
    # The VAE counts in every stage: model offload sends a model away when the next of CLIP, UNet, VAE is called, and
    # nothing follows the VAE; group offload leaves it out. (encode.weights is the VAE in the precision it encodes in.)
    weights = {
        "none": [clip.weights + unet.weights] * 3,
        "model": [clip.weights, unet.weights, 0],
        "group": [2 * clip.largest_layer, 2 * unet.largest_layer, 0],  # the running layer and the next
    }[offload]
    return {
        "encode": weights[0] + encode.weights + max(clip.activations, encode.activations),
        "denoise": weights[1] + decode.weights + unet.activations,
        "decode": weights[2] + decode.weights + decode.activations,
    }
