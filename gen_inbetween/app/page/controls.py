"""Controls that several tabs have: pictures, curves, settings by the command's names, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gen_inbetween.app.page.numbers import USUAL, NumberField, run_numbers
from gen_inbetween.app.page.painting import drawn_curve
from gen_inbetween.app.page.runs import Page
from gen_inbetween.app.page.settings import PageSettings
from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.interpolation.registry import INTERPOLATORS
from gen_inbetween.interpolation.retiming.curves import EASES
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import FrameError, open_image
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import open_source
from gen_inbetween.models.demo_pairs import keyframes
from gen_inbetween.runtime.outputs import path_beside

STRIP_HEIGHT = 130  # pixels of the place of a strip, its label included
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def uploaded(payload: Any) -> str | None:
    """The file of a drop zone as it came; Gradio has checked that it is an upload."""
    return payload.path if payload else None


def picture_zone(label: str, elem_id: str, height: int = 240) -> Any:
    """A drop zone that is the preview."""
    zone: Any = gr.Image(
        label=label, type="filepath", sources=["upload", "clipboard"], height=height, elem_id=elem_id,
        buttons=[], placeholder="Drop a picture here, or click", format="png", alt_text=label,
    )  # fmt: skip
    # Gradio would open the file itself: drop alpha, cut 16 bits to white, and of a file that is no picture say nothing.
    # In place, for a class of our own would have Gradio write a stub beside this module.
    zone.preprocess = uploaded
    return zone


def picture_shown(label: str, elem_id: str, height: int | None = None, buttons: Sequence[Any] = ()) -> Any:
    """Where a picture is shown, under its label; Gradio makes a button of it, which the label must name."""
    return gr.Image(
        label=label, alt_text=label, interactive=False, height=height, elem_id=elem_id, elem_classes="below-label",
        buttons=list(buttons),
    )  # fmt: skip


def bundled(pair: str) -> tuple[Image.Image, Image.Image]:
    """The keyframes of a pair of the demo: as pictures, for files outside of the page's folder are not served."""
    first, last = keyframes(pair)
    return open_image(first), open_image(last)


@cache
def drawn_frames() -> tuple[Image.Image, ...]:
    """Two balls that fall and roll, 256 x 256 pixels, for somebody who has no film at hand."""
    clip = make_clip(5, num_frames=24, size=256, kind="ball", num_objects=2)
    return tuple(Image.fromarray(frame) for frame in clip.frames)


def example_film(page: Page, film: Any, elem_id: str) -> None:
    """A button that puts a drawn film into its place."""

    def draw() -> str:
        return str(Clip(list(drawn_frames()), 12).save(page.new_folder() / "drawn.mp4"))

    gr.Button("Try a drawn film", size="sm", elem_id=elem_id).click(draw, None, film, **PRIVATE)


def open_pictures(paths: Sequence[str | None], settings: PageSettings, wanted: str) -> list[Image.Image]:
    """The pictures that were dropped. ValueError: one is missing; FrameError: unreadable or too large."""
    if not all(paths):
        raise ValueError(f"{wanted}: missing here; drop a picture into each place")
    pictures = [open_image(path) for path in paths if path]  # as pictures: a manifest names no place of ours
    for picture in pictures:
        check_pixels(picture, settings)
    return pictures


def check_pixels(picture: Image.Image, settings: PageSettings) -> None:
    """FrameError: the picture is larger than the page allows."""
    if picture.width * picture.height > settings.max_megapixels * 1e6:
        raise FrameError(
            f"a picture has {picture.width} x {picture.height} pixels, and {settings.max_megapixels:g} million are "
            "the limit here; make it smaller"
        )


def curve_control(label: str, elem_id: str, value: str = "linear", *, visible: bool = True) -> Any:
    """A curve by its name or knots, as the command takes it."""
    return gr.Dropdown(
        list(EASES), value=value, label=label, allow_custom_value=True, visible=visible, elem_id=elem_id,
        info="A name, or knots such as 0:0,0.5:0.8,1:1",
    )  # fmt: skip


