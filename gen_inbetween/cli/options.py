"""Options that commands share, and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gen_inbetween.generation.settings import Settings

Model = Annotated[str, typer.Option(help="A name `inbetween models` lists, a diffusers SVD folder, or a hub id.")]
Motion = Annotated[str | None, typer.Option(help="A file or folder, or 'none'. [default: the model's own]")]
Method = Annotated[
    str | None,
    typer.Option(
        help="gi, trf, vibid, mpd, mpd-parallel, mpd-gi, svd; interpolate: no diffusion; auto: interpolate tiny motion "
        "[default: gi with motion, else trf]"
    ),
]
Interpolator = Annotated[
    str | None,
    typer.Option(help="interpolate, auto: a name (rife, dis, ...) or a file of weights. [default: dis-splat]"),
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--num-frames", "--frames", help="Frames, both keyframes included. [default: the model's own; interpolated: 25]"
    ),
]
Steps = Annotated[
    int | None,
    typer.Option("--num-inference-steps", "--steps", help="Denoising steps. [default: the method's own]"),
]
Size = Annotated[
    str | None,
    typer.Option(help="WIDTHxHEIGHT in pixels. [default: the model's own; interpolated: the first keyframe's]"),
]
VramGb = Annotated[float | None, typer.Option("--vram-gb", "--vram", help="GB to plan for. [default: what is free]")]
Seed = Annotated[int | None, typer.Option(help="The seed is the video. [default: 0]")]
Device = Annotated[str | None, typer.Option(help="cuda, cuda:1, mps or cpu. [default: the best there is]")]
VideoCodec = Annotated[
    str | None,
    typer.Option("--codec", help="h264, hevc, av1, prores, ffv1, vp9, or h264_nvenc, ... [default: by the ending]"),
]
Crf = Annotated[int | None, typer.Option(help="0: best and largest. [default: nearly lossless]")]
PixFmt = Annotated[
    str | None, typer.Option("--pix-fmt", help="yuv420p, yuv444p10, ...; rgb48 for PNG. [default: by the codec]")
]
Background = Annotated[
    str | None, typer.Option(help="Behind what is transparent: white, #204060. [default: transparency is kept]")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; repeatable.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that gen_inbetween did not make, too; inputs never.")
]
Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE.html", help="A page: motion and doubt over time, the moments to look at, settings."),
]
ConfigFile = Annotated[Path | None, typer.Option(help="A YAML file of settings; options on the line win.")]


def check_there(*paths: Path | None) -> None:
    """ValueError for an input that is missing, before torch is imported for it.

    Patterns (f_%04d.png), "-" and addresses are left to what reads them.
    """
    from gen_inbetween.runtime.files import address_of

    for path in paths:
        if path is None or path.exists() or str(path) == "-" or set("%#") & set(path.name) or address_of(path):
            continue
        raise ValueError(f"no such file: {path}")


def settings_of(
    config: Path | None,
    overrides: Sequence[str] | None,
    size: str | None = None,
    own_keys: Sequence[str] = (),
    **options: Any,
) -> Settings:
    """The settings of a line; what the file says, then the options given, then --set, the later winning.

    own_keys: of the file that are the command's, and no settings.
    """
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.runtime.config import from_mapping

    values = settings_said(config, overrides, size, **options)
    values = {key: value for key, value in values.items() if key not in own_keys}
    return from_mapping(Settings, values, where="options" if config is None else str(config))


def settings_said(
    config: Path | None, overrides: Sequence[str] | None, size: str | None = None, **options: Any
) -> dict[str, Any]:
    """Those settings alone that a line, or its file, gives; nothing is checked yet."""
    from gen_inbetween.runtime.config import apply_overrides, read_mapping

    values = {} if config is None else read_mapping(config)
    width, height = parse_size(size)
    options |= {"width": width, "height": height}
    video = {key: value for key in ("codec", "crf", "pix_fmt") if (value := options.pop(key, None)) is not None}
    if (ground := options.get("background")) is not None:  # white too, where the output could do without
        video["background"] = ",".join(map(str, ground))
    if video:
        values["video"] = {**(values.get("video") or {}), **video}
    values |= {key: value for key, value in options.items() if value is not None}
    values = apply_overrides(values, overrides or ())
    if values.get("motion") == "none":
        values["motion"] = None
    return values


def files_of(settings: Mapping[str, Any]) -> list[str]:
    """The values of settings that may name files, which no output may replace."""
    from gen_inbetween.runtime.manifest import FILES

    return [value for name in FILES if isinstance(value := settings.get(name), str)]


def check_service(models: Sequence[str], device: str | None) -> None:
    """ValueError, as a service starts, for models and a device that no run could be made with."""
    from gen_inbetween.models.registry import resolve_model
    from gen_inbetween.runtime.devices import open_device

    if not models:
        raise ValueError("models: expected one or more that may be named")
    for name in models:
        if name != "auto":
            resolve_model(name)
    open_device(device)


def check_address(host: str, port: int) -> None:
    """ValueError, before anything is opened for it, unless a service can listen there."""
    import socket

    if not host.strip():
        raise ValueError("--host: expected an address, such as 127.0.0.1, or 0.0.0.0 for all of this machine")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, for a port just left
            probe.bind(address)
    except OSError as error:
        raise ValueError(f"cannot listen at {host}:{port}: {error.strerror or error}; choose another --port") from error


def check_picture(path: Path, option: str) -> None:
    """ValueError unless a picture can be written under this name."""
    from PIL import Image

    if path.suffix.lower() not in Image.registered_extensions() or path.is_dir():
        raise ValueError(f"{option} {path}: expected the name of a picture, such as {path.stem or 'look'}.png")


def say(out: Path | None, text: str, *, see: Path | None = None) -> None:
    """Say what was made at `out`, and where its manifest is; on stderr where the film goes to standard output."""
    piped = str(out) == "-"
    typer.echo(text if see is None or piped else f"{text}; see {see}", err=piped)


def colour_of(text: str) -> tuple[int, int, int]:
    """RGB in 0..255 of a colour as a line says it."""
    from gen_inbetween.media.writing.options import parse_colour

    return parse_colour(text)


def parse_size(size: str | None) -> tuple[int | None, int | None]:
    """1024x576 -> (1024, 576); (None, None) for None; ValueError for anything else."""
    if size is None:
        return None, None
    width, separator, height = size.lower().partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise ValueError(f"--size {size!r}: expected WIDTHxHEIGHT, for example 1024x576")
    return int(width), int(height)
