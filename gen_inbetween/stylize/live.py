"""Learning that follows the painter's file, and translation of pictures as they come."""

from __future__ import annotations

import itertools
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.media.image import FrameError
from gen_inbetween.media.reading.decoding import limit_decoder
from gen_inbetween.media.source import VideoError
from gen_inbetween.runtime.files import save_image
from gen_inbetween.runtime.outputs import labelled
from gen_inbetween.runtime.processes import Stopped
from gen_inbetween.stylize.examples import carried
from gen_inbetween.stylize.guides import Estimator
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import Lesson, draw, prepare, preview_of
from gen_inbetween.stylize.network import StyleNetwork
from gen_inbetween.stylize.sequence import Film, PaintedKey, Picture, read_keys
from gen_inbetween.stylize.settings import Look, StyleError, StyleSettings

log = logging.getLogger("gen_inbetween")

PREVIEW_EVERY = 3.0  # seconds
USUAL_RATE = 24  # frames a second, where nobody says
POLL = 0.5  # seconds between looks at the painted files once nothing is left to learn


def watch(
    film: Film,
    keys: Mapping[int, Path],
    masks: Mapping[int, Path],
    settings: StyleSettings,
    seed: int,
    device: torch.device,
    preview: Path,
    estimate: Estimator,
    *,
    hold_out: int | None = None,
    until: Callable[[], bool] = lambda: False,
    progress: bool = False,
) -> tuple[Learner, Lesson, list[PaintedKey]]:
    """Learn, and write `preview` every few seconds; when a painted file is saved anew, go on learning from it.

    Ends with Ctrl-C, or when `until` says so. A file that cannot be read is being saved: it is waited for.

    estimate: the optical flow of the settings (`stylize.open_estimator`).

    Returns:
        The learner, whose best network is of the last paintings, its lesson, and these paintings.
    """
    painted = read_keys(keys, masks, film.size, film.count)
    lesson = prepare(film, painted, settings, seed, hold_out, estimate, progress=progress)
    learner = Learner(lesson.examples, lesson.judges, settings, seed, device)
    seen, drawn, told = _times(keys, masks), 0.0, ""

    def on_look(look: Look) -> bool:
        nonlocal drawn
        if time.monotonic() - drawn > PREVIEW_EVERY:
            save_preview(preview, preview_of(learner.best_network(), lesson, settings.tile))
            drawn = time.monotonic()
            error = "" if look.error is None else f", error {look.error:.2f}"
            log.info("step %d%s: %s", look.step, error, preview)
        return until() or _times(keys, masks) != seen

    try:
        while not until():
            learner.learn(on_look)
            save_preview(preview, preview_of(learner.best_network(), lesson, settings.tile))
            while not until() and _times(keys, masks) == seen:
                time.sleep(POLL)
            if (now := _times(keys, masks)) != seen:
                try:
                    latest = read_keys(keys, masks, film.size, film.count)
                except (FrameError, StyleError) as error:
                    if told != str(error):
                        log.warning("%s; waiting for the file to be whole", error)
                    told = str(error)
                    time.sleep(POLL)
                    continue
                seen, told = now, ""
                if _same_masks(painted, latest):
                    lesson = _repainted(lesson, latest, hold_out)
                else:  # and with them the points
                    lesson = prepare(film, latest, settings, seed, hold_out, estimate, progress=progress)
                painted = latest
                learner.turn_to(lesson.examples, lesson.judges)
                learner.settings = replace(settings, minutes=settings.minutes + learner.seconds / 60)
                log.info("painted anew: learning goes on from step %d", learner.step)
    except Stopped:
        raise
    except KeyboardInterrupt:
        log.info("watching stopped at step %d", learner.step)
    if not learner.looks:
        learner.look()
    return learner, lesson, painted


def save_preview(path: Path, picture: Image.Image) -> None:
    """Write a preview that says it is ours, so that the next run may replace it, also after one that was killed."""
    with labelled(path) as temporary:
        picture.save(temporary)


def _same_masks(before: Sequence[PaintedKey], after: Sequence[PaintedKey]) -> bool:
    return all(np.array_equal(one.mask, other.mask) for one, other in zip(before, after, strict=True))


