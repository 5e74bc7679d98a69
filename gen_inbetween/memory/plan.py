"""Which memory levers a run needs: the first rung of the ladder that fits the device, and a table of what fits where.

Only exact levers are on the ladder. Approximate ones are the user's to choose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from gen_inbetween.diffusion.decoding import DEFAULT_CHUNK_SIZE
from gen_inbetween.diffusion.methods import Method, find_method
from gen_inbetween.diffusion.options import DecodeMode, SamplerOptions
from gen_inbetween.memory.footprint import Footprint, count_decode, count_encode, count_image_encoder, count_unet
from gen_inbetween.memory.options import Levers, Offload
from gen_inbetween.models.configs import ModelConfigs, open_configs
from gen_inbetween.models.registry import ModelSpec

VRAM_SIZES = (8, 12, 16, 24, 48, 80)  # GB, cards as they are sold
GB = 1e9
STAGE_COLUMNS = {"encode": 8, "denoise": 9, "decode": 8}


@dataclass(frozen=True)
class Plan:
    """What a run will take. `levers` are those to use; `fits` is False if not even they are enough for `vram_gb`.

    `passes` counts sample-forwards (clips through the UNet), of which `clips` go at once when memory allows it.
    Rungs are counted when asked for: a run that fits at once does not wait for the rest. `str(plan)` is a table.
    """

    title: str
    passes: int
    clips: int
    workload: Workload
    vram_gb: float | None

    @property
    def flops(self) -> int:
        """Of the whole run: all UNet passes and the streamed decode."""
        one_pass = self.workload.unet(self.clips).flops // self.clips
        return self.passes * one_pass + self.workload.decode("streamed").flops

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The whole ladder."""
        return tuple(self.workload.rungs(self.clips))

    @property
    def rung(self) -> Rung:
        return self.rung_for(self.vram_gb) or self.rungs[-1]

    @property
    def levers(self) -> Levers:
        return self.rung.levers

    @property
    def peak_gb(self) -> float:
        return self.rung.peak / GB

    @property
    def fits(self) -> bool:
        return self.rung_for(self.vram_gb) is not None

    def rung_for(self, vram_gb: float | None) -> Rung | None:
        """The first rung that fits into so many GB (None: no limit), or None."""
        rungs = self.workload.rungs(self.clips)
        return next((rung for rung in rungs if vram_gb is None or rung.peak <= vram_gb * GB), None)

    def __str__(self) -> str:
        return "\n".join(render(self))


