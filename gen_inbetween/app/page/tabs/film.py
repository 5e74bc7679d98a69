"""The tab of films: rate, slow motion, curve, loop; disk to disk."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from gen_inbetween.app.page.controls import (
    chosen,
    clip_zone,
    curve_control,
    downloads,
    drawing_board,
    example_film,
    film_zone,
    frame_at,
    interpolator_control,
)
from gen_inbetween.app.page.follow import follow
from gen_inbetween.app.page.numbers import NumberField
from gen_inbetween.app.page.runs import Page, Step, run_bar, wire
from gen_inbetween.interpolation.faults.doubt import spans_in_words
from gen_inbetween.interpolation.retiming.cadence import duplicates_for
from gen_inbetween.interpolation.retiming.retime_video import RetimedVideo, retime_video
from gen_inbetween.media.times.rates import parse_seconds
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.files import short_name

TAB = "film"
RATE, SLOW, CURVE, LOOP = "Smoother: more frames a second", "Slow motion", "Its pace along a curve", "A loop"
SCALE = NumberField("Times as long (--scale)", 0.1, 100, whole=False)
HINT = "Drop a film, say what it shall become, then press the button."


def build(page: Page) -> None:
    """The tab's controls and what they do."""
    pair = gr.State(())
    with gr.Row():
        with gr.Column():
            film = film_zone("Film", f"{TAB}-film")
            example_film(page, film, f"{TAB}-example")
            what = gr.Radio([RATE, SLOW, CURVE, LOOP], value=RATE, label="What it shall become", elem_id=f"{TAB}-what")
            with gr.Row():
                fps = gr.Textbox("60", label="Frames a second (--fps)", max_lines=1, elem_id=f"{TAB}-fps")
                scale = SCALE.control("4", visible=False)
                curve = curve_control("Curve (--curve)", f"{TAB}-curve", "ease-in-out", visible=False)
            with gr.Column(visible=False) as board:
                drawing_board({"the film": curve}, f"{TAB}-board")
            bar = run_bar("Make the film", TAB, HINT)
            with gr.Accordion("Settings, named as in the command", open=False):
                with gr.Row():
                    start = gr.Textbox("", label="--start: seconds or 00:01:02.5", max_lines=1)
                    stop = gr.Textbox("", label="--stop", max_lines=1)
                with gr.Row():
                    interpolator = interpolator_control()
                    duplicates = gr.Dropdown(["keep", "replace"], value="keep", label="--duplicates")
                    audio = gr.Dropdown(["usual", "keep", "stretch", "drop"], value="usual", label="--audio")
                with gr.Row():
                    large_motion = gr.Dropdown(["draw", "blend", "hold", "generate"], value="draw",
                                               label="--large-motion: too large to follow")  # fmt: skip
                    model = gr.Dropdown(list(page.settings.models), value=page.settings.models[0], visible=False,
                                        label="--model that generates there")  # fmt: skip
                    overlays = gr.Dropdown(["ignore", "hold"], value="ignore", label="--overlays: logos, subtitles")
                    cadence = gr.Dropdown(["keep", "smooth"], value="keep", label="--cadence: drawings on twos, threes")
                cuts = gr.Checkbox(True, label="--cuts: keep scene cuts")
        with gr.Column():
            clip = clip_zone("The new film", f"{TAB}-clip")
            files = downloads(TAB, "film")
            seconds = gr.Slider(0, 1, 0, step=0.01, label="Before and after, at second", elem_id=f"{TAB}-second")
            slider = gr.ImageSlider(
                label="Before | after", type="filepath", interactive=False, height=260, max_height=258,
                elem_id=f"{TAB}-slider", buttons=[],
            )  # fmt: skip

    def fields(what: str) -> dict[Any, Any]:
        return {fps: gr.Textbox(visible=what == RATE), scale: gr.Textbox(visible=what == SLOW),
                curve: gr.Dropdown(visible=what == CURVE), board: gr.Column(visible=what == CURVE)}  # fmt: skip

    def make(
        film: str | None, what: str, fps: str, scale: str, curve: str, start: str, stop: str, interpolator: str,
        duplicates: str, audio: str, cuts: bool, large_motion: str, model: str, overlays: str, cadence: str,
    ) -> Generator[Step, None, None]:  # fmt: skip
        if not film:
            raise ValueError("drop a film first")
        settings = chosen({"interpolator": interpolator, "audio": audio, "start": start, "stop": stop})
        repeats = duplicates_for(duplicates, cadence if cadence == "smooth" else None)
        settings |= {"duplicates": repeats, "cuts": cuts, "device": page.settings.device}
        settings |= {"large_motion": large_motion, "overlays": overlays} | asked(what, fps, scale, curve)
        if large_motion == "generate":
            settings["generator"] = page.open_pair_generator(model, device=page.settings.device)
        out = page.new_folder() / f"{short_name(Path(film).stem)}_new.mp4"
        work = follow(lambda show: retime_video(film, out, progress=False, **settings))
        with page.keeping(out), closing(work) as looks:
            for look in looks:
                if look.result is None:
                    yield Step("", look.done, look.total, unit="frame")
                    continue
                made: RetimedVideo = look.result[0]
                begins = parse_seconds(settings.get("start"), "start") or 0.0
                shown = gr.Slider(maximum=round(made.duration, 2), value=round(made.duration / 2, 2))
                both = (str(film), str(out), settings.get("scale", 1.0), begins)
                shows = {clip: str(out), pair: both, seconds: shown, slider: compared(both, made.duration / 2)}
                yield Step(sentence(made), shows=shows | files.of(out))

    inputs = [film, what, fps, scale, curve, start, stop, interpolator, duplicates, audio, cuts]
    inputs += [large_motion, model, overlays, cadence]
    wire(page, TAB, bar, make, inputs, [clip, pair, seconds, slider, files.clip, files.manifest])
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    what.change(fields, what, [fps, scale, curve, board], **private)
    large_motion.change(lambda way: gr.Dropdown(visible=way == "generate"), large_motion, model, **private)
    seconds.release(compared, [pair, seconds], slider, **private)


