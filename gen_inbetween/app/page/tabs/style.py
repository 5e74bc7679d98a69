"""The tab of styles: a frame is painted over, and the film follows."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gen_inbetween.app.page.controls import (
    PRIVATE,
    clip_zone,
    downloads,
    example_film,
    film_zone,
    frame_at,
    picture_shown,
)
from gen_inbetween.app.page.follow import follow
from gen_inbetween.app.page.numbers import SEED, NumberField
from gen_inbetween.app.page.runs import Page, Step, run_bar, wire
from gen_inbetween.app.page.words import error_in_words, status
from gen_inbetween.media.image import load_image
from gen_inbetween.media.video import open_source
from gen_inbetween.runtime.files import short_name
from gen_inbetween.stylize.settings import Look, StyleSettings
from gen_inbetween.stylize.stylize import stylize_video

TAB = "style"
MINUTES = NumberField("--minutes of learning, at most", 0.05, 240, whole=False)
STEPS = NumberField("--steps", 1, 100_000)
HINT = "Drop a film, take a frame, paint over it by the brush at its left, keep it, then press the button."


def build(page: Page) -> None:
    """The tab's controls and what they do."""
    keys = gr.State({})
    number = gr.State(0)
    with gr.Row():
        with gr.Column():
            film = film_zone("Film", f"{TAB}-film", 190)
            example_film(page, film, f"{TAB}-example")
            with gr.Row():
                second = gr.Slider(0, 1, 0, step=0.01, label="Frame to paint, at second", scale=3)
                take = gr.Button("1. Take this frame", size="sm", elem_id=f"{TAB}-take", scale=1)
            easel = gr.ImageEditor(
                label="Paint here", type="pil", image_mode="RGBA",
                format="png", layers=False, fixed_canvas=False, transforms=[], sources=["upload"], height=330,
                brush=gr.Brush(default_size=14), elem_id=f"{TAB}-easel", buttons=["download"],
            )  # fmt: skip
            keep = gr.Button("2. Keep this painted frame", size="sm", elem_id=f"{TAB}-keep")
            bar = run_bar("3. Spread the style over the film", TAB, HINT)
            with gr.Accordion("Settings, named as in the command", open=False):
                with gr.Row():
                    minutes, steps, seed = MINUTES.control("3"), STEPS.control(), SEED.control()
                guides = gr.Checkbox(True, label="--guides")
        with gr.Column():
            kept = gr.Gallery(
                label="Painted frames that are learnt", type="filepath", columns=4, fit_columns=False,
                object_fit="contain", interactive=False, allow_preview=False, elem_id=f"{TAB}-keys",
                elem_classes="cards", buttons=[],
            )  # fmt: skip
            clear = gr.Button("Forget them", size="sm")
            look = picture_shown("What it has learnt so far", f"{TAB}-look", 240)
            clip = clip_zone("The film in this style", f"{TAB}-clip")
            files = downloads(TAB, "film")

    def make(
        film: str | None, keys: dict[int, str], minutes: str, steps: str, seed: str, guides: bool
    ) -> Generator[Step, None, None]:
        if not film:
            raise ValueError("drop a film first")
        if not keys:
            raise ValueError("keep a painted frame first: take a frame, paint over it, then Keep")
        wanted = {"minutes": MINUTES.read(minutes), "steps": STEPS.read(steps), "guides": guides}
        settings = StyleSettings(**{name: value for name, value in wanted.items() if value is not None})
        out = page.new_folder() / f"{short_name(Path(film).stem)}_styled.mp4"

        def work(show: Callable[[Any], None]) -> Any:
            def on_look(state: Look, picture: Callable[[], Image.Image]) -> None:
                show((state, picture()))

            options: dict[str, Any] = {"device": page.settings.device, "seed": SEED.read(seed) or 0, "progress": False}
            return stylize_video(film, out, dict(keys), settings=settings, on_look=on_look, **options)

        limit = settings.minutes * 60
        with page.keeping(out), closing(follow(work)) as events:
            for event in events:
                if event.result is not None:
                    learnt = event.result[0]["style"]
                    yield Step(f"Done: learnt in {learnt['steps']} steps.", shows={clip: str(out), **files.of(out)})
                elif event.news is not None:
                    state, picture = event.news
                    text = f"Learning, step {state.step}, {state.seconds:.0f} s of {limit:.0f} at most"
                    yield Step(text, int(state.seconds), int(limit), {look: picture}, unit="")
                else:
                    yield Step("", event.done, event.total, unit="step")

    def take_frame(film: str | None, second: float) -> dict[Any, Any]:
        if not film:
            return {bar.status: status("Drop a film first.", kind="error")}
        try:
            frame = frame_at(film, second)
        except ValueError as error:
            return {bar.status: status(error_in_words(error, [film]), kind="error")}
        return {easel: {"background": frame, "layers": [], "composite": frame}, number: number_at(film, second)}

    def keep_frame(film: str | None, number: int, easel: dict[str, Any] | None, keys: dict[int, str]) -> dict[Any, Any]:
        try:
            path = keep_painted(film, number, easel, page.new_folder())
        except ValueError as error:
            return {bar.status: status(error_in_words(error, [film]), kind="error")}
        now = {**keys, number: str(path)}
        items = [(file, f"frame {frame}") for frame, file in sorted(now.items())]
        return {keys_state: now, kept: items, bar.status: status(f"Kept as frame {number}.", kind="done")}

    keys_state = keys
    wire(page, TAB, bar, make, [film, keys, minutes, steps, seed, guides], [look, clip, files.clip, files.manifest])
    film.change(lengths, film, second, **PRIVATE)
    film.change(lambda: ({}, []), None, [keys, kept], **PRIVATE)
    take.click(take_frame, [film, second], [easel, number, bar.status], **PRIVATE)
    keep.click(keep_frame, [film, number, easel, keys], [keys, kept, bar.status], **PRIVATE)
    clear.click(lambda: ({}, []), None, [keys, kept], **PRIVATE)


def lengths(film: str | None) -> Any:
    """The slider over the seconds of a film; of none, or of no film at all, as it is."""
    try:
        last = float(open_source(film).times[-1]) if film else 1.0
    except ValueError:
        return gr.skip()
    return gr.Slider(maximum=max(round(last, 2), 0.01), value=0)


def number_at(film: str, second: float) -> int:
    """The number of the frame that is shown at this second."""
    return max(0, int((open_source(film).times <= second + 1e-6).sum()) - 1)


def keep_painted(film: str | None, number: int, easel: dict[str, Any] | None, folder: Path) -> Path:
    """Write the painted frame at the film's size. ValueError: no film, nothing on the easel."""
    if not film:
        raise ValueError("drop a film first")
    painted = None if not easel else easel.get("composite") or easel.get("background")
    if painted is None:
        raise ValueError("take a frame first, or drop a painted one on the easel")
    size = next(open_source(film).frames(0, 1)).size
    path = folder / f"frame_{number}.png"
    picture = load_image(painted)
    (picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)).save(path)
    return path
