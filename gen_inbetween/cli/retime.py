"""`inbetween retime` and `inbetween slowmo`: retiming of videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import (
    Background,
    Crf,
    Device,
    Overwrite,
    PixFmt,
    Report,
    VideoCodec,
    check_there,
    say,
    settings_of,
)

Source = Annotated[
    Path, typer.Argument(metavar="VIDEO", help="A video, a GIF or WebP, a folder of images, f_%04d.png, or -.")
]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="out.mp4, .mov, .mkv, .webm, .gif, .webp, a folder, f/%04d.exr, or -.")
]
Interpolator = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="rife, tiny-di, blend, ..., or a file of weights. [default: dis-splat]"),
]
Passthrough = Annotated[
    bool, typer.Option(help="Source frames as they are; --no-passthrough redraws them, where sharpness flickers.")
]
Phase = Annotated[
    float, typer.Option(metavar="SHARE", help="0.5 shows frames between source frames only: no flicker of sharpness.")
]
Cuts = Annotated[bool, typer.Option(help="Keep scene cuts; --no-cuts interpolates over them.")]
Duplicates = Annotated[str, typer.Option(metavar="keep|replace", help="Frames that repeat the one before.")]
Cadence = Annotated[
    str | None, typer.Option(metavar="keep|smooth", help="Of hand-drawn animation: smooth draws between its drawings.")
]
LargeMotion = Annotated[
    str,
    typer.Option(
        metavar="draw|blend|hold|generate",
        help="Where motion is too large to follow: a cross-fade, the nearer frame, or --model's frames.",
    ),
]
Generator = Annotated[
    str | None, typer.Option("--model", help="Of --large-motion generate: a name `inbetween models` lists, a folder.")
]
GeneratorConfig = Annotated[
    Path | None, typer.Option("--config", help="Of --large-motion generate: YAML of settings, as `run` takes it.")
]
GeneratorSettings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Of --large-motion generate: any such setting.")
]
Curve = Annotated[
    str, typer.Option(metavar="NAME|KNOTS", help="linear, ease-in-out, ... or 0:0,0.5:0.8,1:1. Short clips only.")
]
Loop = Annotated[bool, typer.Option("--loop", help="Lead the last frame back to the first. Short clips only.")]
Audio = Annotated[
    str | None, typer.Option(metavar="keep|stretch|drop", help="The sound. [default: it goes with the pictures]")
]
Start = Annotated[
    str | None, typer.Option(metavar="TIME", help="Where to begin in the source: seconds, or 00:01:02.5.")
]
Stop = Annotated[str | None, typer.Option(metavar="TIME", help="Where to end in the source.")]
FolderRate = Annotated[str | None, typer.Option(metavar="FPS", help="The rate of a folder of images. [default: 24]")]
Fps = Annotated[
    str | None,
    typer.Option(metavar="FPS", help="Frames a second of the output: 60, 29.97, 60000/1001. [default: the source's]"),
]
Interlaced = Annotated[str, typer.Option(metavar="deinterlace|keep", help="Interlaced film.")]
Overlays = Annotated[str, typer.Option(metavar="ignore|hold", help="Logos, titles and subtitles that stand still.")]
Workers = Annotated[
    int | None, typer.Option(help="Pairs drawn side by side, a core each. [default: as cores and memory allow]")
]
Resume = Annotated[bool, typer.Option(help="Go on where the same run was stopped; --no-resume begins anew.")]


@report_errors
def retime(
    video: Source,
    out: Out,
    fps: Fps = None,
    interpolator: Interpolator = None,
    curve: Curve = "linear",
    loop: Loop = False,
    passthrough: Passthrough = True,
    phase: Phase = 0.0,
    cuts: Cuts = True,
    duplicates: Duplicates = "keep",
    cadence: Cadence = None,
    large_motion: LargeMotion = "draw",
    model: Generator = None,
    config: GeneratorConfig = None,
    overrides: GeneratorSettings = None,
    audio: Audio = None,
    start: Start = None,
    stop: Stop = None,
    folder_rate: FolderRate = None,
    interlaced: Interlaced = "deinterlace",
    device: Device = None,
    workers: Workers = None,
    overlays: Overlays = "ignore",
    resume: Resume = True,
    overwrite: Overwrite = False,
    report: Report = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    background: Background = None,
) -> None:
    """A video at another rate: as long as before, scene cuts kept, sound and all else unchanged."""
    if fps is None and curve == "linear" and not loop:
        raise ValueError("say what shall change: --fps 60, --curve ease-in-out or --loop")
    options: dict[str, Any] = {"fps": fps, "curve": curve, "loop": loop, "passthrough": passthrough, "cuts": cuts}
    options |= {"phase": phase, "duplicates": duplicates, "cadence": cadence, "audio": audio}
    options |= {"start": start, "stop": stop, "folder_rate": folder_rate, "overwrite": overwrite}
    options |= {"interlaced": interlaced, "large_motion": large_motion, "report": report}
    generating = {"model": model, "config": config, "overrides": overrides, "device": device}
    options |= {"workers": workers, "overlays": overlays}
    video_options = {"codec": codec, "crf": crf, "pix_fmt": pix_fmt, "background": background}
    _make(video, out, interpolator, device, resume, options, video_options, generating)


@report_errors
def slowmo(
    video: Source,
    out: Out,
    scale: Annotated[float, typer.Option(help="How many times as long.")] = 4,
    fps: Fps = None,
    interpolator: Interpolator = None,
    curve: Curve = "linear",
    loop: Loop = False,
    passthrough: Passthrough = True,
    phase: Phase = 0.0,
    cuts: Cuts = True,
    duplicates: Duplicates = "keep",
    cadence: Cadence = None,
    large_motion: LargeMotion = "draw",
    model: Generator = None,
    config: GeneratorConfig = None,
    overrides: GeneratorSettings = None,
    audio: Audio = None,
    start: Start = None,
    stop: Stop = None,
    folder_rate: FolderRate = None,
    interlaced: Interlaced = "deinterlace",
    device: Device = None,
    workers: Workers = None,
    overlays: Overlays = "ignore",
    resume: Resume = True,
    overwrite: Overwrite = False,
    report: Report = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    background: Background = None,
) -> None:
    """Slow motion: the frame rate stays, and the video lasts longer; the sound is stretched at its own pitch."""
    options: dict[str, Any] = {
        "fps": fps,
        "scale": scale,
        "curve": curve,
        "loop": loop,
        "passthrough": passthrough,
        "cuts": cuts,
    }
    options |= {"phase": phase, "duplicates": duplicates, "cadence": cadence, "audio": audio}
    options |= {"start": start, "stop": stop, "folder_rate": folder_rate, "overwrite": overwrite}
    options |= {"interlaced": interlaced, "large_motion": large_motion, "report": report}
    generating = {"model": model, "config": config, "overrides": overrides, "device": device}
    options |= {"workers": workers, "overlays": overlays}
    video_options = {"codec": codec, "crf": crf, "pix_fmt": pix_fmt, "background": background}
    _make(video, out, interpolator, device, resume, options, video_options, generating)


def _make(
    video: Path,
    out: Path,
    interpolator: str | None,
    device: str | None,
    resume: bool,
    options: dict[str, Any],
    video_options: dict[str, Any],
    generating: dict[str, Any],
) -> None:
    """Do it, and say what came of it."""
    check_there(video)
    from gen_inbetween.interpolation.retiming.cadence import duplicates_for
    from gen_inbetween.interpolation.retiming.retime_video import retime_video
    from gen_inbetween.media.writing.options import VideoOptions

    options["duplicates"] = duplicates_for(options["duplicates"], options.pop("cadence"))
    options["generator"] = _generator(options["large_motion"], **generating)
    if interpolator is not None:
        options["interpolator"] = interpolator
    options["video"] = VideoOptions(**video_options)
    result = retime_video(video, out, device=device, resume=resume, **options)
    frames = f"{result.written} frames"
    if result.resumed:
        frames += f", {result.resumed} of them from an earlier run"
    met = f"{result.cuts} cuts, {result.duplicates} repeated frames, {result.damaged} damaged packets"
    say(out, f"{out}: {frames}, {result.fps:g} fps, {result.duration:.3f} s, of {result.source_frames}")
    say(out, f"{met}; {result.seconds:.1f} s")
    if report := options["report"]:
        say(out, f"{report}: the report")


def _generator(
    large_motion: str, model: str | None, config: Path | None, overrides: list[str] | None, device: str | None
) -> Any:
    """The diffusion model that --large-motion generate draws with; None: nothing is to be generated."""
    if large_motion != "generate":
        said = {"--model": model, "--config": config, "--set": overrides}
        if unheard := [name for name, value in said.items() if value]:
            raise ValueError(f"{', '.join(unheard)}: for --large-motion generate only")
        return None
    from gen_inbetween.generation.films.pair_generator import open_generator_for

    return open_generator_for(settings_of(config, overrides, model=model, device=device))


def add_to(app: typer.Typer) -> None:
    """Make the commands part of `inbetween`."""
    app.command(epilog=_RETIME)(retime)
    app.command(epilog=_SLOWMO)(slowmo)


_RETIME = """\b
Examples:
  inbetween retime film.mp4 --fps 60 -o smooth.mp4
  inbetween retime film.mov --fps 48 -o smooth.mp4 --interpolator rife --start 10 --stop 20
  inbetween retime animation.gif --fps 25 -o even.gif --duplicates replace
  inbetween retime sport.mp4 --fps 60 -o smooth.mp4 --large-motion hold
  inbetween retime clip.mp4 -o clip_loop.webp --fps 30 --loop --curve ease-in-out"""

_SLOWMO = """\b
Examples:
  inbetween slowmo jump.mp4 --scale 4 -o slow.mp4
  inbetween slowmo jump.mp4 --scale 2.5 -o slow.mp4 --audio drop
  inbetween slowmo frames/ --scale 8 -o slow.mp4 --folder-rate 30 --interpolator rife"""
