"""Runs of a page: from a button through the line to a status."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import gradio as gr

from gen_inbetween.app.page.line import Line
from gen_inbetween.app.page.settings import PageSettings
from gen_inbetween.app.page.words import Clock, error_in_words, progress_in_words, sentence, status
from gen_inbetween.runtime.outputs import Inputs

if TYPE_CHECKING:
    from gen_inbetween.generation.stream import Stream

log = logging.getLogger("gen_inbetween")

FILES = "files"  # in the folder of the page: uploads and results, all that is served
REFUSED = "One of the values cannot be taken: the note in the corner says which, and why."
PREVIEW_EVERY = 0.5  # seconds between two updates of a page at most, lest a fast run waits for the browser


@dataclass(frozen=True)
class Step:
    """How far a run is, and what is new on the page.

    text: what is done ("clip 2 of 4, "), or the end's sentence, where done is None. unit: what is counted; "": the text
    says all.
    """

    text: str = ""
    done: int | None = None
    total: int | None = None
    shows: dict[Any, Any] = field(default_factory=dict)
    unit: str = "step"


Make: TypeAlias = Callable[..., Generator[Step, None, None]]


class Page:
    """What the tabs share: the settings, the line, the files, and the makers of frames that they are given.

    stream: makes a clip between pictures, as `generation.stream` does. open_pair_generator: opens what makes frames
    where a film moves too much, as that of `generation.films.pair_generator` does.
    """

    def __init__(self, settings: PageSettings, stream: Stream, open_pair_generator: Callable[..., Any]) -> None:
        self.settings, self.line = settings, Line(settings.queue)
        self.stream, self.open_pair_generator = stream, open_pair_generator
        self.files = settings.folder.resolve() / FILES

    def new_folder(self) -> Path:
        """An empty folder for a run's results, whose name cannot be guessed."""
        folder = self.files / f"run-{secrets.token_hex(12)}"
        folder.mkdir(parents=True)
        return folder

    @contextmanager
    def keeping(self, out: Path) -> Iterator[None]:
        """A run that writes `out`; where it leaves none, its folder goes, pieces and all: no run goes on there."""
        try:
            yield
        finally:
            if not out.exists():
                shutil.rmtree(out.parent, ignore_errors=True)

    def tidy(self, needed: Sequence[str] = ()) -> None:
        """Delete uploads and results whose time is over, but those that are needed now.

        As a run begins, since there is one at a time: what is at work may take longer than results are kept.
        """
        limit, inputs = time.time() - 3600 * self.settings.keep_hours, Inputs(needed)
        for entry in self.files.iterdir() if self.files.is_dir() else ():
            if entry.is_dir() and entry.stat().st_mtime < limit and not inputs.inside(entry):
                shutil.rmtree(entry, ignore_errors=True)


@dataclass(frozen=True)
class RunBar:
    """The button of a tab, Stop, and the line that says how it goes."""

    go: Any
    stop: Any
    status: Any


def run_bar(label: str, tab: str, hint: str) -> RunBar:
    """The three, where they stand on the page."""
    with gr.Row():
        go = gr.Button(label, variant="primary", elem_id=f"{tab}-go", scale=3)
        stop = gr.Button("Stop", variant="stop", interactive=False, elem_id=f"{tab}-stop", scale=1)
    return RunBar(go, stop, gr.HTML(status(hint), elem_id=f"{tab}-status"))


