"""Options about keyframes, clips and masks that commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from PIL import Image

    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.generation.timeline.keyframe import Keyframe

KeyframeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keyframe",
        metavar="FILE[:POSITION[:STRENGTH]]",
        help="A keyframe and its place: a frame number (-1: the last), seconds (1.5s) or end; repeatable.",
    ),
]
ShowMasks = Annotated[
    Path | None, typer.Option("--show-masks", help="Only write a picture of the mask here, to be looked at.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="out.mp4, .mov, .webm, .gif, a folder of frames, ... or -.")]
Context = Annotated[int, typer.Option(help="Frames on either side that the gap is generated with.")]
CarryPace = Annotated[
    bool,
    typer.Option("--carry-pace/--no-carry-pace", help="Begin and end the gap at the pace beside it."),
]
MatchColour = Annotated[
    bool, typer.Option("--match-colour/--no-match-colour", help="Bring the gap's colours to those beside it.")
]
ModelOrAuto = Annotated[str | None, typer.Option("--model", help="A name of `inbetween models`, a folder or hub id.")]


def keyframes_of(frames: Sequence[Path] | None, texts: Sequence[str] | None, config: Path | None) -> list[Keyframe]:
    """The keyframes of a line, or else those that its file lists under "keyframes" (paths relative to it).

    KeyframeError: none, or both kinds on the line.
    """
    from gen_inbetween.generation.timeline.keyframe import Keyframe, KeyframeError, parse_keyframe, read_entry

    if frames and texts:
        raise KeyframeError("expected keyframes as FRAME0 FRAME1 ..., or each by --keyframe, got both")
    if frames:
        return [Keyframe(str(frame)) for frame in frames]
    if texts:
        return [parse_keyframe(text) for text in texts]
    if config is not None:
        from gen_inbetween.runtime.config import read_mapping

        entries = read_mapping(config).get("keyframes")
        if isinstance(entries, list) and entries:
            return [read_entry(entry, config.parent) for entry in entries]
    raise KeyframeError("expected keyframes: FRAME0 FRAME1 ..., or --keyframe FILE:POSITION for each")


def join_settings(config: Path | None, overrides: Sequence[str] | None, **options: Any) -> dict[str, Any]:
    """The settings of a bridge, a loop or a retake, checked before its clips are read.

    ValueError: one that is out of its range, or that the command has an option of its own for.
    """
    from gen_inbetween.cli.options import settings_said
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.runtime.config import from_mapping

    settings = settings_said(config, overrides, None, **options)
    own = ("num_frames", "context", "match_colour", "carry_pace", "even_pace", "mask", "start", "end")
    if said := [name for name in own if name in settings]:
        raise ValueError(f"{said[0]}: say it as the command does, --{said[0].replace('_', '-')}, not as a setting")
    from_mapping(Settings, settings, where="options" if config is None else str(config))
    return settings


def show_still(keyframe: Keyframe, settings: Settings, path: Path) -> None:
    """Write the picture of the still region of `run`. ValueError: there is none."""
    from gen_inbetween.media.image import load_image

    if settings.still is None:
        raise ValueError("--show-masks shows the --still region; there is none")
    picture = load_image(keyframe.image, background=settings.background)
    show_region_of(picture, settings.still, path, [str(keyframe.image)])


def show_region_of(picture: Image.Image, mask: str | Path, path: Path, inputs: Sequence[str | Path]) -> None:
    """Write a picture with everything outside the mask dimmed. inputs: files it is made from, beside the mask."""
    from gen_inbetween.cli.options import check_picture
    from gen_inbetween.generation.timeline.regions import open_region, show_region
    from gen_inbetween.media.clip import save_sheet
    from gen_inbetween.media.reading.sequences import with_images
    from gen_inbetween.runtime.outputs import check_output

    check_picture(path, "--show-masks")
    region = open_region(mask, picture.size)
    check_output(path, with_images([mask, *inputs]), manifest=False)
    save_sheet(path, show_region(picture, region))
    typer.echo(f"{path}: the region and its edge; nothing else was made")
