"""Which memory levers a run needs: the first rung of the ladder that fits the device, and a table of what fits where.

Only exact levers are on the ladder. Approximate ones are the user's to choose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .decoding import DEFAULT_CHUNK_SIZE
from .ladder import ALLOWANCE, Rung, Workload
from .levers import Levers
from .model_configs import ModelConfigs, open_configs
from .models import ModelSpec
from .sampling import find_method

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
    num_inference_steps: int | None = None,
    vram_gb: float | None = None,
    dtype: torch.dtype = torch.float16,
    **options: Any,
) -> Plan:
    """Plan the run of one pair of keyframes.

    Args:
        model: a name, folder, hub id, spec, or configurations; no weights are loaded.
        width, height, num_frames, num_inference_steps: None for the model's and the method's own.
        vram_gb: GB (1e9 bytes) to fit into; None for no limit.
        options: the method's other options, as `Method.options` takes them; they decide the number of passes.

    Raises:
        ModelError, ValueError: an unknown model, method or option; a size that the latents do not divide.
    """
    configs = open_configs(model)
    width, height = width or configs.width, height or configs.height
    num_frames, factor = num_frames or configs.num_frames, configs.latent_factor
    if width % factor or height % factor:
        raise ValueError(f"expected width and height as multiples of {factor}, got {width}x{height}")
    workload = Workload(configs, dtype, num_frames, height // factor, width // factor, find_method(method))
    settings = workload.method.options(num_inference_steps=num_inference_steps, **options)
    passes = workload.method.unet_passes(**settings)
    return Plan(
        title=f"{configs.name}, {str(dtype).removeprefix('torch.')}, {num_frames} frames of {width}x{height}, "
        f"method {method}, {settings['num_inference_steps']} steps",
        passes=passes,
        clips=passes // workload.evaluations(settings),
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
