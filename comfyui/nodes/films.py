"""Interpolate and Retime Video: other frame rates, slow motion, curves, loops, by optical flow."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import InputImpl, io
from torch import Tensor

from .conversion import outputs_of, pictures_of
from .folders import interpolator_source
from .inputs import CATEGORY, Model, clip_outputs, curve_input, interpolator_input
from .loading import ModelChoice
from .running import film_device, working

CUTS = "Never draw across a scene cut."
REPEATS = "keep frames that repeat the one before, or replace them by even motion."
LARGE = "Where motion is too large to follow: draw it anyway, cross-fade, hold the nearer frame, or generate (model)."
OVERLAYS = "hold: logos, titles and subtitles that stand while what is around them moves stay as they are."
CADENCE = "Drawings on twos or threes: keep them, or smooth: draw between them."


class Interpolate(io.ComfyNode):
    """Interpolate."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        rate = io.Float.Input("fps", default=24.0, min=1.0, max=1000.0, step=0.01, tooltip="Frames a second.")
        count = io.Int.Input("num_frames", default=25, min=2, max=10000, tooltip="Of the new clip.")
        multiplier = io.Int.Input("factor", default=2, min=2, max=128, tooltip="Frames for each one.")
        times = io.String.Input("times", default="0, 0.5, 1", tooltip="Positions in frames of the clip, by commas.")
        return io.Schema(
            node_id="GenInbetweenInterpolate",
            display_name="Interpolate",
            category=CATEGORY,
            description="More frames, others, slower or eased, between the pictures of a batch; no diffusion model.",
            search_aliases=["frame interpolation", "RIFE", "FILM", "slow motion"],
            inputs=[
                io.Image.Input("images", tooltip="Two pictures or more, of one size."),
                io.Float.Input("source_fps", default=7.0, min=1.0, max=1000.0, step=0.01, tooltip="Of the batch."),
                io.DynamicCombo.Input(
                    "target",
                    options=[
                        io.DynamicCombo.Option("multiply", [multiplier]),
                        io.DynamicCombo.Option("fps", [rate]),
                        io.DynamicCombo.Option("count", [count]),
                        io.DynamicCombo.Option("times", [times]),
                    ],
                    tooltip="How many frames there are to be, or which.",
                ),
                curve_input(),
                interpolator_input(),
                io.Boolean.Input("loop", default=False, tooltip="From the last frame on to the first.", advanced=True),
                io.Boolean.Input("cuts", default=True, tooltip=CUTS, advanced=True),
                io.Combo.Input("duplicates", options=["keep", "replace"], tooltip=REPEATS, advanced=True),
            ],
            outputs=[*clip_outputs(), io.Float.Output(display_name="fps")],
        )

    @classmethod
    def execute(
        cls, images: Tensor, source_fps: float, target: dict[str, Any], interpolator: str, **settings: Any
    ) -> io.NodeOutput:
        """The clip at other times."""
        from gen_inbetween.interpolation.retiming.retime import retime
        from gen_inbetween.interpolation.retiming.timing import plan_times
        from gen_inbetween.media.clip import Clip
        from gen_inbetween.media.times.rates import exact_rate

        clip = Clip(pictures_of(images), source_fps)
        wanted = wanted_frames(target, len(clip), source_fps, loop=settings.get("loop", False))
        if "times" in wanted and settings.pop("curve", "linear") != "linear":
            raise ValueError("times say themselves when each frame is: leave the curve at linear")
        paced = {name: settings[name] for name in ("curve", "loop") if name in settings}
        exact_rate(plan_times(len(clip), source_fps, **wanted, **paced).fps)  # a VIDEO has one that can be written
        opened: dict[str, Any] = {"interpolator": interpolator_source(interpolator), "device": film_device()}
        with working():
            made = retime(clip, **wanted, **settings, **opened, progress=False)
        return io.NodeOutput(*outputs_of(made), float(made.fps))


def wanted_frames(target: dict[str, Any], count: int, fps: float, *, loop: bool) -> dict[str, Any]:
    """What was chosen of `target`, as `retime` takes it. ValueError: times that are no numbers."""
    kind = target["target"]
    if kind == "multiply":
        steps = count if loop else count - 1
        return {"num_frames": steps * target["factor"] + (not loop), "fps": fps * target["factor"]}
    if kind == "times":
        try:
            return {"times": [float(word) for word in target["times"].split(",")], "fps": fps}
        except ValueError as error:
            raise ValueError(f"times {target['times']!r}: expected numbers by commas, such as 0, 0.5, 1") from error
    return {"num_frames": target["num_frames"]} if kind == "count" else {"fps": target["fps"]}


