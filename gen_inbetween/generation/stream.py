"""The main path as a generator of steps, previews and the clip.

    for progress in stream("first.png", "last.png", preview_every=5):
        if progress.preview is not None:
            progress.preview.save("preview.png")  # a strip of the clip as the model sees it
    progress.clip.save("clip.mp4")

Closing the generator, or leaving the loop, stops the run at its next step; nothing is decoded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.timeline.keyframe import Keyframe
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame
from gen_inbetween.runtime.checks import check_whole
from gen_inbetween.runtime.progress import StoppedError, listening


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    step: steps done, or frames interpolated. steps: of the whole run, all of its seeds (a run that stops repeating, or
        breaks a seed off, does fewer).
    preview: the clip as the model sees it now, its frames side by side, of the latents' size; None between previews.
    clip: the result, in the last one only.
    """

    step: int
    steps: int
    preview: Image.Image | None = None
    clip: Clip | None = None


Stream: TypeAlias = Callable[..., Generator[Progress, None, None]]  # called as `stream` is


def stream(
    frame0: Frame | Sequence[Frame | Keyframe],
    frame1: Frame | None = None,
    *,
    preview_every: int = 1,
    **settings: Any,
) -> Generator[Progress, None, None]:
    """Make the video between keyframes, step by step.

    The run is a thread's, one step ahead at most of who looks at it.

    Args:
        preview_every: a preview after so many steps, and with the last one; 0: none.
        frame0, frame1, settings: as `inbetween` takes them, but for the callback, which is in use.

    Yields:
        A `Progress` after each step, and one that has the clip.

    Raises:
        What `inbetween` raises, in its place; ValueError, TypeError for these arguments, at once.
    """
    check_whole("preview_every", preview_every, 0)
    taken = [name for name in settings if name.startswith("callback_on_step_end")]
    if taken:
        raise TypeError(f"stream() makes use of the callback itself; leave {taken[0]} away, or call inbetween()")
    return follow(Run(frame0, frame1, preview_every, settings))


class Run(threading.Thread):
    """`inbetween` in a thread, whose steps wait in a queue of one."""

    def __init__(self, frame0: Any, frame1: Any, preview_every: int, settings: dict[str, Any]) -> None:
        super().__init__(daemon=True, name="inbetween")
        self.frames, self.preview_every, self.settings = (frame0, frame1), preview_every, settings
        self.events: queue.Queue[Progress | BaseException] = queue.Queue(maxsize=1)
        self.stopped = threading.Event()
        self.step = self.steps = 0
        self.seeds, self.last = 0, 0  # seeds done before this one, of `best_of`; its latest step

    def run(self) -> None:
        """The run, then its clip or its error as the last event."""
        names = ["latents", *(["preview"] if self.preview_every else [])]
        callback = {"callback_on_step_end": self.report, "callback_on_step_end_tensor_inputs": names}
        try:
            with listening(self.count):  # whatever is asked for, what comes of it may be an interpolation
                clip = inbetween(*self.frames, **{"progress": False, **self.settings, **callback})
            self.put(Progress(self.step, self.steps, clip=clip))
        except StoppedError:
            pass
        except BaseException as error:  # of a thread nobody would see it
            self.put(error)

    def report(self, pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """Called after each step, by the pipeline."""
        self.seeds += step < self.last  # steps are counted anew: another seed
        self.last, steps = step + 1, pipe.num_timesteps
        self.step, self.steps = self.seeds * steps + self.last, self.settings.get("best_of", 1) * steps
        due = self.preview_every and (self.last % self.preview_every == 0 or self.last == steps)
        self.put(Progress(self.step, self.steps, strip(tensors["preview"][0]) if due else None))
        if self.stopped.is_set():
            raise StoppedError
        return {}

    report.only_looks = True  # type: ignore[attr-defined]  # so the clip's manifest is that of any other run

    def count(self, step: int, steps: int | None) -> None:
        """Called after each frame that is interpolated."""
        self.step, self.steps = step, steps or 0
        self.put(Progress(self.step, self.steps))
        if self.stopped.is_set():
            raise StoppedError

    def put(self, event: Progress | BaseException) -> None:
        """Hand an event over; once the stream is closed it is dropped."""
        while not self.stopped.is_set():
            try:
                return self.events.put(event, timeout=0.1)
            except queue.Full:
                continue

    def close(self) -> None:
        """Stop at the next step and wait for it."""
        self.stopped.set()
        self.join()


def follow(run: Run) -> Generator[Progress, None, None]:
    """The events of a run, which starts with the first that is asked for."""
    with closing(run):
        run.start()
        while True:
            event = run.events.get()
            if isinstance(event, BaseException):
                raise event
            yield event
            if event.clip is not None:
                return


def strip(frames: Any) -> Image.Image:
    """Frames (frame, 3, height, width) in [0, 1] side by side; how many they are stands in `.info["frames"]`."""
    pixels = (frames.cpu().numpy() * 255).round().astype(np.uint8)
    image = Image.fromarray(np.concatenate(list(pixels.transpose(0, 2, 3, 1)), axis=1))
    image.info["frames"] = len(pixels)
    return image
