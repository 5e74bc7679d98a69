"""Bridges between clips, loops, retakes: what is there stays, the gap is generated.

bridge("a.mp4", "b.mp4", num_frames=17).save("both.mp4")
loop("walk.mp4").save("loop.mp4")          # or of one picture
retake("walk.mp4", 12, 30, mask="face.png").save("again.mp4")
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.earlier import check_join, find_source
from gen_inbetween.generation.generate import Own, check_own, make_candidates, open_source, read_settings
from gen_inbetween.generation.resolve import check_fields
from gen_inbetween.generation.settings import DEFAULTS, DIFFUSION_ONLY, Settings, reset, settings_of_manifest
from gen_inbetween.generation.timeline.inputs import path_of
from gen_inbetween.generation.timeline.joining import (
    JoinError,
    Maker,
    bridge_clips,
    check_context,
    check_count,
    close_loop,
    loop_gap,
    retake_clip,
)
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame, FrameError, load_image, open_images
from gen_inbetween.media.reading.sequences import IMAGE_SUFFIXES
from gen_inbetween.media.tracks.listing import list_tracks
from gen_inbetween.media.video import open_source as open_video_source
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.checks import check_switch
from gen_inbetween.runtime.hashing import images_sha256
from gen_inbetween.runtime.manifest import ManifestError

if TYPE_CHECKING:
    from PIL import Image

    from gen_inbetween.interpolation.editing.masks import Mask

log = logging.getLogger("gen_inbetween")

ClipSource: TypeAlias = Union[Clip, "Sequence[Frame]", str, "os.PathLike[str]"]
OWN = ("pipeline", "generator", "callback_on_step_end", "callback_on_step_end_tensor_inputs")
VALUES = (
    "num_frames",
    "context",
    "match_colour",
    "carry_pace",
    "even_pace",
    "start",
    "end",
)  # of "join": what was asked for
SHAPE = ("width", "height", "fit", "fps")  # settings that "join" keeps as they were asked for
NOT_OF_A_JOIN = ("num_frames", "loop", "still", "draft", "draft_strength", "start_sigma", "exact_ends")


def bridge(
    clip_a: ClipSource,
    clip_b: ClipSource,
    *,
    num_frames: int = 17,
    context: int = 1,
    match_colour: bool = True,
    carry_pace: bool = True,
    progress: bool = True,
    **settings: Any,
) -> Clip:
    """Fill the gap between two clips.

    Args:
        clip_a, clip_b: Clips, lists of frames, or paths of videos, animations or folders of frames, of one size.
        num_frames: frames between them, at least 1.
        context: frames of either clip that the gap is generated with, at least 1. More are kept, and yet lead the gap
            astray, see `timeline.joining`.
        carry_pace: measure the pace of both clips, and begin and end the gap with it.
        match_colour: bring the gap's colours to those of the frames beside it, see `timeline.colour`.
        settings: of `inbetween`: model, method, seed, num_inference_steps, pipeline, ...

    Returns:
        clip_a, the gap, clip_b; the frames of both clips as they were, pixel for pixel, and where the rate varies at
        their times. `manifest["join"]` says where the gap is.

    Raises:
        JoinError: a clip shorter than its context, two sizes, two rates, a window that the model cannot do.
        VideoError, FrameError: a clip cannot be read. ValueError, TypeError: a setting, as `inbetween`.
    """
    check_switches(match_colour=match_colour, carry_pace=carry_pace)
    a, b = open_clip(clip_a), open_clip(clip_b)
    if a.fps != b.fps:
        raise JoinError(f"expected two clips of one rate, got {a.fps:g} and {b.fps:g} fps: retime one of them first")
    maker = open_maker(settings, progress)
    values: dict[str, Any] = {
        "num_frames": num_frames,
        "context": context,
        "match_colour": match_colour,
        "carry_pace": carry_pace,
    }
    opened = open_images([*a.frames, *b.frames])
    frames, parts = bridge_clips(opened[: len(a)], opened[len(a) :], maker, **values)
    sources = {"clip_a": describe(clip_a, a), "clip_b": describe(clip_b, b)}
    clip = finish("bridge", frames, a.fps, parts, sources, values, maker)
    return at_times(clip, [a, num_frames, b])


def loop(
    source: ClipSource | Frame,
    *,
    num_frames: int | None = None,
    context: int = 1,
    match_colour: bool = True,
    carry_pace: bool = True,
    even_pace: bool = True,
    progress: bool = True,
    **settings: Any,
) -> Clip:
    """Make a loop of a clip, or of one picture: from its last frame to its first is one more step.

    Args:
        source: a clip as `bridge` takes it; or a picture, which first moves by method svd.
        num_frames: of the whole loop; None: the clip and a gap that fills the model's usual length.
        context, match_colour, carry_pace, settings: see `bridge`.
        even_pace: space the frames of the gap evenly along their way, so that it neither waits nor hurries.

    Returns:
        The clip as it was, then the gap. `manifest["join"]["ratio"]` is the last step over the median step.

    Raises:
        As `bridge`; JoinError: no frame left for the gap, or a picture by method "interpolate", which cannot move it.
    """
    check_switches(match_colour=match_colour, carry_pace=carry_pace, even_pace=even_pace)
    maker = open_maker(settings, progress)
    clip, picture = open_loop_source(source, settings)
    values: dict[str, Any] = {"context": context, "match_colour": match_colour, "carry_pace": carry_pace}
    more: dict[str, Any] = {}
    if picture is not None:
        clip, more = move_picture(picture, num_frames, context, maker)
    assert clip is not None
    frames, parts = close_loop(open_images(clip.frames), maker, num_frames=num_frames, even=even_pace, **values)
    parts["unet_passes"] += more.get("unet_passes", 0)
    parts["seconds"] += more.get("seconds", 0)
    name = "clip" if picture is None else "picture"
    described = describe(source, clip) if picture is None else describe(source, Clip([picture], clip.fps))
    values |= {"num_frames": num_frames, "even_pace": even_pace}
    closed = finish("loop", frames, clip.fps, parts, {name: described}, values, maker)
    return at_times(closed, [clip, len(frames) - len(clip)])


def retake(
    clip: ClipSource,
    start: int,
    end: int,
    *,
    context: int = 1,
    mask: Mask | None = None,
    match_colour: bool = True,
    carry_pace: bool = True,
    progress: bool = True,
    **settings: Any,
) -> Clip:
    """Make the frames start to end - 1 of a clip anew.

    Args:
        clip: as `bridge` takes it.
        start, end: 0 < start < end < len(clip): a frame is kept on either side.
        context: frames on either side that the stretch is generated with; fewer where the clip has fewer.
        mask: of the clip's size: only its bright part is made anew, with a soft edge; the rest stays pixel for pixel.
        match_colour, carry_pace, settings: see `bridge`.

    Returns:
        A clip of the same length; its other frames as they were.

    Raises:
        As `bridge`; JoinError: a stretch that is not inside the clip. MaskError: a mask of another size.
    """
    check_switches(match_colour=match_colour, carry_pace=carry_pace)
    opened = open_clip(clip)
    maker = open_maker(settings, progress)
    values: dict[str, Any] = {"context": context, "match_colour": match_colour, "carry_pace": carry_pace}
    frames, parts = retake_clip(open_images(opened.frames), start, end, maker, mask=mask, **values)
    sources = {"clip": describe(clip, opened)}
    if mask is not None:
        sources["mask"] = {"path": path_of(mask)}
    again = finish("retake", frames, opened.fps, parts, sources, values | {"start": start, "end": end}, maker)
    again.plays = opened.plays
    return at_times(again, [opened])


def check_switches(**values: Any) -> None:
    """ValueError: one of them is neither True nor False."""
    for name, value in values.items():
        check_switch(name, value)


def open_clip(source: ClipSource) -> Clip:
    """The clip itself, that of a path, or of frames at inbetween's usual rate; says what sound stays behind."""
    if isinstance(source, Clip):
        return source
    if isinstance(source, str | os.PathLike):
        clip = Clip.open(source)
        tracks = [str(track) for track in list_tracks(open_video_source(source)).tracks if track.kind != "video"]
        if tracks:
            log.warning("%s: left out: %s; a gap has none", source, ", ".join(tracks))
        return clip
    if isinstance(source, Sequence):
        return Clip(source, Settings.fps)
    raise JoinError(f"expected a Clip, a list of frames or a path, got {type(source).__name__}")