def plan(
    model: str | Path | ModelSpec | ModelConfigs,
    *,
    width: int | None = None,
    height: int | None = None,
    num_frames: int | None = None,
    method: str = "gi",
    options: SamplerOptions | None = None,
    vram_gb: float | None = None,
    dtype: torch.dtype = torch.float16,
) -> Plan:
    """Plan the run of one pair of keyframes.

    Args:
        model: a name, folder, hub id, spec, or configurations; no weights are loaded.
        width, height, num_frames: None for the model's own.
        vram_gb: GB (1e9 bytes) to fit into; None for no limit.
        options: the method's options, which decide the number of passes; None for its own.

    Raises:
        ModelError, ValueError: an unknown model, method or option; a size that the latents do not divide.
    """
    configs = open_configs(model)
    width, height = width or configs.width, height or configs.height
    num_frames, factor = num_frames or configs.num_frames, configs.latent_factor
    if width % factor or height % factor:
        raise ValueError(f"expected width and height as multiples of {factor}, got {width}x{height}")
    workload = Workload(configs, dtype, num_frames, height // factor, width // factor, find_method(method))
    options = workload.method.resolve(options)
    passes = workload.method.unet_passes(options)
    return Plan(
        title=f"{configs.name}, {str(dtype).removeprefix('torch.')}, {num_frames} frames of {width}x{height}, "
        f"method {method}, {options.num_inference_steps} steps",
        passes=passes,
        clips=passes // workload.evaluations(options),
        workload=workload,
        vram_gb=vram_gb,
    )


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
    yield f"\n{'exact levers, fastest first':46}{'encode':>8}{'denoise':>9}{'decode':>8}{'needs GB':>10}  chosen for GB"
    for rung in plan.rungs:
        sizes = " ".join(str(size) for size in VRAM_SIZES if plan.rung_for(size) == rung)
        stages = "".join(f"{rung.stages[stage] / GB:{width}.2f}" for stage, width in STAGE_COLUMNS.items())
        yield f"{str(rung.levers):46}{stages}{rung.peak / GB:10.2f}  {sizes}"
    yield f"(needs: the largest stage and {ALLOWANCE - 1:.0%} for allocator and kernels; GB: 1e9 bytes)"
    if plan.vram_gb is not None:
        verdict = "" if plan.fits else " DOES NOT FIT; take a smaller size, fewer frames, or decode='chunked' (inexact)"
        yield f"\nfor {plan.vram_gb:g} GB: {plan.levers}, decode {plan.levers.decode}: {plan.peak_gb:.2f} GB{verdict}"


ALLOWANCE = 1.1  # allocator and cuDNN on top of the tensors; an estimate, not measured on a GPU


@dataclass(frozen=True)
class Rung:
    """One setting of the levers and the bytes that each stage of the run then takes."""

    levers: Levers
    stages: dict[str, int]

    @property
    def peak(self) -> float:
        """Bytes to have free, allowance included."""
        return ALLOWANCE * max(self.stages.values())


@dataclass(frozen=True)
class Workload:
    """One pair of keyframes on one model; height and width of the latents."""

    configs: ModelConfigs
    dtype: torch.dtype
    num_frames: int
    height: int
    width: int
    method: Method

    def evaluations(self, options: SamplerOptions) -> int:
        """Calls of the UNet with the guidance halves in one batch; a sequential method takes the directions in turn."""
        return len(self.method.step_order(options)) * (2 if self.method.motions == "sequential" else 1)

    def unet(self, clips: int, chunk: int | None = None) -> Footprint:
        """One pass over so many clips."""
        size = (self.num_frames, self.height, self.width)
        return count_unet(self.configs.unet, self.dtype, clips, *size, self.method.needs_motion, chunk)

    def decode(self, mode: DecodeMode) -> Footprint:
        return count_decode(self.configs.vae, self.dtype, self.num_frames, self.height, self.width, mode)

    def parts(self, clips: int, chunk: int | None = None) -> dict[str, Footprint]:
        """What the stages run, the UNet for one pass over so many clips."""
        pixels = [self.configs.latent_factor * side for side in (self.height, self.width)]
        return {
            "image encoder": count_image_encoder(self.configs.image_encoder, self.dtype),
            "encode": count_encode(self.configs.vae, self.dtype, *pixels),
            "UNet": self.unet(clips, chunk),
            "decode": self.decode("streamed"),
        }

    def rungs(self, clips: int) -> Iterator[Rung]:
        """The ladder, counted as it is climbed; `clips` go through the UNet at once on the first rung."""
        chunk = forward_chunk(self.num_frames)
        directions = 2 if self.method.motions in ("rotated", "reversed") else 1
        split = clips > directions
        ladder = [Levers(), Levers(split), Levers(split, "none", chunk), Levers(split, "model", chunk)]
        ladder += [Levers(split, "group"), Levers(split, "group", chunk)]
        for levers in dict.fromkeys(ladder):
            parts = self.parts(directions if levers.split_guidance else clips, levers.forward_chunking)
            yield Rung(levers, stage_bytes(levers.offload, parts))


def forward_chunk(num_frames: int) -> int | None:
    """Frames per feed-forward chunk: the largest divisor up to a quarter of the frames (25: 5, 14: 2), where the
    feed-forwards no longer make the peak and smaller chunks save nothing."""
    return max((size for size in range(1, num_frames // 4 + 1) if num_frames % size == 0), default=None)


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
