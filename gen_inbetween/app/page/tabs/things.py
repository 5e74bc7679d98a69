"""The tab of single things: painted or dotted on, each along its own curve."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.app.page.clips import check_memory, clips_of, save, shrunk, strip_of
from gen_inbetween.app.page.controls import (
    PRIVATE,
    STRIP_HEIGHT,
    check_pixels,
    chosen,
    clip_zone,
    curve_control,
    downloads,
    drawing_board,
    drawn_frames,
    open_pictures,
    picture_shown,
    picture_zone,
)
from gen_inbetween.app.page.follow import follow
from gen_inbetween.app.page.numbers import USUAL, run_numbers
from gen_inbetween.app.page.painting import BRUSHES, dots_of, painted_masks, picture_of, typed_points
from gen_inbetween.app.page.runs import Page, Step, run_bar, wire
from gen_inbetween.interpolation.editing.clicks import masks_from_clicks
from gen_inbetween.interpolation.editing.edit_motion import MAP_TAKERS, edit_motion
from gen_inbetween.interpolation.editing.masks import mask_notices
from gen_inbetween.interpolation.editing.sam import find_sam, masks_from_sam
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import load_image
from gen_inbetween.runtime.hub import ModelError

TAB = "things"
WHOLE, DOTS, SAM = "whole things", "a dot on each: find the rest", "a dot on each: SAM finds the rest"
HINT = (
    "Drop two pictures, take the brush at the left of the first one, paint over a thing, choose how it moves, then "
    "press the button."
)


def build(page: Page) -> None:
    """The tab's controls and what they do."""
    numbers = run_numbers(page.settings)
    with gr.Row():
        with gr.Column():
            with gr.Row():
                first = gr.ImageEditor(
                    label="First picture", type="pil",
                    image_mode="RGBA", buttons=[],
                    format="png", layers=False, fixed_canvas=False, transforms=[], sources=["upload"], height=330,
                    brush=gr.Brush(default_size=18, colors=list(BRUSHES.values()), color_mode="fixed"),
                    elem_id=f"{TAB}-first", scale=3, min_width=340,
                )  # fmt: skip
                with gr.Column(scale=2, min_width=160):
                    last = picture_zone("Last picture", f"{TAB}-last", height=330)
            example = gr.Button("Try two drawings", size="sm", elem_id=f"{TAB}-example")
            painted = gr.Radio(ways(), value=WHOLE, label="I painted", elem_id=f"{TAB}-painted")
            with gr.Row():
                curves = {name: curve_control(f"The {name} thing", f"{TAB}-{name}", "ease-in-out") for name in BRUSHES}
            bar = run_bar("Move them", TAB, HINT)
            drawing_board({f"the {name} thing": curve for name, curve in curves.items()}, f"{TAB}-board")
            with gr.Accordion("Settings, named as in the command", open=False):
                clicks = gr.Textbox(
                    "", label="--click: in place of painting, where things are: x,y; x,y", max_lines=1,
                    info="In pixels of the first picture, the orange thing, the blue one, the green one",
                )  # fmt: skip
                with gr.Row():
                    frames, fps = numbers["num_frames"].control("25"), numbers["fps"].control()
                    interpolator = gr.Dropdown([USUAL, *MAP_TAKERS], value=USUAL, label="--interpolator")
                    background = curve_control("--background", f"{TAB}-background")
                draft = gr.Checkbox(False, label="Then as --draft: the diffusion model makes the clip anew along it")
                with gr.Row():
                    model = gr.Dropdown(list(page.settings.models), value=page.settings.models[0], label="--model")
                    strength = gr.Slider(0.1, 1, 0.6, step=0.05, label="--draft-strength")
                    steps = numbers["num_inference_steps"].control()
        with gr.Column():
            strip = picture_shown("The clip", f"{TAB}-strip", STRIP_HEIGHT)
            clip = clip_zone("Clip", f"{TAB}-clip")
            found = picture_shown("What was taken for the things", f"{TAB}-found", 220)
            files = downloads(TAB)

    def make(
        editor: dict[str, Any] | None, last: str | None, painted: str, orange: str, blue: str, green: str, clicks: str,
        frames: str, fps: str, interpolator: str, background: str, draft: bool, model: str, strength: float, steps: str,
    ) -> Generator[Step, None, None]:  # fmt: skip
        picture = picture_of(editor)
        if picture is None or editor is None:
            raise ValueError("drop the first picture first")
        check_pixels(picture, page.settings)
        (second,) = open_pictures([last], page.settings, "the last picture")
        second = load_image(second)
        typed = chosen({"num_frames": frames, "fps": fps, "num_inference_steps": steps}, numbers)
        sampled = {name: typed.pop(name) for name in ("num_inference_steps",) if name in typed}
        check_memory(picture.size, typed.get("num_frames"), chosen({"name": interpolator}).get("name"))
        points = typed_points(clicks)
        painted = DOTS if points and painted == WHOLE else painted
        masks = things_of(editor, picture, painted, page.settings.device, points)
        by_colour = dict(zip(BRUSHES, (orange, blue, green), strict=True))
        yield Step("the things are found, ", 0, None, {found: shown(picture, masks)})
        settings = {"background": background, **typed, **chosen({"interpolator": interpolator})}
        settings |= {"device": page.settings.device, "progress": False}
        moving = [by_colour[name] for name in masks]
        made: Clip | None = None
        for look in follow(lambda show: edit_motion(picture, second, list(masks.values()), moving, **settings)):
            if look.result is None:
                yield Step("moving them, ", look.done, look.total, unit="frame")
            else:
                made = look.result[0]
        assert made is not None
        if draft:
            yield Step("the draft is made, ", 0, None, {strip: strip_of(made)})
            sampling = {"model": model, "draft": made, "draft_strength": strength, "num_frames": len(made)}
            sampling |= {"fps": made.fps, **sampled}
            for _, progress in clips_of(page.stream, [picture, second], 1, sampling | {"device": page.settings.device}):
                shows = {} if progress.preview is None else {strip: shrunk(progress.preview)}
                made = progress.clip or made
                yield Step("redrawing, ", progress.step, progress.steps or None, shows)
        saved = save(made, page.new_folder(), "moved")
        said = f"Done: {saved.words}. {doubts(masks, painted)}".rstrip()
        yield Step(said, shows={strip: strip_of(made), clip: str(saved.path), **files.of(saved.path)})

    inputs = [
        first,
        last,
        painted,
        *curves.values(),
        clicks,
        frames,
        fps,
        interpolator,
        background,
        draft,
        model,
        strength,
        steps,
    ]
    wire(page, TAB, bar, make, inputs, [strip, clip, found, files.clip, files.manifest])
    example.click(drawings, None, [first, last], **PRIVATE)