def wire(page: Page, tab: str, bar: RunBar, make: Make, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Have the button run `make` with the values of `inputs`, one run of all browsers at a time."""
    buttons = [bar.status, bar.go, bar.stop]

    def begin(request: gr.Request) -> dict[Any, Any]:
        try:
            before = page.line.join(key_of(request, tab))
        except ValueError as error:
            return {bar.status: status(error_in_words(error), kind="error")}
        text = f"Waiting: {before} before yours" if before else "Beginning; the first run takes longer"
        return {bar.status: status(text, kind="working"), bar.go: gr.Button(interactive=False),
                bar.stop: gr.Button(interactive=True)}  # fmt: skip

    def run(request: gr.Request, *values: Any) -> Generator[dict[Any, Any], None, None]:
        ticket = page.line.start(key_of(request, tab))
        if ticket is None:
            yield {bar.status: gr.skip()}
            return
        said = status("Stopped", kind="done")
        try:
            page.tidy(uploads_in(values))
            with closing(steps_of(make(*values), ticket.stopped)) as steps:
                for said, shows in steps:
                    yield {bar.status: said, **shows}
        except Exception as error:
            log.error("page, %s: %s: %s", tab, type(error).__name__, error)
            log.debug("traceback", exc_info=True)
            said = status(error_in_words(error, uploads_in(values)), kind="error")
        finally:
            page.line.leave(ticket)
        yield {bar.status: said, bar.go: gr.Button(interactive=True), bar.stop: gr.Button(interactive=False)}

    def stop(request: gr.Request) -> dict[Any, Any]:
        became = page.line.stop(key_of(request, tab))
        if became == "working":
            return {bar.status: status("Stopping at the next step", kind="working")}
        said = status("Stopped before it began", kind="done") if became else gr.skip()  # it had ended by itself
        return {bar.status: said, bar.go: gr.Button(interactive=True), bar.stop: gr.Button(interactive=False)}

    def refused(request: gr.Request) -> dict[Any, Any]:
        """Gradio refused a value, such as a number out of its range, before `run` was called."""
        if ticket := page.line.start(key_of(request, tab)):
            page.line.leave(ticket)
        return {bar.status: status(REFUSED, kind="error"), bar.go: gr.Button(interactive=True),
                bar.stop: gr.Button(interactive=False)}  # fmt: skip

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    begun = bar.go.click(begin, None, buttons, queue=False, **private)
    ended = begun.then(
        run, list(inputs), [*outputs, *buttons], concurrency_id="work", concurrency_limit=1, **private
    )  # fmt: skip
    ended.failure(refused, None, buttons, queue=False, **private)
    bar.stop.click(stop, None, buttons, queue=False, **private)


def key_of(request: gr.Request, tab: str) -> tuple[str, str]:
    """Whose run of which tab."""
    return str(request.session_hash), tab


def uploads_in(values: Sequence[Any]) -> list[str]:
    """The paths among the values of a run: kept until it ends, and out of its messages."""
    paths: list[str] = []
    for value in values:
        if isinstance(value, str):
            paths += [value] if os.path.isabs(value) else []
        elif isinstance(value, list | tuple):
            paths += uploads_in(value)
        elif isinstance(value, dict):
            paths += uploads_in(list(value.values()))
    return paths


def steps_of(steps: Generator[Step, None, None], stopped: Any) -> Generator[tuple[str, dict[Any, Any]], None, None]:
    """(status, what is new) of each step, not more often than a page can show; ends early where it is stopped."""
    clock, last, begun = Clock(), 0.0, time.monotonic()
    with closing(steps):
        for step in steps:
            if stopped.is_set():
                unit = f"{step.unit} " if step.unit else ""
                at = f" at {unit}{step.done} of {step.total}" if step.done and step.total else ""
                yield status(f"Stopped{at}", kind="done"), {}
                return
            now = time.monotonic()
            if step.done is None:
                yield status(step.text, kind="done"), step.shows
            elif step.shows or now - last > PREVIEW_EVERY:
                last = now
                left = clock.left(step.done, step.total)
                if not step.unit:
                    text = step.text
                elif step.total is None and not step.done:
                    text = sentence(f"{step.text}at work for {now - begun:.0f} s")
                else:
                    text = progress_in_words(step.text, step.unit, step.done, step.total, left)
                yield status(text, kind="working", done=step.done, total=step.total), step.shows
