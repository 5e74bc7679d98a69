"""The tab of comparison: several methods on one pair, side by side."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from gen_inbetween.app.page.clips import clips_of, save
from gen_inbetween.app.page.controls import (
    PRIVATE,
    bucket_control,
    bundled,
    chosen,
    clip_zone,
    downloads,
    open_pictures,
    picture_shown,
    picture_zone,
)
from gen_inbetween.app.page.numbers import USUAL, run_numbers
from gen_inbetween.app.page.runs import Page, Step, run_bar, wire
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.auto import lacking_model
from gen_inbetween.generation.settings import Settings
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.contact_sheet import TILE_MIN, contact_sheet
from gen_inbetween.media.image import load_image
from gen_inbetween.models.registry import SVD_REMEDY

TAB = "compare"
BUCKET = "motion_bucket_id"
BY = f"{INTERPOLATE}: "  # before an interpolator's name
CHOICES = [f"{BY}dis-splat", f"{BY}blend", f"{BY}tiny-di", *METHODS]
HINT = "Drop two pictures, tick the methods, then press the button."


def build(page: Page) -> None:
    """The tab's controls and what they do."""
    paths = gr.State([])
    with gr.Row():
        with gr.Column(scale=2):
            with gr.Row():
                first = picture_zone("First picture", f"{TAB}-first", 220)
                last = picture_zone("Last picture", f"{TAB}-last", 220)
            with gr.Row():
                photos = gr.Button("Try two photographs", size="sm", elem_id=f"{TAB}-photos")
                example = gr.Button("Try two drawings", size="sm", elem_id=f"{TAB}-example")
            methods = gr.CheckboxGroup(
                CHOICES, value=CHOICES[:2], label="Methods", elem_id=f"{TAB}-methods",
                info="Those that interpolate are quick and take any pictures. The others sample the diffusion model.",
            )  # fmt: skip
            bar = run_bar("Compare", TAB, HINT)
            with gr.Accordion("Settings, named as in the command", open=False):
                models = list(page.settings.models)
                model = gr.Dropdown(models, value=models[0], label="--model")
                names = ("num_frames", "num_inference_steps", "seed")
                numbers = {name: run_numbers(page.settings)[name] for name in names}
                with gr.Row():
                    frames, steps, seed = (field.control() for field in numbers.values())
                moves = bucket_control()
        with gr.Column(scale=3):
            gallery = gr.Gallery(
                label="Clips: click one to see it large", type="filepath", columns=3, fit_columns=False,
                object_fit="contain", interactive=False, allow_preview=False, elem_id=f"{TAB}-clips",
                elem_classes="cards", buttons=[],
            )  # fmt: skip
            clip = clip_zone("Clip", f"{TAB}-clip", 260)
            files = downloads(TAB)
            sheet = picture_shown("Frame by frame", f"{TAB}-sheet", buttons=["fullscreen"])

    def make(
        first: Any, last: Any, methods: list[str], model: str, moves: str, *typed: str
    ) -> Generator[Step, None, None]:
        pictures = open_pictures([first, last], page.settings, "the first and the last picture")
        check_methods(methods, model, pictures)
        sampling = {"model": model, **chosen({BUCKET: moves})}
        sampling |= chosen(dict(zip(numbers, typed, strict=True)), numbers)
        folder, clips, items, results = page.new_folder(), dict[str, Clip](), list[tuple[str, str]](), list[str]()
        for number, name in enumerate(methods):
            settings = settings_of(name, sampling) | {"device": page.settings.device}
            for _, progress in clips_of(page.stream, pictures, 1, settings):
                shows: dict[Any, Any] = {}
                if progress.clip is not None:
                    saved = save(progress.clip, folder, name.removeprefix(BY))
                    clips[name] = progress.clip
                    items.append((str(saved.thumb), f"{name}: {saved.words}"))
                    results.append(str(saved.path))
                    shows = {gallery: list(items), paths: list(results)}
                unit = "frame" if name.startswith(BY) else "step"
                what = f"{name} ({number + 1} of {len(methods)}), "
                yield Step(what, progress.step, progress.steps or None, shows, unit)
        rows = {name: [tile_of(frame) for frame in each] for name, each in clips.items()}
        shows = {sheet: contact_sheet(rows, columns=6), clip: results[0], **files.of(Path(results[0]))}
        yield Step("Done: click a clip to see it large.", shows=shows)

    def pick(results: list[str], event: gr.SelectData) -> dict[Any, Any]:
        return {clip: results[event.index], **files.of(Path(results[event.index]))}

    wire(
        page,
        TAB,
        bar,
        make,
        [first, last, methods, model, moves, frames, steps, seed],
        [gallery, paths, clip, sheet, files.clip, files.manifest],
    )
    gallery.select(pick, paths, [clip, files.clip, files.manifest], **PRIVATE)
    pair = [first, last, model, steps, moves]
    example.click(lambda: (*bundled("walker"), "pocket-2", "10", AUTO), None, pair, **PRIVATE)
    photos.click(lambda: (*bundled("photo"), AUTO, "", USUAL), None, pair, **PRIVATE)


def tile_of(frame: Image.Image) -> Image.Image:
    """A frame as small as a sheet takes them, so that the names above the rows are read on the page, too."""
    return ImageOps.contain(load_image(frame), (TILE_MIN, TILE_MIN))


def check_methods(methods: list[str], model: str, pictures: Any) -> None:
    """ValueError: nothing to compare, or methods of diffusion where no model for these pictures is here."""
    if not methods:
        raise ValueError("tick one method at least")
    sampling = [name for name in methods if not name.startswith(BY)]
    lacking = lacking_model(Settings(model=model), pictures)
    if sampling and lacking:
        raise ValueError(
            f"{', '.join(sampling)} need SVD for pictures of this size, and there is {lacking} here; {SVD_REMEDY}. "
            "Interpolators can be compared"
        )


def settings_of(name: str, sampling: dict[str, Any]) -> dict[str, Any]:
    """The settings of one of CHOICES; sampling: those of a diffusion model."""
    if not name.startswith(BY):
        alone = METHODS[name].motions == "forward"  # there is no other motion that it could agree with
        own = {key: value for key, value in sampling.items() if not (alone and (key, value) == (BUCKET, AUTO))}
        return {"method": name, **own}
    length = {key: value for key, value in sampling.items() if key == "num_frames"}
    return {"method": INTERPOLATE, "interpolator": name.removeprefix(BY), **length}
