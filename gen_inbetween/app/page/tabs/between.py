"""The tab of two pictures, or more: a clip between them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import gradio as gr

from gen_inbetween.app.page.clips import Saved, clips_of, save, settle, shrunk, strip_of
from gen_inbetween.app.page.controls import (
    PRIVATE,
    STRIP_HEIGHT,
    bundled,
    chosen,
    clip_zone,
    downloads,
    model_settings,
    open_pictures,
    picture_shown,
    picture_zone,
)
from gen_inbetween.app.page.numbers import USUAL, run_numbers
from gen_inbetween.app.page.runs import Page, Step, run_bar, wire
from gen_inbetween.app.page.words import status
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.models.registry import lacking_for_svd

TAB = "between"
POCKET, EXAMPLE_STEPS = "pocket-2", "10"
HINT = "Drop the first and the last picture, then press the button."
READY = "The pictures are in place: press the button."
ONWARD = "Now drop the next last picture, then press the button."


def build(page: Page) -> None:
    """The tab's controls and what they do."""
    saved = gr.State([])
    picked = gr.State(0)
    with gr.Row():
        with gr.Column():
            with gr.Row():
                first = picture_zone("First picture", f"{TAB}-first")
                last = picture_zone("Last picture", f"{TAB}-last")
            with gr.Row():
                tries = gr.Radio(
                    [1, 4],
                    value=1,
                    label="How many clips",
                    info="4: four seeds to choose from, where a model makes them",
                    scale=2,
                )
                with gr.Column(scale=1, min_width=150):
                    photos = gr.Button("Try two photographs", size="sm", elem_id=f"{TAB}-photos")
                    example = gr.Button("Try two drawings", size="sm", elem_id=f"{TAB}-example")
            bar = run_bar("Make the clip", TAB, f"{HINT} {what_is_here()}".strip())
            with gr.Accordion("Settings, named as in the command", open=False):
                controls = model_settings(page.settings)
                loop = gr.Checkbox(False, label="--loop: from the last frame it goes on to the first")
                more = gr.Gallery(
                    label="Pictures in between, in order", type="filepath", interactive=True, height=160, columns=4,
                    sources=["upload"], file_types=["image"], buttons=[],
                )  # fmt: skip
        with gr.Column():
            strip = picture_shown("The clip while it is made", f"{TAB}-strip", STRIP_HEIGHT)
            clip = clip_zone("Clip", f"{TAB}-clip")
            gallery = gr.Gallery(
                label="Click the one you like", type="filepath", columns=4, fit_columns=False, visible=False,
                object_fit="contain", allow_preview=False, elem_id=f"{TAB}-tries", elem_classes="cards", buttons=[],
                interactive=False,
            )  # fmt: skip
            files = downloads(TAB)
            onward = gr.Button(
                "Go on: last frame as the next first picture", size="sm", interactive=False, elem_id=f"{TAB}-onward"
            )
    names = list(controls)

    def make(first: Any, last: Any, tries: Any, more: Any, loop: bool, *values: Any) -> Generator[Step, None, None]:
        between = [item[0] if isinstance(item, tuple) else item for item in more or []]
        pictures = open_pictures([first, *between, last], page.settings, "the first and the last picture")
        settings = chosen(dict(zip(names, values, strict=True)), run_numbers(page.settings))
        settings |= {"device": page.settings.device, **({"loop": True} if loop else {})}
        settings, sentence = settle(pictures, settings)
        seeds = 1 if settings.get("method") == INTERPOLATE else int(tries)
        results: list[Saved] = []
        folder = page.new_folder()
        unit = "frame" if settings.get("method") == INTERPOLATE else "step"
        for number, progress in clips_of(page.stream, pictures, seeds, settings):
            what = f"clip {number + 1} of {seeds}, " if seeds > 1 else ""
            done, total = number * progress.steps + progress.step, seeds * progress.steps or None
            if progress.clip is None:
                shows = {} if progress.preview is None else {strip: shrunk(progress.preview)}
                yield Step(what, done, total, shows, unit)
                continue
            saying = f"{what}writing the clip".capitalize()
            yield Step(saying, done, total, {strip: strip_of(progress.clip)}, unit="")
            name = f"clip_seed{settings.get('seed', 0) + number}" if seeds > 1 else "clip"
            results.append(save(progress.clip, folder, name))
            yield Step(saying, done, total, show(results, len(results) - 1), unit="")
        words = results[0].words if len(results) == 1 else "click the one you like best"
        yield Step(f"Done: {words}. {sentence}".strip())

    def show(results: list[Saved], number: int) -> dict[Any, Any]:
        items = [(str(each.thumb), f"{k + 1}: {each.words}") for k, each in enumerate(results)]
        seen = gr.Gallery(value=items, visible=len(items) > 1, selected_index=number)
        return {clip: str(results[number].path), gallery: seen, saved: list(results), picked: number,
                onward: gr.Button(interactive=True), **files.of(results[number].path)}  # fmt: skip

    def pick(results: list[Saved], event: gr.SelectData) -> dict[Any, Any]:
        return {clip: str(results[event.index].path), picked: event.index, **files.of(results[event.index].path)}

    results = [clip, gallery, saved, picked, onward, files.clip, files.manifest]
    wire(page, TAB, bar, make, [first, last, tries, more, loop, *controls.values()], [strip, *results])
    gallery.select(pick, saved, [clip, picked, files.clip, files.manifest], **PRIVATE)
    onward.click(go_on, [saved, picked], [first, last, bar.status], **PRIVATE)
    names_told = ("model", "num_inference_steps", "motion_bucket_id")
    pair = [first, last, *(controls[name] for name in names_told), bar.status]
    example.click(drawings, None, pair, **PRIVATE)
    photos.click(photographs, None, pair, **PRIVATE)


def what_is_here() -> str:
    """What becomes of photographs on this machine, said before anybody waits for it."""
    lacking = lacking_for_svd()
    return f"On this machine photographs are interpolated: there is {lacking}." if lacking else ""


def go_on(results: list[Saved], number: int) -> tuple[Any, ...]:
    """The last frame of the chosen clip as the first picture, and an empty place for the next."""
    return str(results[number].last), None, status(ONWARD)


def drawings() -> tuple[Any, ...]:
    """Two bundled drawings of 64 x 64 pixels, the bundled model, which knows such, and few steps for a CPU."""
    return (*bundled("walker"), POCKET, EXAMPLE_STEPS, AUTO, status(READY))


def photographs() -> tuple[Any, ...]:
    """Two bundled photographs, and the model left open."""
    return (*bundled("photo"), AUTO, "", USUAL, status(READY))
