"""Keyframe style propagation: learn a style from painted frames, translate the whole film.

    clip = stylize("walk.mp4", {12: "painted.png"}, minutes=2)          # a short film, in memory
    stylize_video("walk.mp4", "out.mp4", {12: "painted.png"})            # any length, with its sound
    watch_video("walk.mp4", "out.mp4", {12: Path("painted.png")}, preview=Path("look.png"))    # paint, and watch

Frames are translated one by one and in any order; nothing is handed from frame to frame, so that nothing drifts.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen_inbetween.interpolation.baselines import Still
from gen_inbetween.interpolation.film import film_tensor
from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.registry import load_interpolator, motion_device
from gen_inbetween.media.clip import Clip, uneven_times
from gen_inbetween.media.frames.colour import SDR
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.image import Frame, open_images
from gen_inbetween.media.reading.decoding import Interlaced
from gen_inbetween.media.reading.sequences import source_sha256, with_images
from gen_inbetween.media.segments import Segments
from gen_inbetween.media.source import DEFAULT_RATE
from gen_inbetween.media.times.rates import exact_rate
from gen_inbetween.media.tracks.plan import plan_tracks
from gen_inbetween.media.video import open_source
from gen_inbetween.media.video_writer import check_video_output, plan_output, write_planned
from gen_inbetween.media.writing.options import PLAIN, VideoOptions
from gen_inbetween.media.writing.outputs import place_of
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.devices import open_device
from gen_inbetween.runtime.hashing import images_sha256, state_sha256
from gen_inbetween.runtime.outputs import check_output, path_beside, reserved, reserving
from gen_inbetween.runtime.progress import track
from gen_inbetween.stylize.guides import Estimator, Flow, flow_between
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.learning import OnLook, learn
from gen_inbetween.stylize.lesson import Lesson, prepare, translated
from gen_inbetween.stylize.live import watch
from gen_inbetween.stylize.model_file import open_style
from gen_inbetween.stylize.model_file import save as save_style
from gen_inbetween.stylize.sequence import Film, Keys, PaintedKey, Picture, Sequence256, read_keys, sequence_of
from gen_inbetween.stylize.settings import DIS, StyleError, StyleSettings

log = logging.getLogger("gen_inbetween")


def stylize(
    video: str | os.PathLike[str] | Sequence[Frame],
    keyframes: Keys,
    masks: Mapping[int, Frame] | None = None,
    *,
    settings: StyleSettings | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    hold_out: int | None = None,
    device: str | torch.device | None = None,
    model_file: str | os.PathLike[str] | None = None,
    on_look: OnLook | None = None,
    progress: bool = True,
) -> Clip:
    """Spread the style of painted frames over a clip.

    Args:
        video: a film's path, a `Clip`, or frames of one size; all in memory (`stylize_video` takes any length).
        keyframes: painted pictures by number of their frame; of the film's size; what is transparent in one is not
            painted. Several are learnt together.
        masks: by number; white where the frame is painted.
        settings: how it is learnt. minutes, steps: instead of the settings' own; who names `steps` and enough minutes
            gets the same clip again on the same machine.
        seed: of the first weights, patches and guides.
        hold_out: a painted keyframe that judges the network instead of being learnt from.
        model_file: where the style is kept; a run that was stopped goes on from it.
        on_look: called every few steps with (Look, function that draws a preview); returning True ends learning.

    Returns:
        The clip, whose manifest says what was learnt, how long, and how well.

    Raises:
        StyleError, VideoError, FrameError: input that does not fit, before any learning.
    """
    clip = video if isinstance(video, Clip) else _clip_of(video)
    told = _settings(settings, minutes, steps)
    frames = clip.frames
    film = Film(lambda: iter(frames), len(frames))
    keys = read_keys(keyframes, masks, film.size, film.count)
    digest = images_sha256(frames)
    sequence = sequence_of(digest, keys)
    lesson = prepare(film, keys, told, seed, hold_out, open_estimator(told.optical_flow, device), progress=progress)
    file = None if model_file is None else Path(model_file)
    with nullcontext() if file is None else reserved(file):
        learner = learn(
            lesson, told, seed, open_device(device), sequence=sequence, file=file, on_look=on_look, progress=progress
        )
    drawn = track(translated(film, learner.best_network(), lesson, told), "translating", len(frames), shown=progress)
    manifest = manifests.record(source={"sha256": digest}, **_said(learner, keys, sequence, hold_out))
    return Clip(drawn, clip.fps, manifest, starts=clip.starts, plays=clip.plays)


@reserving(place_of)
def stylize_video(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    keyframes: Keys,
    masks: Mapping[int, Frame] | None = None,
    *,
    settings: StyleSettings | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    hold_out: int | None = None,
    device: str | torch.device | None = None,
    model_file: str | os.PathLike[str] | None = None,
    folder_rate: float | str | None = None,
    interlaced: Interlaced = "deinterlace",
    on_look: OnLook | None = None,
    overwrite: bool = False,
    progress: bool = True,
    video: VideoOptions = PLAIN,
) -> dict[str, Any]:
    """`stylize` from file to file in constant memory, with the film's sound and all else that goes along.

    Args:
        path: a video, an animation, a folder of frames, or a pattern.
        out: a video, an animation, or a folder of PNG files.
        model_file: where the style is kept; None: <out>.style.safetensors. A run that was stopped goes on, both with
            learning and with frames.
        others: as `stylize` and `retime_video` have them.

    Returns:
        The manifest, which stands inside the output and beside it.

    Raises:
        StyleError, VideoError, FrameError, OutputError: before any learning.
    """
    path, out, told = Path(path), Path(out), _settings(settings, minutes, steps)
    file = path_of_style(out) if model_file is None else Path(model_file)
    _check_outputs(out, file, [path, *_paths(keyframes), *_paths(masks)], overwrite)
    opened = open_device(device)
    work = _Work(path, out, video, folder_rate, interlaced)
    keys = read_keys(keyframes, masks, work.film.size, work.film.count)
    sequence = sequence_of(work.sha256, keys)
    estimate = open_estimator(told.optical_flow, device)
    lesson = prepare(work.film, keys, told, seed, hold_out, estimate, progress=progress)
    with reserved(file):  # two films may name one file
        learner = learn(lesson, told, seed, opened, sequence=sequence, file=file, on_look=on_look, progress=progress)
    return work.write_learnt(learner, lesson, _said(learner, keys, sequence, hold_out), progress)


@reserving(place_of)
def watch_video(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    keyframes: Mapping[int, Path],
    masks: Mapping[int, Path] | None = None,
    *,
    preview: Path,
    settings: StyleSettings | None = None,
    seed: int = 0,
    hold_out: int | None = None,
    device: str | torch.device | None = None,
    model_file: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: bool = True,
    video: VideoOptions = PLAIN,
    until: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """`stylize_video` that learns on whenever a painted file is saved, until Ctrl-C; then it writes the film.

    Args:
        preview: rewritten every few seconds. until: asked now and then whether to end.
        others: as `stylize_video` has them.
    """
    path, out, told, masks = Path(path), Path(out), _settings(settings, None, None), masks or {}
    file = path_of_style(out) if model_file is None else Path(model_file)
    _check_outputs(out, file, [path, *keyframes.values(), *masks.values()], overwrite)
    opened = open_device(device)
    work = _Work(path, out, video, None, "deinterlace")
    with reserved(file):
        learner, lesson, keys = watch(
            work.film,
            keyframes,
            masks,
            told,
            seed,
            opened,
            preview,
            open_estimator(told.optical_flow, device),
            hold_out=hold_out,
            until=until,
            progress=progress,
        )
        sequence = sequence_of(work.sha256, keys)
        save_style(learner, sequence, file, finished=True)
    return work.write_learnt(learner, lesson, _said(learner, keys, sequence, hold_out), progress)


@reserving(place_of)
def restyle_video(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    model_file: str | os.PathLike[str],
    device: str | torch.device | None = None,
    folder_rate: float | str | None = None,
    interlaced: Interlaced = "deinterlace",
    overwrite: bool = False,
    progress: bool = True,
    video: VideoOptions = PLAIN,
) -> dict[str, Any]:
    """Translate a film by a style that was learnt before, without guides, by the network alone.

    A film that it was not learnt on is told of.

    Raises:
        StyleError: a style with guides, which belong to its own film and keyframes. Others: as `stylize_video`.
    """
    path, out, file = Path(path), Path(out), Path(model_file)
    check_video_output(out)
    check_output(place_of(out), with_images([path, file]), overwrite=overwrite)
    network, said = open_style(file, open_device(device))
    if said["inputs"] != 3:
        raise StyleError(
            f"{file} was learnt with guides, which its own keyframes make: give them, or learn --no-guides"
        )
    work = _Work(path, out, video, folder_rate, interlaced)
    if said["film"] != work.sha256:
        log.warning("%s was learnt on another film than %s: what was not painted there is guessed", file, path)
    lesson = Lesson([], [], None, [], open_estimator(said["settings"].optical_flow, device))
    settings = replace(said["settings"], carry=0)  # there is no painting to carry
    draw = partial(translated, work.film, network, lesson, settings)
    digest = _best_sha256(network.state_dict())
    style = {"film": said["film"], "keys": said["keys"], "steps": said["step"], "sha256": digest}
    return work.write(draw, {"style": style, "settings": asdict(settings)}, progress)


def open_estimator(name: str, device: str | torch.device | None = None) -> Estimator:
    """Optical flow by DIS, "dis", or as an interpolator has it: a name, or a file of weights, as `load_interpolator`.

    device: of the run that it is for, see `motion_device`.

    StyleError: an interpolator that knows no motion, or only that at the middle of two frames. InterpolatorError: none
    of that name.
    """
    if name == DIS:
        return flow_between
    interpolator = load_interpolator(name, device=motion_device(device))
    if isinstance(interpolator, Still):
        raise StyleError(f"optical_flow {name}: it knows no motion; take dis, rife or another interpolator")

    @torch.no_grad()
    def estimate(source: Picture, target: Picture) -> Flow:
        a, b = (film_tensor(picture, interpolator.device) for picture in (source, target))
        return interpolator.flows(a, b, 0.0).to1[0].permute(1, 2, 0).cpu().numpy()

    blank = np.zeros((64, 64, 3), np.uint8)
    try:
        estimate(blank, blank)
    except InterpolatorError as error:
        raise StyleError(f"optical_flow {name}: no motion from one frame to the next: {error}; take dis") from error
    return estimate


class _Work:
    """A film, how its translation is written, and what goes along."""

    def __init__(
        self, path: Path, out: Path, video: VideoOptions, folder_rate: float | str | None, interlaced: Interlaced
    ) -> None:
        self.path, self.out = path, out
        self.sha256 = source_sha256(path)
        source = open_source(path, folder_rate=folder_rate, interlaced=interlaced)
        self.film = Film(lambda: source.frames(alpha=True), len(source.times))
        timed = source.between()
        self.tracks = plan_tracks(timed, out, scale=1.0, bent=False)
        self.starts = uneven_times(source, self.film.count)
        colour = replace(SDR, chroma="rgb", alpha=source.colour.alpha)
        plan = plan_output(out, exact_rate(timed.rate), options=video, colour=colour)
        self.plan = replace(plan, plays=timed.plays)

    def write_learnt(self, learner: Learner, lesson: Lesson, said: dict[str, Any], progress: bool) -> dict[str, Any]:
        """Write the film as the learner's best network translates it; the manifest."""
        draw = partial(translated, self.film, learner.best_network(), lesson, learner.settings)
        return self.write(draw, said, progress)

    def write(self, draw: Callable[[int], Iterator[Pixels]], said: dict[str, Any], progress: bool) -> dict[str, Any]:
        """Write what `draw` makes from a frame on, after what an earlier run wrote; the manifest."""
        said = {"source": {"path": str(self.path.resolve()), "sha256": self.sha256}, **said}
        record, total = manifests.record(**said), self.film.count
        if self.plan.output.resumable and self.starts is None:
            parts = Segments(self.plan, total, said)
            done = parts.begin(resume=True)
            frames = track(draw(done), self.out.name, total, initial=done, shown=progress)
            parts.write(frames, done)
            parts.join(self.tracks, record)
        else:
            frames = track(draw(0), self.out.name, total, shown=progress)
            write_planned(frames, replace(self.plan, starts=self.starts, tracks=self.tracks), record)
        if (place := place_of(self.out)).is_file():
            manifests.write(record, path_beside(place))
        return record