def drawing_board(curves: dict[str, Any], elem_id: str) -> None:
    """A board on which a curve is drawn as a line, and a button for each curve that takes it."""
    with gr.Accordion("Draw a curve", open=False):
        gr.Markdown(
            "Take the brush at the left of the board, then draw one line from edge to edge: time goes to the right, "
            "the motion upwards."
        )
        board = gr.Sketchpad(
            label="Board", type="pil", image_mode="RGBA", layers=False, canvas_size=(360, 200), height=330,
            brush=gr.Brush(default_size=6, colors=["#e8590c"], color_mode="fixed"), elem_id=elem_id, buttons=[],
        )  # fmt: skip
        said = gr.HTML("", elem_id=f"{elem_id}-said")
        with gr.Row():
            for name, curve in curves.items():
                gr.Button(f"Use for {name}", size="sm").click(take_curve, board, [curve, said], **PRIVATE)


def take_curve(board: dict[str, Any] | None) -> tuple[Any, str]:
    """The drawn curve as knots, and what is said of it."""
    try:
        return drawn_curve(board), "Taken."
    except ValueError as error:
        return gr.skip(), f"<span role='alert'>{str(error).capitalize()}.</span>"


def model_settings(settings: PageSettings) -> dict[str, Any]:
    """Controls of the settings that a run has, by the command's names, in the order they are to be read."""
    methods, numbers = [AUTO, *METHODS, INTERPOLATE], run_numbers(settings)
    with gr.Row():
        model = gr.Dropdown(list(settings.models), value=settings.models[0], label="--model")
        method = gr.Dropdown([USUAL, *methods], value=USUAL, label="--method")
        interpolator = interpolator_control()
    with gr.Row():
        typed = {name: numbers[name].control() for name in ("num_frames", "num_inference_steps", "seed", "fps")}
    with gr.Row():
        typed |= {name: numbers[name].control() for name in ("width", "height")}
        fit = gr.Dropdown(["crop", "pad", "stretch"], value="crop", label="--fit")
    moves = bucket_control()
    return {
        "model": model, "method": method, "interpolator": interpolator, **typed, "fit": fit, "motion_bucket_id": moves
    }  # fmt: skip


def bucket_control() -> Any:
    """How much moves, as a model is told it."""
    return gr.Dropdown(
        [USUAL, AUTO, *(str(bucket) for bucket in range(32, 256, 32))],
        value=USUAL,
        label="--set motion_bucket_id=",
        info="How much moves, 0 to 255, usually 127. auto: where the motions from both pictures agree.",
    )


def interpolator_control() -> Any:
    """The interpolators by name; files of weights are the command's."""
    return gr.Dropdown([USUAL, *INTERPOLATORS], value=USUAL, label="--interpolator")


def chosen(values: dict[str, Any], numbers: Mapping[str, NumberField] | None = None) -> dict[str, Any]:
    """The settings somebody chose, without those left as usual. ValueError: a field that holds no number."""
    said = {name: value for name, value in values.items() if value not in (None, "", USUAL)}
    said |= {name: field.read(said[name]) for name, field in (numbers or {}).items() if name in said}
    return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Downloads:
    """The two buttons under a result."""

    clip: Any
    manifest: Any

    def of(self, path: Path) -> dict[Any, Any]:
        """The buttons for a file that was written, and its manifest where one stands beside it."""
        beside = path_beside(path)
        there = beside.is_file()
        return {
            self.clip: gr.DownloadButton(value=str(path), interactive=True),
            self.manifest: gr.DownloadButton(value=str(beside) if there else None, interactive=there),
        }


def downloads(tab: str, what: str = "clip") -> Downloads:
    """Download buttons that wait for a result."""
    with gr.Row():
        clip = gr.DownloadButton(f"Download the {what}", interactive=False, elem_id=f"{tab}-download", size="sm")
        manifest = gr.DownloadButton(
            "How it was made (JSON)", interactive=False, elem_id=f"{tab}-manifest", size="sm"
        )  # fmt: skip
    return Downloads(clip, manifest)


def clip_zone(label: str, elem_id: str, height: int = 300) -> Any:
    """Where a result plays."""
    return gr.Video(
        label=label, interactive=False, autoplay=True, loop=True, height=height, elem_id=elem_id, buttons=[]
    )


def film_zone(label: str, elem_id: str, height: int = 300) -> Any:
    """A drop zone for a film, which plays there."""
    return gr.Video(label=label, sources=["upload"], height=height, elem_id=elem_id, buttons=[])


def frame_at(path: str, second: float) -> Image.Image:
    """The frame of a film that is shown at this second, the nearest there is; only what leads to it is decoded."""
    source = open_source(path)
    times = source.times
    number = max(0, int((times <= second + 1e-6).sum()) - 1)
    try:
        return next(source.frames(number, number + 1))
    except VideoError:
        return next(source.frames(0, 1))