def asked(what: str, fps: str, scale: str, curve: str) -> dict[str, Any]:
    """What was asked for, as `retime_video` takes it. ValueError: a field is empty."""
    if what == RATE:
        if not fps.strip():
            raise ValueError("say how many frames a second, such as 60")
        return {"fps": fps.strip()}
    if what == SLOW:
        if not scale.strip():
            raise ValueError("say how many times as long, such as 4")
        return {"scale": SCALE.read(scale)}
    return {"curve": curve} if what == CURVE else {"loop": True}


def sentence(made: RetimedVideo) -> str:
    """What came of it, and which of it to look at."""
    cuts = f" {made.cuts} scene cuts kept." if made.cuts else ""
    drawings = f" Drawn on {made.cadence}." if made.cadence else ""
    record = manifests.read(made.path)
    spans = record["quality"]["spans"]["doubtful"]
    treated = {
        "draw": "may show things twice",
        "blend": "cross-faded",
        "hold": "the nearer frame",
        "generate": "generated",
    }
    way = treated[record["settings"]["large_motion"]]
    doubtful = f" Large motion at {spans_in_words(spans)} of the source: {way}." if spans else ""
    return f"Done: {made.written} frames, {made.fps:g} a second, {made.duration:.1f} s.{cuts}{drawings}{doubtful}"


def compared(pair: tuple[str, str, float, float], second: float) -> Any:
    """The frames of the film and of the new one at this second of the new one.

    pair: both films, how many times as long the new one is, and the second of the old one that it begins at.
    """
    if not pair:
        return gr.skip()
    film, out, slowing, begins = pair
    folder = Path(out).parent
    frames = []
    for path, at, name in ((film, begins + second / slowing, "before"), (out, second, "after")):
        frame = frame_at(path, at)
        file = folder / f"{name}_{second:.2f}.jpg"
        frame.save(file, quality=90)
        frames.append(str(file))
    return tuple(frames)
