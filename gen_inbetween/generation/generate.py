"""The main path: keyframes in, a clip and its manifest out.

    clip = inbetween("first.png", "last.png", seed=3)
    clip.save("clip.mp4")

open the keyframes -> decide (`resolve`) -> open the model -> fit -> sample or interpolate -> keyframes put back ->
manifest
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from PIL import Image

from gen_inbetween.diffusion.methods import default_method
from gen_inbetween.diffusion.motion_files import check_motion_file
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.auto import (
    DISAGREEMENT,
    DISPLACEMENT,
    HEIGHT,
    choose_method,
    fill_shape,
    lacking_model,
    say_large_motion,
    stand_in,
)
from gen_inbetween.generation.best_of import Halfway, judge, sample_seeds
from gen_inbetween.generation.interpolate import LENGTH, describe_interpolation, interpolate_timeline, open_for
from gen_inbetween.generation.resolve import Places, SamplingRun, approximations, check_fields, configs_of, resolve_run
from gen_inbetween.generation.settings import DEFAULTS, DIFFUSION_ONLY, SAMPLING_FIELDS, Settings, reset
from gen_inbetween.generation.timeline.inputs import (
    lay_timeline,
    open_draft,
    read_keyframes,
    record_inputs,
    start_from_draft,
    warn_of_identical,
)
from gen_inbetween.generation.timeline.regions import open_region
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.generation.transparency import carry_alpha
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame, load_image, open_images
from gen_inbetween.media.writing.options import PLAIN, VideoOptions
from gen_inbetween.models.configs import ModelConfigs, open_configs
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.loading import check_unchanged, fetch_weights, loading_bars, open_pipeline
from gen_inbetween.models.registry import MODELS, ModelSpec, resolve_model
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.checks import LARGEST_SEED
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.devices import open_device
from gen_inbetween.runtime.hashing import tensor_sha256, text_sha256
from gen_inbetween.runtime.hub import BUNDLED
from gen_inbetween.runtime.messages import nearest_names, warn_once

if TYPE_CHECKING:
    from gen_inbetween.diffusion.edm import Generator
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline, OnStepEnd
    from gen_inbetween.diffusion.samplers.parallel import Ranks
    from gen_inbetween.generation.earlier import EarlierClip
    from gen_inbetween.generation.timeline.keyframe import Keyframe
    from gen_inbetween.interpolation.editing.masks import Mask

log = logging.getLogger("gen_inbetween")


def inbetween(
    frame0: Frame | Sequence[Frame | Keyframe],
    frame1: Frame | None = None,
    *,
    # the model and the method
    model: str | os.PathLike[str] = "auto",
    motion: str | os.PathLike[str] | None = "default",
    method: str | None = None,
    interpolator: str | os.PathLike[str] | None = None,
    iters: int | None = None,
    # the clip
    seed: int = 0,
    best_of: int = 1,
    stop_hopeless: bool = False,
    num_frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
    fit: Literal["crop", "pad", "stretch"] = "crop",
    background: tuple[int, int, int] = (255, 255, 255),
    exact_ends: bool = True,
    loop: bool = False,
    still: Mask | None = None,
    draft: Clip | Sequence[Frame] | str | os.PathLike[str] | None = None,
    # what the model is told of it
    fps: float | str = 7,
    motion_bucket_id: int | Literal["auto"] = 127,
    noise_aug_strength: float = 0.02,
    # the machine
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    vram_gb: float | None = None,
    # the file
    video: VideoOptions = PLAIN,
    # your own
    pipeline: InbetweenPipeline | None = None,
    generator: Generator = None,
    callback_on_step_end: OnStepEnd | None = None,
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    progress: bool = True,
    **options: Any,
) -> Clip:
    """Make the video between two keyframes, or through several.

    Args:
        frame0, frame1: keyframes of any size: paths, PIL images, numpy arrays (H, W[, C]), torch tensors (C, H, W). Or
            frame0 is a list of them, evenly spaced, or of `Keyframe(image, position, strength)`, and frame1 is left
            away. The first keyframe's size and aspect are the clip's.
        model ... video: see `Settings`, which gives each one's range; None means "decide for me". Where nothing is
            said and SVD is not here, keyframes beyond 64 x 64 pixels are interpolated at their own size, and the log
            says so; model="pocket-2" samples the small bundled model.
        method: a name of `methods.METHODS` ("gi", "trf", "vibid", "mpd", ...) samples a diffusion model; "interpolate"
            opens none; "auto" interpolates where the motion is tiny (`generation.auto`) and says so.
        loop: the clip goes on from its last frame to the first keyframe: two keyframes or more (one: `loop()`).
        still: a mask of the first keyframe's size: its bright part keeps the keyframes (their linear blend).
        draft: a rough clip as long as this one to start from, a Clip, its frames or its path, or "interpolate":
            `draft_strength` (0.6) says from how much noise on it: 0.3 stays near it, 1 forgets it.
        best_of: so many seeds from `seed` on; the clip with the fewest faults, and likest to the others, is kept
            (`generation.best_of`); what was found in each is in its manifest, and the others are `clip.others`.
            stop_hopeless: a seed that is worse halfway than the best so far was there is broken off; saves passes, and
            costs most of what best_of gains.
        pipeline: an `InbetweenPipeline` of your own in place of model, motion, device, dtype and kernel. How it is
            offloaded stays as it is, unless `offload` asks for another way.
        generator: draws the noise in place of `seed`.
        callback_on_step_end, callback_on_step_end_tensor_inputs: as `InbetweenPipeline.__call__` takes them.
        progress: show a progress bar on stderr.
        options: those of the sampler (`SamplerOptions`: num_inference_steps=25, max_guidance_scale=2.0, ...) and of the
            memory (`MemoryOptions`: decode="all", offload="model", ...).

    Returns:
        A `Clip`: num_frames PIL images with `.fps`, `.manifest` and `.save(path)`. The fitted keyframes stand in their
        places (those of strength 1), unless exact_ends=False. With fit="pad" the bars are cut off again.

    Raises:
        ValueError: a setting out of its range or of another method, a frame that cannot be opened, an unknown model.
        TypeError: a keyword that is no setting.
        MissingMotionError: method="gi" on a model without backward motion.
    """
    settings = read_settings(
        {
            "model": str(model),
            "motion": None if motion is None else str(motion),
            "method": method,
            "interpolator": None if interpolator is None else str(interpolator),
            "iters": iters,
            "seed": seed,
            "best_of": best_of,
            "stop_hopeless": stop_hopeless,
            "num_frames": num_frames,
            "width": width,
            "height": height,
            "fit": fit,
            "background": background,
            "exact_ends": exact_ends,
            "loop": loop,
            "still": str(still) if isinstance(still, str | os.PathLike) else None,
            "draft": str(draft) if isinstance(draft, str | os.PathLike) else None,
            "fps": fps,
            "motion_bucket_id": motion_bucket_id,
            "noise_aug_strength": noise_aug_strength,
            "device": None if device is None else str(device),
            "dtype": None if dtype is None else str(dtype).removeprefix("torch."),
            "vram_gb": vram_gb,
            "video": video,
        },
        options,
    )
    return generate_clip(
        frame0,
        frame1,
        settings,
        own=Own(
            pipeline,
            generator,
            callback_on_step_end,
            callback_on_step_end_tensor_inputs,
            still=None if isinstance(still, str | os.PathLike) else still,
            draft=None if isinstance(draft, str | os.PathLike) else draft,
        ),
        progress=progress,
    )


def read_settings(values: Mapping[str, Any], options: Mapping[str, Any]) -> Settings:
    """The settings of a call; TypeError for an option that is none, which names the nearest."""
    names = [item.name for item in fields(Settings)]
    for name in options:
        if name not in names:
            near = nearest_names(name, names)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(names)}"
            raise TypeError(f"inbetween() takes no {name!r}{hint}")
    return from_mapping(Settings, {**values, **options}, where="inbetween()")


FOUND = ("auto", "motion_bucket")  # parts of a manifest that say how a setting was found, which a replay is told


@dataclass(frozen=True)
class Own:
    """What a caller of `inbetween` brings along, see there."""

    pipeline: InbetweenPipeline | None = None
    generator: Generator = None
    callback_on_step_end: OnStepEnd | None = None
    callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",)
    still: Any = None  # a mask that is no file
    draft: Any = None  # a Clip, or frames
    ranks: Ranks | None = None  # processes that share the clip; this one makes all of it with them

    @property
    def samples(self) -> bool:
        """Whether there is something that only sampling heeds."""
        return any(each is not None for each in (self.pipeline, self.generator, self.callback, self.draft))

    @property
    def callback(self) -> OnStepEnd | None:
        """The callback, unless it only looks on: what watches a run must not decide how its clip is made."""
        callback = self.callback_on_step_end
        return None if getattr(callback, "only_looks", False) else callback


@dataclass(frozen=True)
class Source:
    """The model of a run: a named one, resolved once, or a pipeline that was given."""

    configs: ModelConfigs
    has_motion: bool
    spec: ModelSpec | None  # None: a given pipeline


def generate_clip(
    frame0: Frame | Sequence[Frame | Keyframe],
    frame1: Frame | None,
    settings: Settings,
    *,
    own: Own = Own(),  # noqa: B008 (frozen)
    progress: bool = True,
    earlier: EarlierClip | None = None,
) -> Clip:
    """`inbetween` for settings that were read; every clip comes through here.

    earlier: the clip that is made again: its keyframes and weights must be the same (ManifestError), and what was
        decided then is not decided anew.
    """
    check_fields(settings)
    check_own(settings, own)
    keyframes = read_keyframes(frame0, frame1)
    clear = open_images(keyframe.image for keyframe in keyframes)  # RGBA where one is transparent
    pictures = [load_image(picture, background=settings.background) for picture in clear]
    if settings.background != DEFAULTS["background"]:
        clear = pictures  # a background is asked for, so it is seen
    still = own.still if settings.still is None else settings.still
    region = None if still is None else open_region(still, pictures[0].size)
    draft = open_draft(own.draft if settings.draft is None else settings.draft, settings)
    parts: dict[str, Any] = {"frames": record_inputs(keyframes, pictures, still, region, settings, draft)}
    if earlier:
        earlier.check_keyframes(parts["frames"])
        parts |= {name: earlier.manifest[name] for name in FOUND if name in earlier.manifest}
    warn_of_identical(parts["frames"], len(keyframes), settings.loop)
    settings = start_from_draft(settings, draft)
    source, interpolator = None, None
    lacking = None if own.samples else lacking_model(settings, pictures)
    if lacking is not None:
        interpolator = open_for(settings)
        settings, parts["auto"] = stand_in(settings, pictures, lacking, interpolator)
    elif settings.method == AUTO:
        source, interpolator = open_source(settings, own), open_for(settings)
        settings, parts["auto"] = choose_method(pictures, settings, source.configs, source.has_motion, interpolator)
    if settings.method == INTERPOLATE:
        if interpolator is None:
            interpolator = open_for(settings, earlier.manifest["interpolator"] if earlier else None)
            if earlier is None:
                say_large_motion(pictures, settings, interpolator)
    else:
        source = source or open_source(settings, own)
    usual = LENGTH if source is None else source.configs.num_frames
    seen = clear if settings.method == INTERPOLATE else pictures
    timeline = lay_timeline(keyframes, seen, settings, usual, still=region, draft=draft)
    settings = replace(settings, num_frames=timeline.num_frames)  # positions may have said it
    if not timeline.plain:
        places = {"position": timeline.positions, "strength": timeline.strengths}
        for number, frame in enumerate(list(parts["frames"].values())[: len(keyframes)]):
            frame |= {name: values[number] for name, values in places.items()}
    candidates = make_candidates(timeline, settings, source, own, progress, interpolator, earlier)
    if settings.method != INTERPOLATE and clear[0].mode == "RGBA":
        sizes = {name: candidates[0][1]["settings"][name] for name in ("width", "height")}
        fitted = replace(settings, **sizes)
        candidates = [(carry_alpha(frames, timeline, clear, fitted), more) for frames, more in candidates]
    frames, more = candidates[0]
    parts |= more
    if earlier:
        parts["settings"] = {**parts["settings"], "fps": earlier.fps}
        parts["replay"] = earlier.compare(parts)
    clip = Clip(frames, parts["settings"]["fps"], manifests.record(**parts), settings.video)
    clip.others = tuple(Clip(frames, clip.fps, manifests.record(**parts | more)) for frames, more in candidates[1:])
    return clip


def make_candidates(
    timeline: Timeline,
    settings: Settings,
    source: Source | None,
    own: Own,
    progress: bool,
    interpolator: FrameInterpolator | None = None,
    earlier: EarlierClip | None = None,
) -> list[tuple[list[Image.Image], dict[str, Any]]]:
    """The frames of a timeline by every seed, the one to keep first, and the parts of the manifest that each knows.

    source: of a method that samples. interpolator: of method interpolate; None: that of the settings.
    """
    if settings.method == INTERPOLATE:
        return [interpolate_timeline(timeline, settings, interpolator or open_for(settings), progress)]
    assert source is not None
    timeline.check_lengths(source.configs)
    if settings.draft == INTERPOLATE:
        draft, _ = interpolate_timeline(timeline, reset(settings, DIFFUSION_ONLY), open_for(settings), progress)
        timeline = replace(timeline, draft=tuple(draft))
    with loading_bars(progress):
        pipe, run, weights = open_run(settings, source, own, timeline.places, earlier)
    found: dict[str, Any] = {}
    if run.settings.motion_bucket_id == AUTO:
        from gen_inbetween.generation.sample import settle_motion_bucket  # here: see `sample_timeline`

        run, found = settle_motion_bucket(pipe, run, timeline, progress=progress)
        log.warning("motion bucket %d, where the two motions agree best", run.settings.motion_bucket_id)
    candidates = sample_seeds(run, lambda each, rival: sample_timeline(timeline, pipe, each, own, progress, rival))
    if source.spec is not None:
        check_unchanged(pipe)
    return [(frames, more | weights | found) for frames, more in candidates]


def check_own(settings: Settings, own: Own) -> None:
    """ValueError where a setting would go unheard beside what the caller brings along, or the other way round."""
    generator = own.generator
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(f"expected one torch.Generator for one clip, got {type(generator).__name__}")
    if own.pipeline is not None:
        from gen_inbetween.diffusion.pipeline import InbetweenPipeline

        if not isinstance(own.pipeline, InbetweenPipeline):
            raise ValueError(
                f"expected pipeline as an InbetweenPipeline, got {type(own.pipeline).__name__}: open a model by "
                "InbetweenPipeline.from_pretrained(NAME or FOLDER), or another pipeline by from_pipe"
            )
        for name in ("model", "motion", "device", "dtype", "kernel"):
            if getattr(settings, name) != DEFAULTS[name]:
                raise ValueError(f"{name} belongs to opening a model, and this pipeline is open: leave one away")
    if settings.best_of > 1 and (generator is not None or own.callback is not None):
        raise ValueError("best_of takes seeds, one after the other: leave generator and callback away")
    if settings.seed + settings.best_of > LARGEST_SEED + 1:
        raise ValueError(
            f"best_of takes the seeds {settings.seed} to {settings.seed + settings.best_of - 1}; the largest is "
            f"{LARGEST_SEED}: begin with a smaller one"
        )
    if settings.stop_hopeless and settings.best_of == 1:
        raise ValueError("stop_hopeless is for several seeds: say best_of too, or leave it away")
    if settings.method == INTERPOLATE and own.samples:
        raise ValueError("pipeline, generator, callbacks and drafts belong to sampling, got method interpolate")


def open_source(settings: Settings, own: Own) -> Source:
    """What is sampled: a model's configurations; no weights are loaded."""
    if own.pipeline is not None:
        from gen_inbetween.diffusion.motion import has_backward_motion

        return Source(configs_of(own.pipeline), has_backward_motion(own.pipeline.unet), None)
    open_device(settings.device)  # before anything is fetched
    spec = resolve_model(settings.model)
    if spec.name in BUNDLED:
        warn_once(f"{spec.name}: {spec.width} x {spec.height} pixels, drawn things; photographs are beyond it")
    motion = spec.motion_file(settings.motion)
    if motion is not None:
        check_motion_file(motion)
    return Source(open_configs(spec), motion is not None, spec)