def drawings() -> tuple[dict[str, Any], Image.Image]:
    """Two frames of the drawn film, as far apart as optical flow can follow."""
    frames = drawn_frames()
    first, last = frames[8], frames[10]
    return {"background": first, "layers": [], "composite": first}, last


def ways() -> list[str]:
    """How things can be painted on: SAM's way only where its weights are."""
    try:
        find_sam()
    except ModelError:
        return [WHOLE, DOTS]
    return [WHOLE, DOTS, SAM]


def things_of(
    editor: Mapping[str, Any],
    picture: Image.Image,
    painted: str,
    device: str | None = None,
    points: Sequence[tuple[float, float]] = (),
) -> dict[str, NDArray[np.bool_]]:
    """The masks of the things by colour; of dots, or of points that were typed, what was found around them."""
    if points:
        dots = {name: [point] for name, point in zip(BRUSHES, points, strict=False)}
    else:
        masks = painted_masks(editor)
        if painted == WHOLE:
            return masks
        dots = {name: dots_of(mask) for name, mask in masks.items()}
    clicks = list(dots.values())
    found = masks_from_sam(picture, clicks, device=device) if painted == SAM else masks_from_clicks(picture, clicks)
    return dict(zip(dots, found, strict=True))


def doubts(masks: Mapping[str, NDArray[np.bool_]], painted: str) -> str:
    """What a person should look at in the masks, as a sentence for each; empty where all look like things."""
    notices = {name: mask_notices(mask, clicked=painted != WHOLE) for name, mask in masks.items()}
    return " ".join(f"The {name} thing: {notice}." for name, said in notices.items() for notice in said)


def shown(picture: Image.Image, masks: Mapping[str, NDArray[np.bool_]]) -> Image.Image:
    """The picture, dim, with each thing lit in its colour."""
    pixels = np.asarray(picture).astype(np.float32) * 0.4
    for name, mask in masks.items():
        colour = np.array([int(BRUSHES[name][k : k + 2], 16) for k in (1, 3, 5)], np.float32)
        pixels[mask] = 0.5 * np.asarray(picture)[mask] + 0.5 * colour
    return Image.fromarray(pixels.round().astype(np.uint8))