class RetimeVideo(io.ComfyNode):
    """Retime Video."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Inputs and outputs."""
        return io.Schema(
            node_id="GenInbetweenRetimeVideo",
            display_name="Retime Video",
            category=CATEGORY,
            description="A film at another rate, slower, faster or eased. Its frames go from file to file and never "
            "lie in memory; its sound goes along.",
            search_aliases=["slow motion", "frame rate", "speed ramp", "video interpolation"],
            inputs=[
                io.Video.Input("video"),
                io.Float.Input("fps", default=0.0, min=0.0, max=1000.0, step=0.001, tooltip="0: the film's own."),
                io.Float.Input("scale", default=1.0, min=0.001, max=1000.0, step=0.1, tooltip="4: four times as long."),
                curve_input(),
                interpolator_input(),
                io.Combo.Input(
                    "audio",
                    options=["auto", "keep", "stretch", "drop"],
                    tooltip="auto: kept where the pace stays, stretched at its own pitch where it changes.",
                ),
                io.Boolean.Input("loop", default=False, tooltip="From the last frame on to the first.", advanced=True),
                io.Boolean.Input("cuts", default=True, tooltip=CUTS, advanced=True),
                io.Combo.Input("duplicates", options=["keep", "replace"], tooltip=REPEATS, advanced=True),
                *(
                    # optional, since workflows from before they existed lack them
                    io.Combo.Input(name, options=options, tooltip=tooltip, advanced=True, optional=True)
                    for name, options, tooltip in (
                        ("large_motion", ["draw", "blend", "hold", "generate"], LARGE),
                        ("overlays", ["ignore", "hold"], OVERLAYS),
                        ("cadence", ["keep", "smooth"], CADENCE),
                    )
                ),
                Model.Input("model", optional=True, tooltip="Of large_motion generate."),
            ],
            outputs=[
                io.Video.Output(display_name="video"),
                io.String.Output(display_name="manifest", tooltip="How it was made, as JSON."),
            ],
        )

    @classmethod
    def execute(
        cls,
        video: Any,
        fps: float,
        scale: float,
        audio: str,
        interpolator: str,
        duplicates: str = "keep",
        large_motion: str = "draw",
        overlays: str = "ignore",
        cadence: str = "keep",
        model: ModelChoice | None = None,
        **settings: Any,
    ) -> io.NodeOutput:
        """The film in a file of ComfyUI's temporary folder."""
        from gen_inbetween.interpolation.retiming.cadence import duplicates_for
        from gen_inbetween.interpolation.retiming.retime_video import retime_video
        from gen_inbetween.runtime import manifest as manifests

        folder = Path(folder_paths.get_temp_directory()) / "gen_inbetween"
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / f"retimed_{uuid.uuid4().hex}.mp4"
        opened: dict[str, Any] = {"interpolator": interpolator_source(interpolator), "device": film_device()}
        sound = None if audio == "auto" else audio
        settings |= {"large_motion": large_motion, "overlays": overlays}
        settings["duplicates"] = duplicates_for(duplicates, cadence if cadence == "smooth" else None)
        generating = large_motion == "generate"
        keep = model is None or model.keep
        with tempfile.TemporaryDirectory(dir=folder) as scratch, working(keep=keep, sampling=generating):
            if generating:
                settings["generator"] = generator(model)
            source = file_of(video, Path(scratch))
            pace: dict[str, Any] = {"fps": fps or None, "scale": scale, "audio": sound}
            retime_video(source, out, **pace, **settings, **opened, resume=False, progress=False)
        return io.NodeOutput(InputImpl.VideoFromFile(str(out)), json.dumps(manifests.read(out), indent=2))


def generator(model: ModelChoice | None) -> Any:
    """The model set to draw between two frames. ValueError: none is connected."""
    from gen_inbetween.generation.films.pair_generator import open_pair_generator

    if model is None:
        raise ValueError("large_motion generate draws with a diffusion model: connect Load Inbetween Model to `model`")
    settings = {name: value for name, value in model.settings().items() if value is not None}
    return open_pair_generator(**settings)


def file_of(video: Any, scratch: Path) -> Path:
    """The file that a VIDEO is read from; one that is trimmed, edited or in memory is written to `scratch` first."""
    trimmed = any(getattr(video, "get_active_trim_window", lambda: (0, 0))())
    edited = getattr(video, "has_pending_frame_edits", lambda: False)()
    source = None if trimmed or edited else video.get_stream_source()
    if isinstance(source, str | os.PathLike):
        return Path(source)
    file = scratch / "source.mp4"
    video.save_to(str(file))
    return file