def _repainted(lesson: Lesson, painted: Sequence[PaintedKey], hold_out: int | None) -> Lesson:
    """The lesson of other paintings under the same masks, without looking through the film again."""
    by_number = {key.number: key for key in painted}
    examples = {one.number: replace(one, painted=by_number[one.number].painted) for one in lesson.examples}
    judges = []
    for judge in lesson.judges:
        if judge.keyframe == hold_out:
            judges.append(replace(judge, wanted=by_number[hold_out].painted))
            continue
        example = examples[judge.keyframe]
        wanted, known = carried(example.painted, example.mask, example.source, judge.source)
        judges.append(replace(judge, wanted=wanted, known=known))
    return replace(lesson, examples=list(examples.values()), judges=judges)


def _times(*groups: Mapping[int, Path]) -> list[tuple[float, int]]:
    """When the files were last written, and how long they are; nothing of one that is just being replaced."""

    def of(path: Path) -> tuple[float, int]:
        try:
            state = path.stat()
        except OSError:
            return 0.0, 0
        return state.st_mtime, state.st_size

    return [of(path) for group in groups for path in group.values()]


def open_camera(camera: int | str) -> tuple[Iterator[Picture], float]:
    """Frames of a camera, (H, W, 3) uint8, until it ends, and how many it takes in a second.

    camera: its number, or what else OpenCV opens, such as an address. StyleError: there is no such camera.
    """
    cv2 = opencv()
    device = cv2.VideoCapture(camera)
    if not device.isOpened():
        device.release()
        raise StyleError(f"no camera {camera} can be opened: name another, or give a film")

    def frames() -> Iterator[Picture]:
        try:
            while True:
                good, frame = device.read()
                if not good:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            device.release()

    return frames(), device.get(cv2.CAP_PROP_FPS) or USUAL_RATE  # cameras that do not know it say 0


def open_pipe(pipe: Any = None) -> tuple[Iterator[Picture], Fraction]:
    """Frames of a y4m stream, (H, W, 3) uint8, as they come, and how many are a second. VideoError: it is none."""
    try:
        container = av.open(pipe or sys.stdin.buffer, "r", format="yuv4mpegpipe")
        stream = container.streams.video[0]
        limit_decoder("standard input", stream.codec_context)
    except (av.FFmpegError, IndexError) as error:
        raise VideoError(f"standard input is no y4m stream: {error}") from error

    def frames() -> Iterator[Picture]:
        try:
            with container:
                for frame in container.decode(video=0):
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        except av.FFmpegError as error:
            raise VideoError(f"the y4m stream on standard input is damaged: {error}") from error

    return frames(), stream.average_rate or Fraction(USUAL_RATE)


def in_real_time(
    pictures: Iterator[Picture], rate: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[Picture]:
    """Pictures that come when they can, some repeated, so that at `rate` a second they last as long as they took."""
    began, given = clock(), 0
    for picture in pictures:
        due = max(given + 1, int((clock() - began) * rate))
        yield from itertools.repeat(picture, due - given)
        given = due


def until_interrupted(frames: Iterator[Picture]) -> Iterator[Picture]:
    """The frames until Ctrl-C, which ends them here, so that what was made of them is kept; a second one interrupts."""
    stopped, before = False, signal.getsignal(signal.SIGINT)

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, before)

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    try:
        yield from itertools.takewhile(lambda _: not stopped, frames)
    finally:
        signal.signal(signal.SIGINT, before)


def translate_live(
    frames: Iterator[Picture], network: StyleNetwork, inputs: int, tile: int, *, every: float = 2.0
) -> Iterator[Picture]:
    """Frames in the style as they come; frames a second are said in the log.

    StyleError: a style that was learnt with guides, which need the whole film.
    """
    if inputs != 3:
        raise StyleError("this style was learnt with guides, which need the whole film: learn one with --no-guides")
    return _counted(frames, network, tile, every)


def _counted(frames: Iterator[Picture], network: StyleNetwork, tile: int, every: float) -> Iterator[Picture]:
    began, count = time.monotonic(), 0
    for frame in frames:
        yield draw(network, frame, None, tile)
        count += 1
        if (passed := time.monotonic() - began) > every:
            log.info("%.1f frames a second", count / passed)
            began, count = time.monotonic(), 0


def export_frame(film: Film, number: int, path: Path) -> None:
    """Write a frame to be painted over. StyleError: no such frame."""
    if not 0 <= number < film.count:
        raise StyleError(f"frame {number} is outside the film, whose frames are 0 to {film.count - 1}")
    frame = next(frame for index, frame in enumerate(film.pictures()) if index == number)
    save_image(path, Image.fromarray(frame))
