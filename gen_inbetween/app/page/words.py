"""Progress and errors in words."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterable
from pathlib import Path

from gen_inbetween.media.image import FrameError


def time_in_words(seconds: float) -> str:
    """A stretch of time as people say it.

    >>> time_in_words(7.2), time_in_words(130), time_in_words(7300)
    ('8 s', '2 min', '2 h 2 min')
    """
    if seconds < 60:
        return f"{int(seconds) + 1} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Clock:
    """The time that is left, from the pace since the first step, which waits for the model."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.first: tuple[int, float] | None = None

    def left(self, done: int, total: int | None) -> float | None:
        """Seconds; None: nobody knows yet."""
        now = time.monotonic()
        if self.first is None or done <= self.first[0]:
            self.first = (done, now)
        gone = now - self.first[1]
        if not total or done <= self.first[0] or gone <= 0:
            return None
        return gone / (done - self.first[0]) * max(total - done, 0)


def status(text: str, *, kind: str = "idle", done: int | None = None, total: int | None = None) -> str:
    """A line for a status field, safe whatever the text holds; kind: idle, working, done or error.

    What stands between backticks is set as a command.
    """
    bar = ""
    if done is not None and total:
        bar = f'<progress aria-label="progress" max="{total}" value="{min(done, total)}"></progress>'
    role = "alert" if kind == "error" else "status"
    said = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return f'<div class="run-status {kind}" role="{role}">{bar}<span>{said}</span></div>'


def progress_in_words(what: str, unit: str, done: int, total: int | None, left: float | None) -> str:
    """A line on how far it is; a total of None or 0 is not known yet.

    >>> progress_in_words("clip 2 of 4, ", "step", 3, 12, 7.2)
    'Clip 2 of 4, step 3 of 12, about 8 s left'
    """
    of = f" of {total}" if total else ""
    remaining = "" if left is None else f", about {time_in_words(left)} left"
    return sentence(f"{what}{unit} {done}{of}{remaining}")


def sentence(text: str) -> str:
    """A text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def error_in_words(error: BaseException, paths: Iterable[str | None] = ()) -> str:
    """An error as a sentence for the one who sees the page; of files their names only, of faults of ours the kind."""
    text = " ".join(str(error).split())
    for path in paths:
        if path:
            text = text.replace(str(Path(path)), Path(path).name)
    if "OutOfMemory" in type(error).__name__:
        return "Out of memory: choose fewer frames or a smaller size."
    if isinstance(error, OSError) and not isinstance(error, FrameError):
        text = error.strerror or text
    if not isinstance(error, ValueError | OSError | ImportError):
        return f"This failed ({type(error).__name__}), and the fault is ours: the log of the program says where."
    said = text or type(error).__name__
    return sentence(said) + ("" if said[-1] in ".!?" else ".")
