"""One sampling run of an open pipeline on two fitted keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from gen_inbetween.diffusion.motion import sole_use
from gen_inbetween.memory.apply import apply_memory_options
from gen_inbetween.runtime.cost import measure_cost

if TYPE_CHECKING:
    from torch import Tensor

    from gen_inbetween.diffusion.edm import Generator
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline, OnStepEnd
    from gen_inbetween.generation.resolve import SamplingRun


@dataclass(frozen=True)
class Sample:
    """A sampled clip: its decoded frames, its latents (1, frame, channel, height, width), and what it cost."""

    frames: list[Image.Image]
    latents: Tensor
    unet_passes: int
    seconds: float
    peak_memory: dict[str, Any] | None  # see `runtime.cost`


def sample(
    pipe: InbetweenPipeline,
    run: SamplingRun,
    frame0: Image.Image,
    frame1: Image.Image,
    *,
    generator: Generator = None,
    callback_on_step_end: OnStepEnd | None = None,
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    progress: bool = False,
) -> Sample:
    """The clip between two keyframes of the run's size, its decoded ends left as they are.

    Args:
        pipe: the model, on the run's device, with the motion loaded that the method needs.
        run: what `resolve_run` decided.
        generator: draws the noise; None: a seed means the same noise on every device, so one on the CPU with the
            run's seed.
        callback_on_step_end, callback_on_step_end_tensor_inputs: as `InbetweenPipeline.__call__` takes them.
        progress: show a bar on stderr.

    Raises:
        RuntimeError: the denoised clip is not finite.
    """
    settings = run.settings
    with sole_use(pipe.unet):
        apply_memory_options(pipe, run.memory, run.device)
        pipe.set_progress_bar_config(disable=not progress, desc=run.method.name)
        with measure_cost(run.device) as cost:
            output: Any = pipe(
                frame0,
                frame1,
                method=run.method.name,
                options=run.sampler,
                width=settings.width,
                height=settings.height,
                num_frames=settings.num_frames,
                fps=settings.fps,
                motion_bucket_id=settings.motion_bucket_id,
                noise_aug_strength=settings.noise_aug_strength,
                split_guidance=bool(run.memory.split_guidance),
                decode=run.memory.decode or "streamed",
                decode_chunk_size=run.memory.decode_chunk_size,
                generator=torch.Generator("cpu").manual_seed(settings.seed) if generator is None else generator,
                callback_on_step_end=callback_on_step_end,
                callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            )
    return Sample(list(output.frames[0]), output.latents, output.unet_passes, **cost)
