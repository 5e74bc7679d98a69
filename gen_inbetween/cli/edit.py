"""`inbetween edit`: masked or clicked objects along their own curves."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import (
    Crf,
    Device,
    Overwrite,
    PixFmt,
    Report,
    VideoCodec,
    check_picture,
    check_there,
    say,
)
from gen_inbetween.runtime.messages import collecting_notices

if TYPE_CHECKING:
    import os

    import numpy as np
    from PIL import Image

    from gen_inbetween.media.clip import Clip
    from gen_inbetween.media.source import Source
    from gen_inbetween.media.tracks.tracks import Tracks
    from gen_inbetween.media.writing.options import VideoOptions

log = logging.getLogger("gen_inbetween")

POINT = r"\s*\d+(\.\d+)?,\d+(\.\d+)?\s*"
CLICK = re.compile(rf"{POINT}(\+{POINT})*")


@report_errors
@collecting_notices
def edit(
    frames: Annotated[list[Path], typer.Argument(metavar="FRAME0 FRAME1 | VIDEO", help="Two images, or one clip.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="out.mp4, .mov, .webm, .gif, .png (a sheet), a folder of frames, ... or -"),
    ],
    things: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            "--click",
            metavar="FILE|X,Y",
            help="A thing in the first frame: its mask, or a point on it (10,20+30,40: several). The top one first.",
        ),
    ] = None,
    curve: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|KNOTS", help="One for each thing, in their order: ease-in, ... or 0:0,0.5:0.8,1:1."),
    ] = None,
    background: Annotated[str, typer.Option(metavar="NAME|KNOTS", help="The curve of everything else.")] = "linear",
    off: Annotated[
        list[str] | None, typer.Option("--off", metavar="X,Y", help="A point that is on none of the clicked things.")
    ] = None,
    num_frames: Annotated[
        int | None, typer.Option("--num-frames", "--frames", help="[default: 25; of a clip: as many as it has]")
    ] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="FPS", help="Frames a second: 24, 29.97, 30000/1001. [default: 7; the clip's]")
    ] = None,
    interpolator: Annotated[
        str | None,
        typer.Option(
            help="A pair: dis-splat, tiny-di, rife-dr; a clip: any. Or a file of weights. [default: dis-splat]"
        ),
    ] = None,
    iters: Annotated[int | None, typer.Option(help="A pair: steps along references. [default: 2]")] = None,
    feather: Annotated[
        int | None, typer.Option(help="A pair: odd width of the blur of the map, pixels. [default: 9]")
    ] = None,
    sam: Annotated[
        bool, typer.Option("--sam", help="Clicks by SAM, whose weights must be here; without it no weights are needed.")
    ] = False,
    sam_model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="SAM or SAM 2, a folder or a hub id; means --sam too.")
    ] = None,
    masks_out: Annotated[
        Path | None, typer.Option("--show-masks", help="Also write a picture of the things, to be looked at.")
    ] = None,
    masks_only: Annotated[
        bool, typer.Option("--masks-only", help="Write the masks to OUT, a folder (one mask: a .png), and stop there.")
    ] = False,
    audio: Annotated[
        str | None,
        typer.Option(metavar="keep|stretch|drop", help="A clip's sound. [default: it goes with the pictures]"),
    ] = None,
    device: Device = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
    report: Report = None,
) -> None:
    """Each masked thing at its own pace: between two frames, or along a clip."""
    check_there(*frames)
    from gen_inbetween.interpolation.film_page.edited import note_edit, write_edit_page
    from gen_inbetween.interpolation.film_page.page import check_report
    from gen_inbetween.media.clip import check_output
    from gen_inbetween.media.reading.sequences import with_images
    from gen_inbetween.media.times.rates import exact_rate
    from gen_inbetween.media.writing.options import VideoOptions
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.outputs import reserved

    inputs = with_images([*frames, interpolator, *(thing for thing in things or () if not CLICK.fullmatch(thing))])
    video = VideoOptions(codec, crf, pix_fmt)
    if masks_only:
        _check_masks(out, things or (), inputs, film=len(frames) == 1, overwrite=overwrite, report=report)
    else:
        check_output(out, inputs, overwrite=overwrite, video=video)
        check_report(report, place_of(out), inputs, overwrite=overwrite)
    if masks_out is not None:
        _check_picture(masks_out, [*inputs, out], overwrite)
    curves = list(curve or ())
    if len(curves) != len(things or ()) and not masks_only:
        raise ValueError(f"say one --curve for each --mask or --click; got {len(curves)} for {len(things or ())}")
    weights = _sam_weights(sam, sam_model, things or ())
    rate = None if fps is None else float(exact_rate(fps))
    settings: dict[str, Any] = {"background": background, "num_frames": num_frames, "fps": rate}
    settings |= {"interpolator": interpolator, "device": device}
    settings |= {"iters": iters, "feather": feather}
    settings = {key: value for key, value in settings.items() if value is not None}
    if not masks_only:
        _check_settings(frames, out, settings, audio)
    source, first, film = _source(frames)
    tracks = None if film is None or masks_only else _tracks(source, film, out, settings, audio)
    masks = _masks(first, things or (), off or (), weights, device)
    _tell(masks, things or ())
    if masks_out is not None:
        _show(first, masks, masks_out)
    if masks_only:
        asked = {"things": things, "off": off, "sam": weights and weights.name}
        with reserved(out):
            _write_masks(frames, source, masks, asked, out, inputs, overwrite)
        return
    with reserved(place_of(out)):
        edited = _edit_source(source, masks, curves, settings)
        name = " and ".join(path.name for path in frames)
        quality = note_edit(edited, source, name)
        _announce(edited, out, video, overwrite, tracks)
    if report is not None:
        write_edit_page(report, edited, source, quality, (name, out.name))
        say(out, f"{report}: the report")


def _check_settings(paths: Sequence[Path], out: Path, settings: dict[str, Any], audio: Any) -> None:
    """Raise ValueError, before anything is read, for what two images or a clip have no use for."""
    from gen_inbetween.media.tracks.plan import check_audio

    if len(paths) == 2 and audio is not None:
        raise ValueError("--audio: of a film; two pictures have no sound")
    if len(paths) == 1:
        if wrong := [f"--{key}" for key in ("iters", "feather") if key in settings]:
            raise ValueError(f"{' and '.join(wrong)}: for a pair of frames only; a clip is looked up, not walked along")
        check_audio(audio, out, bent=_is_bent(settings))


def _is_bent(settings: dict[str, Any]) -> bool:
    from gen_inbetween.interpolation.retiming.curves import parse_curve

    return parse_curve(settings["background"]) != parse_curve("linear")


def _source(paths: Sequence[Path]) -> tuple[Any, Image.Image, Source | None]:
    """(two images, or a Clip), the first frame, and what the clip is read from: opened once, so that it is said once.

    One path is a clip, two are a pair: nothing is guessed.
    """
    from gen_inbetween.media.clip import Clip, uneven_times
    from gen_inbetween.media.image import load_image, open_images
    from gen_inbetween.media.video import open_source
    from gen_inbetween.media.video_writer import VideoError

    if len(paths) == 2:
        if video := next((path for path in paths if path.is_dir()), None):
            raise ValueError(f"{video} is a folder; two paths are two images, a clip stands alone")
        pair = tuple(open_images(paths))
        return pair, load_image(pair[0]), None
    if len(paths) != 1:
        raise ValueError(f"expected two images, or one clip; got {len(paths)} paths")
    try:
        source = open_source(paths[0])
        frames = list(source.frames(alpha=True))
        starts = uneven_times(source, len(frames))
        plays = source.timeline.plays if source.fps else 0
    except VideoError as error:
        raise VideoError(f"{error}. One path is a clip; name two images to move things between them") from error
    return Clip(frames, source.fps or 7, starts=starts, plays=plays), load_image(frames[0]), source


def _tracks(clip: Clip, source: Source, out: Path, settings: dict[str, Any], audio: Any) -> Tracks | None:
    """What goes along of a film; nothing of a folder, whose pictures have no times to be asked for either."""
    from gen_inbetween.media.folder import Folder
    from gen_inbetween.media.tracks.plan import plan_tracks

    if isinstance(source, Folder):
        return None
    count, rate, scale = settings.get("num_frames"), settings.get("fps"), 1.0
    if count or rate:
        scale = (count or len(clip)) / (rate or clip.fps) / clip.duration
    return plan_tracks(source.between(), out, scale=scale, bent=_is_bent(settings), audio=audio)


def _edit_source(source: Any, masks: Any, curves: list[str], settings: dict[str, Any]) -> Clip:
    if isinstance(source, tuple):
        from gen_inbetween.interpolation.editing.edit_motion import edit_motion

        return edit_motion(source[0], source[1], masks, curves, **settings)
    from gen_inbetween.interpolation.editing.retime_objects import retime_objects

    return retime_objects(source, masks, curves, **settings)


def _sam_weights(sam: bool, model: str | None, things: Sequence[str]) -> Path | None:
    """The folder of SAM's weights, found before the work; None: clicks go without SAM."""
    if not sam and model is None:
        return None
    if not any(CLICK.fullmatch(thing) for thing in things):
        raise ValueError("--sam says what makes a mask of a --click; there is no --click")
    from gen_inbetween.interpolation.editing.sam import find_sam

    return find_sam(model)


