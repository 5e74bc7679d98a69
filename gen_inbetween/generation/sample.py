"""One sampling run of an open pipeline on a fitted timeline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.diffusion.conditioning import encode_clean, frames_to_tensor
from gen_inbetween.diffusion.holds import Holds
from gen_inbetween.diffusion.motion import sole_use
from gen_inbetween.diffusion.options import AUTO
from gen_inbetween.diffusion.samplers.motion_bucket import find_motion_bucket
from gen_inbetween.diffusion.sampling import mean_and_variance
from gen_inbetween.memory.apply import apply_memory_options
from gen_inbetween.runtime.cost import measure_cost

if TYPE_CHECKING:
    from torch import Tensor

    from gen_inbetween.diffusion.edm import Generator
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline, OnStepEnd
    from gen_inbetween.diffusion.samplers.parallel import Ranks
    from gen_inbetween.generation.resolve import SamplingRun
    from gen_inbetween.generation.timeline.timeline import Timeline


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
    timeline: Timeline,
    *,
    generator: Generator = None,
    callback_on_step_end: OnStepEnd | None = None,
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    progress: bool = False,
    ranks: Ranks | None = None,
) -> Sample:
    """The clip through keyframes of the run's size, all its frames as they were decoded.

    Args:
        pipe: the model, on the run's device, with the motion loaded that the method needs.
        run: what `resolve_run` decided.
        timeline: the keyframes and whatever is kept, fitted to the run's size.
        generator: draws the noise; None: a seed means the same noise on every device, so one on the CPU with the
            run's seed.
        callback_on_step_end, callback_on_step_end_tensor_inputs: as `InbetweenPipeline.__call__` takes them.
        progress: show a bar on stderr.
        ranks: processes that share every evaluation; None: as the pipeline has them.

    Raises:
        RuntimeError: the denoised clip is not finite.
    """
    settings = run.settings
    bucket = settings.motion_bucket_id
    assert isinstance(bucket, int), "settle_motion_bucket comes before"
    begin, end = (bucket, None) if timeline.motion is None else timeline.motion.buckets(bucket)
    with sole_use(pipe.unet), shared_by(pipe, ranks):
        apply_memory_options(pipe, run.memory, run.device)
        pipe.set_progress_bar_config(disable=not progress, desc=run.method.name)
        with measure_cost(run.device) as cost:
            output: Any = pipe(
                **keyframe_arguments(timeline),
                holds=open_holds(pipe, timeline),
                draft=encode_clip(pipe, timeline.draft) if timeline.draft else None,
                method=run.method.name,
                options=run.sampler,
                width=settings.width,
                height=settings.height,
                num_frames=timeline.num_frames,
                fps=int(settings.fps),  # whole, as `resolve_run` has checked
                motion_bucket_id=begin,
                end_motion_bucket_id=end,
                noise_aug_strength=settings.noise_aug_strength,
                split_guidance=bool(run.memory.split_guidance),
                decode=run.memory.decode or "streamed",
                decode_chunk_size=run.memory.decode_chunk_size,
                generator=torch.Generator("cpu").manual_seed(settings.seed) if generator is None else generator,
                callback_on_step_end=callback_on_step_end,
                callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            )
    return Sample(list(output.frames[0]), output.latents, output.unet_passes, **cost)


def settle_motion_bucket(
    pipe: InbetweenPipeline, run: SamplingRun, timeline: Timeline, *, progress: bool = False
) -> tuple[SamplingRun, dict[str, Any]]:
    """The run with the motion bucket that suits its keyframes, and how it was found, for the manifest.

    A run that is told a number is left as it is, with nothing to say. The noise of the search is the seed's, drawn
    anew: the clip is the one that is made where the bucket found is said.
    """
    settings = run.settings
    if settings.motion_bucket_id != AUTO:
        return run, {}
    fitted, _ = timeline.fit(settings.width or 0, settings.height or 0, settings.fit)
    with sole_use(pipe.unet):
        apply_memory_options(pipe, run.memory, run.device)
        try:
            found = find_motion_bucket(
                pipe,
                [frames_to_tensor(picture, "keyframe") for picture in fitted.keyframes],
                fitted.positions,
                fitted.num_frames,
                rotate=run.method.needs_motion,
                loop=fitted.loop,
                fps=int(settings.fps),
                noise_aug_strength=settings.noise_aug_strength,
                generator=torch.Generator("cpu").manual_seed(settings.seed),
                progress=progress,
            )
        finally:
            pipe.maybe_free_model_hooks()  # as a run of the pipeline ends
    record = asdict(found) | {"tried": {str(bucket): apart for bucket, apart in found.tried.items()}}  # as JSON has it
    return replace(run, settings=replace(settings, motion_bucket_id=found.bucket)), {"motion_bucket": record}


@contextmanager
def shared_by(pipe: InbetweenPipeline, ranks: Ranks | None) -> Iterator[None]:
    """Let processes share the evaluations of a pipeline for the time of a `with`; the caller has it alone."""
    before = pipe.ranks
    pipe.ranks = before if ranks is None else ranks
    try:
        yield
    finally:
        pipe.ranks = before


def keyframe_arguments(timeline: Timeline) -> dict[str, Any]:
    """The keyframes as `InbetweenPipeline.__call__` takes them."""
    keyframes = dict(zip(timeline.positions, timeline.keyframes, strict=True))
    arguments: dict[str, Any] = {"frame0": keyframes.pop(0), "loop": timeline.loop}
    if not timeline.loop:
        arguments["frame1"] = keyframes.pop(timeline.num_frames - 1)
    strengths = dict(zip(timeline.positions, timeline.strengths, strict=True)) if timeline.strengths else {}
    return arguments | {"between": keyframes, "strengths": strengths}


@torch.no_grad()
def encode_clip(pipe: InbetweenPipeline, frames: Sequence[Image.Image]) -> Tensor:
    """Clean, scaled latents (1, frame, channel, height, width) of pictures of one size, encoded one by one."""
    clean = encode_clean(pipe, [frames_to_tensor(frame, "the clip's frame") for frame in frames])
    return clean.movedim(0, 1)


@torch.no_grad()
def open_holds(pipe: InbetweenPipeline, timeline: Timeline) -> list[Holds]:
    """What the timeline keeps beside its keyframes, as latents with their strength."""
    holds = []
    if timeline.still is not None:
        keys = encode_clip(pipe, timeline.keyframes).movedim(0, 1)
        blends, _ = mean_and_variance(keys, timeline.positions, timeline.num_frames)
        holds.append(Holds(blends, strength_of(timeline.still, blends)))
    if timeline.redraw is not None:
        scene = encode_clip(pipe, timeline.scene)
        holds.append(Holds(scene, strength_of(1 - timeline.redraw, scene)))
    if timeline.context:
        frames = encode_clip(pipe, list(timeline.context.values())).movedim(1, 0)
        kept = dict(zip(timeline.context, frames, strict=True))
        holds.append(Holds.of_frames(kept, timeline.num_frames))
    return holds


def strength_of(mask: NDArray[np.float32], latents: Tensor) -> Tensor:
    """A mask of pixels over the frames of latents: (frame, height, width), each the least of the pixels under it.

    A latent that is kept keeps all of its pixels; the edge belongs to what moves.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(mask)).to(latents)
    factor = pixels.shape[-1] // latents.shape[-1]
    least = -torch.nn.functional.max_pool2d(-pixels[None], factor)
    return least.clamp(0, 1).expand(latents.shape[-4], -1, -1)
