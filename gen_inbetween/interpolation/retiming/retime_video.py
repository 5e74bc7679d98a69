"""Retiming of video files: another frame rate, slow motion, curves and loops.

    frame k of the output shows the source at k / (fps * scale) seconds; there are round(duration * scale * fps) of them

Frames are read, interpolated and written one by one, in constant memory; only a curve or a loop holds all of them. An
output is written in finished pieces (`segments.py`), from which a run that was killed goes on.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import cache, partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from gen_inbetween.interpolation.film_page.moments import pictures_of
from gen_inbetween.interpolation.film_page.page import check_report, write_film_page
from gen_inbetween.interpolation.interpolator import FrameInterpolator, check_kind
from gen_inbetween.interpolation.registry import open_interpolator
from gen_inbetween.interpolation.retiming.cadence import cadence_of
from gen_inbetween.interpolation.retiming.cost import describe_cost, frames_between, usual_workers
from gen_inbetween.interpolation.retiming.curves import PathCurve, parse_curve
from gen_inbetween.interpolation.retiming.frame_pairs import (
    Duplicates,
    FramePair,
    TimedFrame,
    check_duplicates,
    with_overlays,
)
from gen_inbetween.interpolation.retiming.large_motion import LargeMotion, PairGenerator, Treatment, plan_treatment
from gen_inbetween.interpolation.retiming.noted_pairs import Notes, noted_pairs
from gen_inbetween.interpolation.retiming.stream import MEETS, draws_at, retime_in_any_order, retime_pairs
from gen_inbetween.interpolation.retiming.timing import check_phase, plan_times
from gen_inbetween.interpolation.retiming.workers import check_workers
from gen_inbetween.media.frames.overlays import Overlays, check_overlays
from gen_inbetween.media.frames.screen import Pixels
from gen_inbetween.media.reading.decoding import Interlaced
from gen_inbetween.media.reading.pipes import is_pipe, stored_input
from gen_inbetween.media.reading.sequences import source_sha256, with_images
from gen_inbetween.media.segments import Segments
from gen_inbetween.media.source import DEFAULT_RATE, TimedVideo, VideoError
from gen_inbetween.media.times.rates import exact_rate, parse_seconds
from gen_inbetween.media.tracks.plan import check_audio, plan_tracks
from gen_inbetween.media.tracks.sound import Audio
from gen_inbetween.media.video import open_source
from gen_inbetween.media.video_writer import plan_output, write_planned
from gen_inbetween.media.writing.options import PLAIN, VideoOptions
from gen_inbetween.media.writing.outputs import place_of
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.checks import check_switch
from gen_inbetween.runtime.messages import collected_notices, collecting_notices
from gen_inbetween.runtime.outputs import check_output, path_beside, reserving
from gen_inbetween.runtime.progress import track

log = logging.getLogger("gen_inbetween")

LINEAR = parse_curve("linear")
IN_MEMORY = 4e9  # bytes of frames that a curve or a loop may hold


@dataclass(frozen=True)
class Drawing:
    """Which frames are drawn, and how: see `retime_video`."""

    source: TimedVideo
    rate: Fraction  # frames a second of the output
    slowing: Fraction  # how many times as long
    interpolator: FrameInterpolator
    passthrough: bool
    cuts: bool
    duplicates: Duplicates
    iters: int
    phase: float  # which part of its step each frame shows, 0 to below 1
    treatment: Treatment  # of pairs whose motion is doubtful
    workers: int | None = None  # threads that draw; None: `usual_workers`
    overlays: Overlays = "ignore"

    def workers_for(self, pixels: Pixels) -> int:
        """How many threads draw frames like this one; 0: none, where a diffusion model wants all cores at once."""
        if self.treatment.generator is not None:
            return 0
        return self.workers or usual_workers(self.interpolator, *pixels.shape[:2])

    @property
    def total(self) -> int:
        """How many frames the output has."""
        return max(1, round(Fraction(self.source.duration) * self.slowing * self.rate))

    def time(self, number: int) -> float:
        """What frame `number` of the output shows: seconds of the source."""
        return float((number + Fraction(self.phase)) / (self.rate * self.slowing))

    def draws(self, first: float, last: float) -> bool:
        """Whether a frame of the output is drawn between source frames at these seconds."""
        edge = MEETS * (last - first)
        number = math.ceil(Fraction(first) * self.rate * self.slowing - Fraction(self.phase))
        near = (self.time(each) for each in range(max(number, 0), min(number + 2, self.total)))  # the first may meet it
        return any(first + edge < time < last - edge for time in near)

    def number_at(self, seconds: float) -> int:
        """The frame that shows this second of the source, or the nearest to it."""
        number = round(seconds * float(self.rate * self.slowing) - self.phase)
        return min(max(number, 0), self.total - 1)

    @property
    def pairing(self) -> dict[str, Any]:
        """How pairs are read, for `noted_pairs`."""
        return {"cuts": self.cuts, "duplicates": self.duplicates}

    def overlaid(self, pairs: Iterator[FramePair]) -> Iterator[FramePair]:
        """The pairs, with their overlays where those are held."""
        return with_overlays(pairs) if self.overlays == "hold" else pairs

    @property
    def options(self) -> dict[str, Any]:
        """How frames are drawn, for `retime_pairs`."""
        return {"passthrough": self.passthrough, "iters": self.iters, "treatment": self.treatment}


@dataclass(frozen=True)
class RetimedVideo:
    """What `retime_video` made."""

    path: Path
    source_frames: int  # chosen by start and stop
    written: int
    resumed: int  # of those written, the ones an earlier run had finished
    cuts: int
    duplicates: int  # source frames that repeat the one before: bit for bit, or left out by duplicates="replace"
    damaged: int  # packets that gave no whole frame
    cadence: str | None  # "twos", "threes", "fours" or "mixed" of hand-drawn animation
    fps: float
    duration: float  # seconds the output lasts
    seconds: float  # it took


@reserving(place_of)
@collecting_notices
def retime_video(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    fps: float | str | Fraction | None = None,
    scale: float = 1.0,
    curve: str | PathCurve | Sequence[tuple[float, float]] = "linear",
    loop: bool = False,
    interpolator: str | Path | FrameInterpolator | None = None,
    iters: int = 1,
    passthrough: bool = True,
    phase: float = 0.0,
    cuts: bool = True,
    duplicates: Duplicates = "keep",
    large_motion: LargeMotion = "draw",
    generator: PairGenerator | None = None,
    audio: Audio | None = None,
    start: float | str | None = None,
    stop: float | str | None = None,
    folder_rate: float | str | None = None,
    interlaced: Interlaced = "deinterlace",
    device: str | torch.device | None = None,
    workers: int | None = None,
    overlays: Overlays = "ignore",
    resume: bool = True,
    overwrite: bool = False,
    report: str | os.PathLike[str] | None = None,
    progress: bool = True,
    video: VideoOptions = PLAIN,
) -> RetimedVideo:
    """Write a video again with `fps` frames a second, `scale` times as long.

    Args:
        path: a video of constant or variable rate, a GIF, WebP or PNG animation, or a folder of images.
        out: .mp4, .mov, .mkv, .webm, .avi; .gif, .webp, .apng; no extension for a folder of PNG files, or a pattern
            (frames/f_%04d.png, .tif, .exr); "-" for standard output, as y4m.
        fps: a number or text: 60, 29.97 (which means 30000/1001) or "60000/1001". None keeps the source's rate; where
            that varies, its average while pictures move.
        scale: 4 makes it four times as long: slow motion; 0.5 twice as fast.
        curve, loop: as in `retiming.retime`; they need all frames at once, so they are for short clips.
        interpolator: a name of INTERPOLATORS, a file of weights, or one that is open; None: dis-splat.
        iters, passthrough, cuts, duplicates: as in `retiming.retime`.
        phase: 0 to below 1, which part of its step each frame shows. 0.5 at a whole multiple of the source's rate shows
            no source frame, and so cures flicker of sharpness; all is shown half a new step early.
        large_motion: what is shown between two frames whose motion is larger than can be followed: "draw" it as
            elsewhere, "blend" a cross-fade, "hold" the nearer frame, or "generate" what a diffusion model makes of it.
        generator: that model, `open_pair_generator(...)`; for "generate" only.
        audio: "keep" copies the sound unchanged, "stretch" makes it `scale` times as long at its own pitch, "drop"
            leaves it out; None keeps it where the pace is the source's, stretches it where that is another, and drops
            it along a curve, with a notice. Sound that is longer than the film is kept; subtitles, chapters and titles
            go along. What the output does not hold is named.
        start, stop: seconds of the source, or timecodes such as "00:01:02.5"; its frames that begin in this range are
            taken.
        folder_rate: frames a second of a folder of images; None assumes 24, with a notice.
        interlaced: "deinterlace" interlaced film, with a notice, or "keep" its frames as they are.
        device: where the interpolator is opened; None: the best there is. One that is open keeps its own.
        workers: how many pairs are drawn side by side, each on a core of its own; None: one a core, as far as the
            memory goes. The frames are the same whatever it is.
        overlays: "hold" what stands while all around it moves, such as logos and subtitles: it is taken from the source
            and not drawn. It is known after ten steps of the film.
        resume: go on where a run with the same source and settings was stopped; False begins anew.
        overwrite: replace a file that was not written by this package, too; never the source.
        report: write a page of HTML there: curves of motion and doubt, the moments to look at, settings and notices.
        progress: show a bar on stderr.
        video: codec, crf, pixel format and background of the output.

    Returns:
        What was made; its manifest stands inside of the output and beside it.

    Raises:
        VideoError, OutputError: a source that cannot be read, an output that cannot be written (found before the work).
        CurveError: no such curve.
        InterpolatorError: no such interpolator; fewer than two frames, of two sizes, or too small.
    """
    begun, given, out = time.monotonic(), Path(path), Path(out)
    start, stop = parse_seconds(start, "start"), parse_seconds(stop, "stop")
    asked, slowing, bent = None if fps is None else exact_rate(fps), _slowing(scale), parse_curve(curve)
    check_duplicates(duplicates)
    check_phase(phase)
    for name, value in (("loop", loop), ("cuts", cuts), ("passthrough", passthrough), ("resume", resume)):
        check_switch(name, value)
    treatment = plan_treatment(large_motion, generator)
    check_workers(workers)
    check_overlays(overlays)
    plan_output(out, asked or DEFAULT_RATE, options=video)
    check_audio(audio, out, bent=bent != LINEAR)
    path = stored_input() if is_pipe(path) else given
    inputs = inputs_of(path, interpolator)
    check_output(place_of(out), inputs, overwrite=overwrite)
    check_report(report, place_of(out), inputs, overwrite=overwrite)
    source = open_source(path, folder_rate=folder_rate, interlaced=interlaced).between(start, stop)
    rate = asked or exact_rate(source.rate)
    plan = plan_output(out, rate, options=video, colour=source.colour, sample_aspect=source.sample_aspect)
    plan = replace(plan, plays=0 if loop else source.plays)
    tracks = plan_tracks(source, out, scale=float(slowing), bent=bent != LINEAR, audio=audio)
    opened = open_interpolator(interpolator, device)
    check_kind(opened.info.kind, 0.5, None, iters)
    options: dict[str, Any] = {"passthrough": passthrough, "cuts": cuts, "duplicates": duplicates, "iters": iters}
    options["phase"] = phase
    settings = {"fps": float(rate), "scale": float(slowing), "curve": asdict(bent), "loop": loop, **options}
    settings |= treatment.record
    folder_fps = None if folder_rate is None else float(exact_rate(folder_rate, "folder_rate"))
    settings |= {"start": start, "stop": stop, "folder_rate": folder_fps, "interlaced": interlaced}
    settings |= {"overlays": overlays} if overlays != "ignore" else {}
    settings |= {"video": asdict(video)} if video != PLAIN else {}
    identity = {
        "source": {"path": "-" if path != given else str(path.resolve()), "sha256": source_sha256(path)},
        "interpolator": asdict(opened.info),
        "settings": settings,
    }
    drawing = Drawing(source, rate, slowing, opened, treatment=treatment, **options, workers=workers, overlays=overlays)
    plan.announce()
    parts = (
        Segments(plan, drawing.total, identity | {"versions": manifests.versions()}) if plan.output.resumable else None
    )
    done, notes = parts.begin(resume) if parts else 0, Notes()
    if bent == LINEAR and not loop:
        frames = _streamed_frames(drawing, done, notes)
        frames = track(frames, out.name, drawing.total, initial=done, shown=progress)
    else:
        frames = _curved_frames(drawing, done, notes, bent, loop, progress)
    if plan.output.kind == "animation":
        frames = _held(frames, out, drawing.total)

    def result() -> RetimedVideo:
        return RetimedVideo(
            out, len(source.times), drawing.total, done, notes.cuts, notes.duplicates, source.damaged,
            None if (cadence := cadence_of(notes.changes)) is None else cadence.name,
            float(rate), float(drawing.total / rate), time.monotonic() - begun,
        )  # fmt: skip

    @cache
    def record() -> dict[str, Any]:  # once all frames are read and counted
        counted = {key: value for key, value in asdict(result()).items() if key not in ("path", "seconds")}
        seconds = round(time.monotonic() - begun, 3)
        return manifests.record(**identity, counts=counted, quality=notes.quality.record(), seconds=seconds)

    if parts:
        parts.write(frames, done)
        parts.join(tracks, record())
    else:
        write_planned(frames, plan, record)
    if (place := place_of(out)).is_file():
        manifests.write(record(), path_beside(place))
    if doubtful := notes.quality.notice():
        log.warning("%s: %s%s", given.name, doubtful, treatment.notice_for(opened))
    if cadence := cadence_of(notes.changes):
        treated = (
            "" if duplicates == "replace" else "; --cadence smooth (duplicates=replace) draws between the drawings"
        )
        log.info("%s is %s%s", given.name, cadence.describe(float(source.rate)), treated)
    if report is not None:
        pictures = pictures_of(notes.quality, source, out, float(rate), notes.number_at, progress=progress)
        write_film_page(report, record(), pictures, collected_notices(), (given.name, out.name))
    return result()


def _held(frames: Iterator[Pixels], out: Path, total: int) -> Iterator[Pixels]:
    """The frames of an animation. VideoError, at the first: all of them, which Pillow takes at once, are too many."""
    for pixels in frames:
        if pixels.nbytes * total > IN_MEMORY:
            size = f"{pixels.shape[1]}x{pixels.shape[0]}"
            raise VideoError(
                f"{out.name}: an animation is written from memory, and {total} frames of {size} are too many: name a "
                "video such as .mp4 or .webm, or choose a shorter part with start and stop"
            )
        yield pixels


def inputs_of(path: Path, interpolator: Any) -> list[str | os.PathLike[str] | None]:
    """What a retimed video is made from: the file, or the folder and its images, and a file of weights."""
    return with_images([path, interpolator if isinstance(interpolator, (str, Path)) else None])


def _streamed_frames(drawing: Drawing, done: int, notes: Notes) -> Iterator[Pixels]:
    """The frames from number `done` on, the very ones that a run from the start gives.

    Interpolators with a reference walk through a pair from frame to frame: drawing begins where the pair does. All
    frames before are still read, so that cuts and repeats are judged as they would be, and counted.
    """
    holds, notes.number_at = drawing.source.holds, drawing.number_at
    frames = (TimedFrame(pixels, seconds, seconds in holds) for pixels, seconds in drawing.source.frames())
    pairs = drawing.overlaid(noted_pairs(frames, notes, drawing.draws, **drawing.pairing))
    for pair in pairs:
        length = pair.last.seconds - pair.first.seconds
        if drawing.time(done) < pair.last.seconds - MEETS * length:
            break
    steps = Fraction(pair.first.seconds) * drawing.rate * drawing.slowing - Fraction(drawing.phase)
    begin = min(done, max(0, math.ceil(steps)))
    workers = drawing.workers_for(pair.first.pixels)

    def announce(seconds: float) -> None:
        count = frames_between(map(drawing.time, range(begin, drawing.total)), drawing.source.times, MEETS)
        with tqdm.external_write_mode():  # above the bar, not on its line
            log.info("%s", describe_cost(count, seconds, workers))

    times = map(drawing.time, range(begin, drawing.total))
    more: dict[str, Any] = {"workers": workers, "on_first": announce if workers else None} | drawing.options
    drawn = retime_pairs(itertools.chain([pair], pairs), times, drawing.interpolator, **more)
    yield from itertools.islice(drawn, done - begin, None)


def _curved_frames(
    drawing: Drawing, done: int, notes: Notes, curve: PathCurve, loop: bool, progress: bool
) -> Iterator[Pixels]:
    """The frames from number `done` on along a curve, or of a loop. VideoError: too many for the memory."""
    images, times = _read_all(drawing)
    end = len(images) - (not loop)
    duration = drawing.source.duration
    timing = plan_times(
        len(images),
        len(images) / duration,
        fps=float(drawing.rate),
        duration=float(duration * drawing.slowing),
        phase=drawing.phase,
        curve=curve,
        loop=loop,
    )
    shown = [*times, duration]  # frame k at shown[k]; whatever the rate, positions become seconds become positions
    seconds = timing.positions / end * shown[end]
    positions = np.interp(seconds, shown, np.arange(len(shown))).clip(0, end)
    holds = drawing.source.holds
    frames = [TimedFrame(image, float(number), times[number] in holds) for number, image in enumerate(images)]
    if loop:
        frames.append(TimedFrame(images[0], float(end)))
    notes.number_at = lambda second: int(np.abs(seconds - second).argmin())
    pairs = noted_pairs(
        frames,
        notes,
        partial(draws_at, np.unique(positions)),
        **drawing.pairing,
        seam=float(end) if loop else None,
        seconds=lambda number: float(shown[int(number)]),
    )
    pairs = drawing.overlaid(pairs)
    workers = drawing.workers_for(images[0])
    drawn = retime_in_any_order(
        pairs, positions, drawing.interpolator, progress=progress, workers=workers, **drawing.options
    )
    yield from drawn[done:]


def _read_all(drawing: Drawing) -> tuple[list[Pixels], list[float]]:
    """All frames of the source and their times in seconds."""
    images, times = [], []
    for pixels, seconds in drawing.source.frames():
        count = len(drawing.source.times) + drawing.total
        if pixels.nbytes * count > IN_MEMORY:
            height, width = pixels.shape[:2]
            raise VideoError(
                f"a curve or a loop holds all frames in memory, here {count} of {width}x{height}: choose a "
                "shorter part with start and stop"
            )
        images.append(pixels)
        times.append(seconds)
    return images, times


def _slowing(scale: float) -> Fraction:
    if isinstance(scale, bool) or not isinstance(scale, Real) or not 0.001 <= scale <= 1000:
        raise VideoError(f"scale is between 0.001 and 1000 times as long; got {scale!r}")
    return Fraction(scale).limit_denominator(1000)