def _masks(
    first: Image.Image, things: Sequence[str], off: Sequence[str], sam: Path | None, device: str | None
) -> np.ndarray:
    """The masks of files and of clicks, in the order they were given."""
    import numpy as np

    from gen_inbetween.interpolation.editing.clicks import masks_from_clicks
    from gen_inbetween.interpolation.editing.masks import open_masks
    from gen_inbetween.interpolation.editing.sam import masks_from_sam

    clicked = [_points(thing) for thing in things if CLICK.fullmatch(thing)]
    if off and not clicked:
        raise ValueError("--off says what a --click is not on; there is no --click")
    negative = [point for text in off for point in _points(text)]
    if not clicked:
        clicked_masks = iter(())
    elif sam is None:
        clicked_masks = iter(masks_from_clicks(first, clicked, negative=negative))
    else:
        clicked_masks = iter(masks_from_sam(first, clicked, negative=negative, model=sam, device=device))
    masks = [next(clicked_masks) if CLICK.fullmatch(thing) else open_masks([thing], first.size)[0] for thing in things]
    return np.stack(masks) if masks else np.zeros((0, first.height, first.width), bool)


def _tell(masks: np.ndarray, things: Sequence[str]) -> None:
    """Say of which masks a person should have a look."""
    from gen_inbetween.interpolation.editing.masks import mask_notices

    for mask, thing in zip(masks, things, strict=True):
        clicked = CLICK.fullmatch(thing) is not None
        for notice in mask_notices(mask, clicked=clicked):
            log.warning("the mask of %s: %s", f"--click {thing}" if clicked else thing, notice)