def open_run(
    settings: Settings,
    source: Source,
    own: Own,
    places: Places | None = None,
    earlier: EarlierClip | None = None,
) -> tuple[InbetweenPipeline, SamplingRun, dict[str, Any]]:
    """The pipeline, what it is to do, and its weights as a manifest names them (parts "model" and "motion").

    places: of a clip through several keyframes; None: it has two, at its ends.
    """
    if own.pipeline is not None:
        settings = replace(settings, **settings_of_pipeline(own.pipeline))
    memory = earlier.memory if earlier else None
    run = resolve_run(settings, source.configs, has_motion=source.has_motion, memory=memory, places=places)
    if source.spec is None:
        assert own.pipeline is not None
        pipe, model = own.pipeline, {"name": source.configs.name, "sha256": None, "license": None}
        memory = replace(run.memory, offload=settings.offload, forward_chunking=settings.forward_chunking)
        run = replace(run, memory=memory)  # None: as the pipeline is
    else:
        spec = fetch_weights(source.spec)
        opening: dict[str, Any] = {
            "device": run.device,
            "dtype": run.dtype,
            "motion": settings.motion,
            "kernel": run.memory.kernel,
        }
        sha256 = folder_sha256(spec.source, again=earlier is not None)  # what was kept is not believed in a replay
        pipe = open_pipeline(spec, **opening)
        changed = (pipe.motion is not None) != source.has_motion or scale_of(pipe) not in (None, 1)
        if changed or pipe.weights_sha256 != sha256:
            pipe = open_pipeline(spec, **opening, shared=False)  # somebody changed the motion of the one that is kept
        model = {"name": spec.name, "sha256": pipe.weights_sha256, "license": spec.license}
        run = replace(run, settings=replace(run.settings, **lasting_names(source.spec, settings.motion)))
    motion = describe_motion(pipe)
    if earlier:
        earlier.check_weights(model, motion)
    return pipe, run, {"model": model, "motion": motion}