def open_loop_source(source: Any, settings: dict[str, Any]) -> tuple[Clip | None, Image.Image | None]:
    """(clip, None), or (None, picture) for one picture: an image, an array (H, W[, C]), or a path of an image file."""
    if isinstance(source, str | os.PathLike):
        try:
            clip = open_clip(source)
        except ValueError as no_clip:
            try:
                return None, load_image(source)
            except FrameError:
                if Path(source).suffix.lower() in IMAGE_SUFFIXES:
                    raise
                raise no_clip from None  # a film that cannot be read
        return (clip, None) if len(clip) > 1 else (None, clip[0])
    if isinstance(source, Clip) or isinstance(source, list | tuple):
        return open_clip(source), None
    try:
        return None, load_image(source)
    except FrameError as error:
        raise JoinError(f"expected a clip or a picture to loop: {error}") from error


def open_maker(keywords: dict[str, Any], progress: bool) -> Maker:
    """What makes the frames of a gap under these keywords of `inbetween`.

    TypeError: a keyword that is none. JoinError: one that a gap has no use for. ValueError: a setting out of its range.
    """
    if unused := sorted(set(keywords) & set(NOT_OF_A_JOIN)):
        raise JoinError(f"{', '.join(unused)}: of inbetween(); a bridge, loop or retake keeps what is there as it is")
    own = Own(**{name: keywords[name] for name in OWN if name in keywords})
    plain = {name: value for name, value in keywords.items() if name not in OWN}
    for name in ("model", "motion", "interpolator", "device"):
        if plain.get(name) is not None:
            plain[name] = str(plain[name])
    if plain.get("dtype") is not None:
        plain["dtype"] = str(plain["dtype"]).removeprefix("torch.")
    settings = read_settings(plain, {})
    check_fields(settings)
    check_own(settings, own)
    if settings.method in (AUTO, "svd"):
        raise JoinError(f"method {settings.method}: expected gi, trf, vibid or interpolate, which know both sides")
    if settings.method == INTERPOLATE and (settings.width or settings.height):
        raise JoinError("a gap that is interpolated has the size of the clips: leave width and height away")
    source = None if settings.method == INTERPOLATE else open_source(settings, own)

    def make(window: Timeline, chosen: Settings) -> tuple[list[Image.Image], dict[str, Any]]:
        return make_candidates(window, chosen, source, own, progress)[0]

    return Maker(settings, None if source is None else source.configs, make)