def _points(text: str) -> list[tuple[float, float]]:
    if not CLICK.fullmatch(text):
        raise ValueError(f"expected a point as X,Y, or several as X,Y+X,Y; got {text!r}")
    points = (point.split(",") for point in text.split("+"))
    return [(float(x), float(y)) for x, y in points]


def _show(first: Image.Image, masks: np.ndarray, path: Path) -> None:
    """The first frame, dim, beside each thing in its own light."""
    from gen_inbetween.interpolation.editing.mask_files import things_sheet
    from gen_inbetween.media.clip import save_sheet

    save_sheet(path, things_sheet({"the first frame, and each thing": first}, [masks]))


def _check_masks(
    out: Path, things: Sequence[str], inputs: Sequence[Any], *, film: bool, overwrite: bool, report: Path | None
) -> None:
    from gen_inbetween.interpolation.editing.mask_files import check_masks_output

    if not things:
        raise ValueError("--masks-only: say which with --click or --mask")
    if report is not None:
        raise ValueError("--report tells of a clip; --masks-only draws none")
    check_masks_output(out, len(things), inputs, film=film, overwrite=overwrite)


def _write_masks(
    paths: Sequence[Path],
    source: Any,
    masks: np.ndarray,
    asked: dict[str, Any],
    out: Path,
    inputs: Any,
    overwrite: bool,
) -> None:
    """The masks of the first frame, or of each frame of a clip, in which they follow the things."""
    from gen_inbetween.interpolation.editing.mask_files import save_masks
    from gen_inbetween.interpolation.editing.mask_propagation import follow_things
    from gen_inbetween.media.image import load_image
    from gen_inbetween.runtime import manifest as manifests
    from gen_inbetween.runtime.hashing import image_sha256, mask_sha256

    records: list[dict[str, Any]]
    settings: dict[str, Any] = {"method": "masks"} | {key: value for key, value in asked.items() if value}
    if isinstance(source, tuple):
        frames, followed, records = [source[0]], [masks], [{} for _ in masks]
    else:
        frames, (followed, records) = list(source.frames), follow_things(source, masks)
    settings["masks"] = [{"sha256": mask_sha256(mask), **lost} for mask, lost in zip(masks, records, strict=True)]
    record = {"frame0": {"path": str(paths[0].resolve()), "sha256": image_sha256(frames[0])}}
    seen = [load_image(frame) for frame in frames]
    manifest = manifests.record(frames=record, settings=settings)
    see = save_masks(out, seen, followed, manifest, inputs, overwrite=overwrite)
    count = len(masks) * len(followed)
    say(out, f"{out}: {count} mask{'s' * (count > 1)}, {frames[0].width}x{frames[0].height}", see=see)


def _check_picture(path: Path, inputs: Sequence[str | os.PathLike[str] | None], overwrite: bool) -> None:
    """Raise OutputError, before the work, unless the picture of the things may be written."""
    from gen_inbetween.runtime.outputs import check_output

    check_picture(path, "--show-masks")
    check_output(path, inputs, overwrite=overwrite, manifest=False)


def _announce(clip: Clip, out: Path, video: VideoOptions, overwrite: bool, tracks: Tracks | None) -> None:
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.outputs import path_beside

    clip.save(out, video=video, overwrite=overwrite, tracks=tracks)
    say(out, f"{out}: {clip!r}, by {clip.manifest['interpolator']['name']}", see=path_beside(place_of(out)))


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(epilog=_EDIT)(edit)


_EDIT = """\b
Curves: linear, ease-in, ease-out, ease-in-out, hold-start, hold-end, bounce, there-and-back, or knots time:value.
\b
Examples:
  inbetween edit a.png b.png --mask car.png --curve ease-in --mask dog.png --curve 0:0,0.5:0.8,1:1 -o clip.mp4
  inbetween edit a.png b.png --click 320,200 --off 400,90 --masks-only -o masks   # look first, then:
  inbetween edit a.png b.png --click 320,200 --off 400,90 --curve hold-start -o clip.mp4
  inbetween edit clip.mp4 --click 320,200+350,260 --off 400,90 --curve hold-end -o clip_edited.mp4"""