def scale_of(pipe: InbetweenPipeline) -> float | None:
    """The scale of a pipeline's backward motion; None: it has none."""
    from gen_inbetween.diffusion.motion import get_motion_scale, has_backward_motion

    return get_motion_scale(pipe.unet) if has_backward_motion(pipe.unet) else None


def describe_motion(pipe: InbetweenPipeline) -> dict[str, Any] | None:
    """The backward motion of a pipeline as a manifest names it; one that came without a file by its tensors."""
    scale = scale_of(pipe)
    if scale is None:
        return None
    if pipe.motion is not None:
        return {"sha256": pipe.motion.sha256, "format": pipe.motion.format, "scale": scale}
    from gen_inbetween.diffusion.motion import motion_state_dict

    tensors = motion_state_dict(pipe.unet)
    sha256 = text_sha256("".join(f"{name}{tensor_sha256(tensors[name])}" for name in sorted(tensors)))
    return {"sha256": sha256, "format": None, "scale": scale}


def sample_timeline(
    timeline: Timeline,
    pipe: InbetweenPipeline,
    run: SamplingRun,
    own: Own,
    progress: bool,
    rival: float | None = None,
) -> tuple[list[Image.Image], dict[str, Any]]:
    """The frames of a clip, sampled, and the parts of its manifest that sampling knows.

    rival: of several seeds with `stop_hopeless`, what the best so far came to halfway.
    """
    from gen_inbetween.generation.sample import sample  # here: what is interpolated waits for no diffusers

    settings = run.settings
    timeline, geometry = timeline.fit(settings.width or 0, settings.height or 0, settings.fit)
    callback, tensors = own.callback_on_step_end, own.callback_on_step_end_tensor_inputs
    halfway = Halfway(run, rival, timeline.ends, callback) if settings.stop_hopeless else None
    if halfway is not None:
        names = () if callback is None else tensors
        callback, tensors = halfway, tuple(dict.fromkeys((*names, "denoised")))
    clip = sample(
        pipe,
        run,
        timeline,
        generator=own.generator,
        callback_on_step_end=callback,
        callback_on_step_end_tensor_inputs=tensors,
        progress=progress,
        ranks=own.ranks,
    )
    frames = timeline.put_back(clip.frames, exact=settings.exact_ends)
    interference: dict[str, Any] = (
        {} if callback is None or getattr(callback, "only_looks", False) else {"callback": True}
    )
    segments = len(timeline.segments)
    planned = run.method.unet_passes(run.sampler, segments, len(timeline.windows) - segments)
    if clip.unet_passes < planned and not run.sampler.renoise_tolerance:
        interference["interrupted"] = True
    if settings.best_of > 1:
        candidate = judge(clip.frames, timeline.ends, settings.seed, clip.unet_passes)
        interference["candidate"] = replace(candidate, halfway=halfway.badness if halfway else None)
    record = {name: getattr(settings, name) for name in SAMPLING_FIELDS}
    if own.pipeline is not None:
        record |= {"model": None, "motion": None}  # nothing was opened by a name
    return [geometry.undo(frame) for frame in frames], interference | {
        "settings": record | ({"seed": None} if own.generator is not None else {}),
        "memory": asdict(run.memory),
        "unet_passes": clip.unet_passes,
        "approximations": approximations(run.method, run.sampler, run.memory),
        "latents_sha256": tensor_sha256(clip.latents),
        "seconds": clip.seconds,
        "peak_memory": clip.peak_memory,
    }