def _check_outputs(out: Path, style: Path, inputs: Sequence[Any], overwrite: bool) -> None:
    """That the film and its style can be written, and replace no input."""
    inputs = with_images(inputs)
    check_video_output(out)
    check_output(place_of(out), inputs, overwrite=overwrite)
    check_output(style, [*inputs, place_of(out)], overwrite=overwrite, manifest=False)


def path_of_style(out: Path) -> Path:
    """Where the style of an output is kept: beside it."""
    return out.with_name(out.name + ".style.safetensors")


def _clip_of(video: str | os.PathLike[str] | Sequence[Frame]) -> Clip:
    if isinstance(video, str | os.PathLike):
        return Clip.open(video)
    return Clip(open_images(video), DEFAULT_RATE)


def _paths(pictures: Mapping[int, Frame] | None) -> list[str | os.PathLike[str]]:
    values = pictures.values() if isinstance(pictures, Mapping) else ()  # `read_keys` refuses others
    return [picture for picture in values if isinstance(picture, str | os.PathLike)]


def _settings(settings: StyleSettings | None, minutes: float | None, steps: int | None) -> StyleSettings:
    if not isinstance(settings, StyleSettings | None):
        raise StyleError(f"expected settings as StyleSettings(...), got {settings!r:.60}")
    told = {name: value for name, value in (("minutes", minutes), ("steps", steps)) if value is not None}
    return from_mapping(StyleSettings, {**asdict(settings or StyleSettings()), **told}, where="stylize")


def _said(learner: Learner, keys: Sequence[PaintedKey], sequence: Sequence256, hold_out: int | None) -> dict[str, Any]:
    """What a manifest says of a style."""
    style = {
        **sequence._asdict(),
        "frames": [key.number for key in keys],
        "hold_out": hold_out,
        "perceptual": learner.perceptual_name,
        "steps": learner.step,
        "best_step": learner.best_step,
        "error": learner.best_error,
        "sha256": _best_sha256(learner.best),
    }
    return {"settings": {**asdict(learner.settings), "seed": learner.seed}, "style": style}


def _best_sha256(state: Mapping[str, torch.Tensor]) -> str:
    return state_sha256({name: value.cpu() for name, value in state.items()})