def move_picture(
    picture: Image.Image, num_frames: int | None, context: int, maker: Maker
) -> tuple[Clip, dict[str, Any]]:
    """A clip that begins with the picture and moves, by method svd, half of the loop long."""
    if maker.configs is None:
        raise JoinError("method interpolate cannot move one picture: expected a method that samples, or a clip")
    if num_frames is not None:
        check_count("num_frames", num_frames)
    check_context(context, {})
    usual = maker.configs.num_frames
    count = usual if num_frames is None else max(num_frames - num_frames // 2, context, 3)
    count = min(count, maker.configs.longest)
    loop_gap(count, maker, num_frames, context)  # before the picture moves, which takes as long as the gap
    settings = reset(maker.settings, tuple(name for name in DIFFUSION_ONLY if name in SAMPLER_OF_TWO))
    settings = replace(settings, method="svd", num_frames=count, exact_ends=False)
    if maker.settings.num_inference_steps:
        settings = replace(settings, num_inference_steps=maker.settings.num_inference_steps)
    frames, parts = maker.make(Timeline((picture, picture), (0, count - 1), count), settings)
    fitted = frames[0].size
    first = Timeline((picture,), (0,), 1).fit(*fitted, maker.settings.fit)[0].keyframes[0]
    return Clip([first, *frames[1:]], settings.fps), parts


SAMPLER_OF_TWO = (  # options of methods that know both sides, which svd does not take
    "min_guidance_scale", "max_guidance_scale", "fusion", "renoise_steps", "renoise_ratio", "renoise_span",
    "cfg_plus_plus", "pin_ends",
)  # fmt: skip


def describe(source: Any, clip: Clip) -> dict[str, Any]:
    """A clip as a manifest names it."""
    return {"path": path_of(source), "frames": len(clip), "frames_sha256": images_sha256(clip.frames)}


def finish(
    kind: str,
    frames: list[Image.Image],
    fps: float,
    parts: dict[str, Any],
    sources: dict[str, Any],
    values: dict[str, Any],
    maker: Maker,
) -> Clip:
    """The clip with its manifest."""
    colours = parts.pop("match_colour", None)
    shape = {name: getattr(maker.settings, name) for name in SHAPE}
    asked = {name: value for name, value in shape.items() if value != DEFAULTS[name]}
    join = {"kind": kind, **values, "asked": asked, **parts.pop("join")} | ({"colours": colours} if colours else {})
    parts["settings"] = {**parts["settings"], "fps": fps}
    parts["frames_sha256"] = images_sha256(frames)
    return Clip(frames, fps, manifests.record(source=sources, join=join, **parts), maker.settings.video)


def at_times(clip: Clip, parts: Sequence[Clip | int]) -> Clip:
    """The clip with its frames at the times of the clips it consists of; a gap of so many frames is even.

    A film of varying rate (a phone's, a screen recording) keeps its times so.
    """
    if not any(isinstance(part, Clip) and part.starts for part in parts):
        return clip
    starts = [0.0]
    for part in parts:
        own = part.starts if isinstance(part, Clip) else None
        count = len(part) if isinstance(part, Clip) else part
        begin = starts[-1]
        starts += [begin + second for second in (own or [n / clip.fps for n in range(count + 1)])[1:]]
    clip.starts = tuple(starts)
    return clip


def is_join(path: str | os.PathLike[str]) -> bool:
    """Whether a manifest is that of a bridge, loop or retake. ManifestError: it is none at all."""
    return "join" in manifests.read(path)


def replay_join(
    path: str | os.PathLike[str],
    *,
    clips: Sequence[ClipSource] | None = None,
    mask: Mask | None = None,
    **keywords: Any,
) -> Clip:
    """Make a bridge, loop or retake again from its manifest; `manifest["replay"]` says whether its frames are equal.

    Args:
        path: the clip, or the JSON file beside it.
        clips: what it was made from, where that is no longer at its path or never was a file; mask: likewise.
        keywords: pipeline and progress, as `bridge` takes them.

    Raises:
        ManifestError: no manifest of these three, clips that are missing or have changed.
    """
    manifest = manifests.read(path)
    if manifest.get("join") is None:
        raise ManifestError(f"{path}: expected the manifest of a bridge, a loop or a retake")
    names, join, sources = check_join(manifest, str(path)), manifest["join"], manifest["source"]
    if clips is not None and len(clips) != len(names):
        raise ManifestError(f"{path}: made from {len(names)} clips, got {len(clips)}")
    given = clips or [find_source(name, manifest, str(path), "clips=, or --clip FILE for each") for name in names]
    chosen = {name: value for name, value in settings_of_manifest(manifest).items() if name not in NOT_OF_A_JOIN}
    chosen = {name: value for name, value in chosen.items() if name in DEFAULTS and value != DEFAULTS[name]}
    chosen = {name: value for name, value in chosen.items() if name not in SHAPE} | join["asked"]
    if "pipeline" in keywords:
        for name in ("model", "motion", "device", "dtype"):
            chosen.pop(name, None)
    values = {"carry_pace": False} | {name: join[name] for name in VALUES if name in join}  # it was not known once
    if "mask" in sources:
        values["mask"] = find_source("mask", manifest, str(path), "mask=, or --mask FILE") if mask is None else mask
    make: Any = {"bridge": bridge, "loop": loop, "retake": retake}[join["kind"]]
    clip: Clip = make(*given, **values, **chosen, **keywords)
    for name in names:
        if clip.manifest["source"][name]["frames_sha256"] != sources[name].get("frames_sha256"):
            raise ManifestError(f"{path}: {name} has changed since: other frames than it was made from")
    equal = clip.manifest["frames_sha256"] == manifest["frames_sha256"]
    clip.manifest["replay"] = {"of": str(path), "frames_equal": equal}
    return clip
