"""Controls that several tabs have: pictures, curves, settings by the command's names, results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from gen_inbetween.app.page.painting import drawn_curve
from gen_inbetween.app.page.settings import PageSettings
from gen_inbetween.diffusion.methods import METHODS
from gen_inbetween.diffusion.options import AUTO, INTERPOLATE
from gen_inbetween.generation.demo import keyframes
from gen_inbetween.interpolation.registry import INTERPOLATORS
from gen_inbetween.interpolation.retiming.curves import EASES
from gen_inbetween.media.image import FrameError, open_image
from gen_inbetween.runtime.outputs import path_beside

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
USUAL = "usual"  # of a setting that is left to the program


def picture_zone(label: str, elem_id: str, height: int = 240) -> Any:
    """A drop zone that is the preview."""
    return gr.Image(
        label=label, type="filepath", sources=["upload", "clipboard"], height=height, elem_id=elem_id,
        buttons=[], placeholder="Drop a picture here, or click", format="png",
    )  # fmt: skip


def bundled(pair: str) -> tuple[Image.Image, Image.Image]:
    """The keyframes of a pair of the demo: as pictures, for files outside of the page's folder are not served."""
    first, last = keyframes(pair)
    return open_image(first), open_image(last)


def open_pictures(paths: Sequence[str | None], settings: PageSettings, wanted: str) -> list[Image.Image]:
    """The pictures that were dropped. ValueError: one is missing; FrameError: unreadable or too large."""
    if not all(paths):
        raise ValueError(f"{wanted}: missing here; drop a picture into each place")
    pictures = [open_image(path) for path in paths if path]  # as pictures: a manifest names no place of ours
    for picture in pictures:
        if picture.width * picture.height > settings.max_megapixels * 1e6:
            raise FrameError(
                f"a picture has {picture.width} x {picture.height} pixels, and {settings.max_megapixels:g} million are "
                "the limit here; make it smaller"
            )
    return pictures


def curve_control(label: str, elem_id: str, value: str = "linear", *, visible: bool = True) -> Any:
    """A curve by its name or knots, as the command takes it."""
    return gr.Dropdown(
        list(EASES), value=value, label=label, allow_custom_value=True, visible=visible, elem_id=elem_id,
        info="A name, or knots such as 0:0,0.5:0.8,1:1",
    )  # fmt: skip


def drawing_board(curves: dict[str, Any], elem_id: str) -> None:
    """A board on which a curve is drawn as a line, and a button for each curve that takes it."""
    with gr.Accordion("Draw a curve", open=False):
        gr.Markdown("From left to right is time, from bottom to top how far the motion is. One line, edge to edge.")
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
    methods = [AUTO, *METHODS, INTERPOLATE]
    with gr.Row():
        model = gr.Dropdown(list(settings.models), value=settings.models[0], label="--model")
        method = gr.Dropdown([USUAL, *methods], value=USUAL, label="--method")
        interpolator = interpolator_control()
    with gr.Row():
        frames = gr.Number(None, label="--frames", precision=0, minimum=2, maximum=settings.max_frames)
        steps = gr.Number(None, label="--steps", precision=0, minimum=1, maximum=settings.max_steps)
        seed = gr.Number(0, label="--seed", precision=0, minimum=0)
        fps = gr.Number(7, label="--fps", minimum=0.1, maximum=240)
    with gr.Row():
        width = gr.Number(None, label="--set width=", precision=0, minimum=16, maximum=4096)
        height = gr.Number(None, label="--set height=", precision=0, minimum=16, maximum=4096)
        fit = gr.Dropdown(["crop", "pad", "stretch"], value="crop", label="--fit")
    return {
        "model": model, "method": method, "interpolator": interpolator, "num_frames": frames,
        "num_inference_steps": steps, "seed": seed, "fps": fps, "width": width, "height": height, "fit": fit,
    }  # fmt: skip


def interpolator_control() -> Any:
    """The interpolators by name; files of weights are the command's."""
    return gr.Dropdown([USUAL, *INTERPOLATORS], value=USUAL, label="--interpolator")


def chosen(values: dict[str, Any]) -> dict[str, Any]:
    """The settings somebody chose, without those left as usual; fields that are empty, or 0 where 0 says nothing."""
    said = {name: value for name, value in values.items() if value not in (None, "", USUAL)}
    return {name: value for name, value in said.items() if value != 0 or name == "seed"}


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
