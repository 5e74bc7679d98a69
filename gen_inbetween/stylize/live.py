"""Learning that follows the painter's file, and translation of pictures as they come."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
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
from gen_inbetween.stylize.examples import carried
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import Lesson, draw, prepare, preview_of
from gen_inbetween.stylize.network import StyleNetwork
from gen_inbetween.stylize.sequence import Film, PaintedKey, Picture, read_keys
from gen_inbetween.stylize.settings import Look, StyleError, StyleSettings

log = logging.getLogger("gen_inbetween")

PREVIEW_EVERY = 3.0  # seconds
POLL = 0.5  # seconds between looks at the painted files once nothing is left to learn


def watch(
    film: Film,
    keys: Mapping[int, Path],
    masks: Mapping[int, Path],
    settings: StyleSettings,
    seed: int,
    device: torch.device,
    preview: Path,
    *,
    until: Callable[[], bool] = lambda: False,
) -> tuple[Learner, Lesson]:
    """Learn, and write `preview` every few seconds; when a painted file is saved anew, go on learning from it.

    Ends with Ctrl-C, or when `until` says so. A file that cannot be read is being saved: it is waited for.

    Returns:
        The learner, whose best network is of the last paintings, and its lesson.
    """
    painted = read_keys(keys, masks, film.size, film.count)
    lesson = prepare(film, painted, settings, seed, None)
    learner = Learner(lesson.examples, lesson.judges, settings, seed, device)
    seen, drawn = _times(keys, masks), 0.0

    def on_look(look: Look) -> bool:
        nonlocal drawn
        if time.monotonic() - drawn > PREVIEW_EVERY:
            save_image(preview, preview_of(learner.best_network(), lesson, settings.tile))
            drawn = time.monotonic()
            error = "" if look.error is None else f", error {look.error:.2f}"
            log.info("step %d%s: %s", look.step, error, preview)
        return until() or _times(keys, masks) != seen

    try:
        while not until():
            learner.learn(on_look)
            save_image(preview, preview_of(learner.best_network(), lesson, settings.tile))
            while not until() and _times(keys, masks) == seen:
                time.sleep(POLL)
            if (now := _times(keys, masks)) != seen:
                try:
                    painted = read_keys(keys, masks, film.size, film.count)
                except (FrameError, StyleError) as error:
                    log.warning("%s; waiting for the file to be whole", error)
                    time.sleep(POLL)
                    continue
                seen = now
                lesson = _repainted(lesson, film, painted, settings, seed)
                learner.turn_to(lesson.examples, lesson.judges)
                learner.settings = replace(settings, minutes=settings.minutes + learner.seconds / 60)
                log.info("painted anew: learning goes on from step %d", learner.step)
    except KeyboardInterrupt:
        log.info("watching stopped at step %d", learner.step)
    if not learner.looks:
        learner.look()
    return learner, lesson


def _repainted(lesson: Lesson, film: Film, painted: Sequence[PaintedKey], settings: StyleSettings, seed: int) -> Lesson:
    """The lesson of other paintings: all is looked through again only where masks, and with them points, changed."""
    old = {example.number: example for example in lesson.examples}
    if any(not np.array_equal(key.mask, old[key.number].mask) for key in painted):
        return prepare(film, painted, settings, seed, None)
    examples = {key.number: replace(old[key.number], painted=key.painted) for key in painted}
    judges = []
    for judge in lesson.judges:
        example = examples[judge.keyframe]
        wanted, known = carried(example.painted, example.mask, example.source, judge.source)
        judges.append(replace(judge, wanted=wanted, known=known))
    return replace(lesson, examples=list(examples.values()), judges=judges)


def _times(*groups: Mapping[int, Path]) -> list[tuple[float, int]]:
    """When the files were last written, and how long they are; nothing of one that is just being replaced."""
    files = [path for group in groups for path in group.values()]
    return [(path.stat().st_mtime, path.stat().st_size) if path.exists() else (0.0, 0) for path in files]


def camera_frames(number: int) -> Iterator[Picture]:
    """Frames of a camera, (H, W, 3) uint8, until it ends. StyleError: there is no such camera."""
    cv2 = opencv()
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise StyleError(f"no camera {number} can be opened: name another, or give a film")
        while True:
            good, frame = camera.read()
            if not good:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def piped_frames(pipe: Any = None) -> Iterator[Picture]:
    """Frames of a y4m stream, as they come. VideoError: it is none."""
    try:
        with av.open(pipe or sys.stdin.buffer, "r", format="yuv4mpegpipe") as container:
            limit_decoder("standard input", container.streams.video[0].codec_context)
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except av.FFmpegError as error:
        raise VideoError(f"standard input is no y4m stream: {error}") from error


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