def settings_of_pipeline(pipe: InbetweenPipeline) -> dict[str, Any]:
    """The device and dtype of an open pipeline, as settings."""
    return {"device": str(pipe._execution_device), "dtype": str(pipe.unet.dtype).removeprefix("torch.")}


def lasting_names(spec: ModelSpec, motion: str | None) -> dict[str, Any]:
    """What opens the same model and motion from any working folder: a name, a hub id, or where the folder is."""
    names = {"model": spec.source if spec.name not in MODELS and Path(spec.name).exists() else spec.name}
    if motion not in (None, "default"):
        names["motion"] = str(Path(os.path.expanduser(str(motion))).resolve())
    return names


def describe_plan(settings: Settings) -> tuple[str, str | None]:
    """What "interpolate" or "auto" will take, in words, and the method that samples the other pairs (None: none).

    ValueError for settings of another method.
    """
    check_fields(settings)
    interpolator: FrameInterpolator = open_for(settings)
    if settings.method == INTERPOLATE:
        return describe_interpolation(interpolator, settings), None
    source = open_source(settings, Own())
    line = describe_interpolation(interpolator, fill_shape(settings, source.configs))
    sampler = default_method(source.has_motion)
    limits = f"{DISPLACEMENT:g} px of {HEIGHT}, unexplained below {DISAGREEMENT:g} grey levels"
    return f"where the motion is tiny (below {limits}):\n{line}\notherwise {sampler}:", sampler
