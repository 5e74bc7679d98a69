"""`inbetween stylize`: painted keyframes, spread over a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import (
    Background,
    Crf,
    Device,
    Overrides,
    Overwrite,
    PixFmt,
    VideoCodec,
    check_picture,
    check_there,
    say,
)

if TYPE_CHECKING:
    from gen_inbetween.stylize.sequence import Film
    from gen_inbetween.stylize.settings import StyleSettings


@report_errors
def stylize(
    video: Annotated[
        Path | None,
        typer.Argument(help="A film, a folder of frames, the published layout (NAME_train, NAME_gen), or - (y4m)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="out.mp4, .mov, .webm, .gif, a folder of frames, ... or -")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="FRAME=PICTURE", help="A painted frame: 12=painted.png, or painted_0012.png. Repeatable."),
    ] = None,
    mask: Annotated[
        list[str] | None, typer.Option(metavar="FRAME=PICTURE", help="White where that frame is painted. Repeatable.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of learning, at most. [default: 3]")] = None,
    steps: Annotated[int | None, typer.Option(help="Of learning, at most; the same again with the same.")] = None,
    hold_out: Annotated[
        int | None, typer.Option(metavar="FRAME", help="A painted frame that judges and is not learnt from.")
    ] = None,
    guides: Annotated[
        bool | None, typer.Option("--guides/--no-guides", help="Points that go along with the motion. [default: on]")
    ] = None,
    style: Annotated[
        Path | None,
        typer.Option(
            help="Where the style is kept, or a learnt one to use without keys. [default: OUT.style.safetensors]"
        ),
    ] = None,
    export: Annotated[
        str | None, typer.Option(metavar="FRAME=FILE", help="Only write a frame, to be painted over: 12=frame.png")
    ] = None,
    preview: Annotated[Path | None, typer.Option(help="A picture rewritten every few seconds while it learns.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on learning whenever a painted file is saved; Ctrl-C ends it.")
    ] = False,
    camera: Annotated[
        int | None, typer.Option(metavar="N", help="Translate a camera's pictures, with --style.")
    ] = None,
    search: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="Try other settings for so long; a table into --out, a folder."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file of settings, such as stylize_published.yaml.")
    ] = None,
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option(help="Of first weights, patches and guides.")] = 0,
    device: Device = None,
    overwrite: Overwrite = False,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    background: Background = None,
) -> None:
    """A painted frame or a few, learnt in minutes, and the whole film in that style."""
    check_there(video, config, None if key else style)
    _check_alone({"--export": export, "--search": search, "--watch": watch or None, "--camera": camera})
    if out is None and export is None and not watch:
        raise ValueError("say where the film goes: -o out.mp4")
    if video is None and camera is None:
        raise ValueError("expected a film, a folder of frames or - (y4m), or --camera 0")
    written = _video(codec, crf, pix_fmt, background)
    learning: dict[str, Any] = {"--mask": mask or None, "--minutes": minutes, "--steps": steps, "--hold-out": hold_out}
    learning |= {"--guides": guides, "--preview": preview, "--config": config, "--set": overrides or None}
    if style is not None and not key and (camera is not None or str(video) == "-"):
        _check_unused(learning, _as_it_is(style))
        return _live(camera, style, out, device, overwrite, written)
    if video is None or camera is not None:
        raise ValueError("--camera: expected a learnt style, --style FILE, learnt with --no-guides; keys need a film")
    settings = _settings(config, overrides, minutes, steps, guides)
    _keep(config, out, style if key else None, preview)
    film_path, keys, masks = _inputs(video, key, mask)
    if export is not None:
        given = {"--out": out, "--key": key or None, "--style": style, **learning}
        _check_unused(given, f"is of no use: --export {export} writes that picture and learns nothing")
        return _export(film_path, export, overwrite)
    if style is not None and not keys:
        _check_unused(learning, _as_it_is(style))
    if hold_out is not None:
        from gen_inbetween.stylize.sequence import place_in

        hold_out = place_in(film_path, hold_out)
    options: dict[str, Any] = {"seed": seed, "hold_out": hold_out, "device": device, "settings": settings}
    if search is not None:
        return _search(film_path, out, keys, masks, search, options, overwrite)
    if watch:
        return _watch(film_path, keys, masks, out, preview, style, overwrite, written, options)
    assert out is not None
    _make(film_path, out, keys, masks, style, preview, overwrite, written, options)


def _check_alone(modes: dict[str, Any]) -> None:
    """ValueError: two of these are asked for."""
    asked = [name for name, value in modes.items() if value is not None]
    if len(asked) > 1:
        raise ValueError(f"{asked[0]} and {asked[1]}: expected one of them")


def _check_unused(given: dict[str, Any], why: str) -> None:
    """ValueError: an option that would change nothing."""
    if asked := next((name for name, value in given.items() if value is not None), None):
        raise ValueError(f"{asked} {why}")


def _as_it_is(style: Path) -> str:
    return f"is for learning, and {style} is used as it is: leave it away, or give --key"


def _make(
    film: Path, out: Path, keys: Any, masks: Any, style: Path | None, preview: Path | None, overwrite: bool, video: Any,
    options: dict[str, Any],
) -> None:  # fmt: skip
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.outputs import path_beside
    from gen_inbetween.stylize.stylize import restyle_video, stylize_video

    if style is not None and not keys:
        restyle_video(film, out, model_file=style, device=options["device"], video=video, overwrite=overwrite)
        say(out, f"{out}: in the style of {style}", see=path_beside(place_of(out)))
        return
    inputs = [film, *keys.values(), *masks.values(), style, out]
    more = {"model_file": style, "on_look": _previews(preview, inputs, overwrite)}
    record = stylize_video(film, out, keys, masks, video=video, overwrite=overwrite, **options, **more)
    learnt = record["style"]
    error = "" if learnt["error"] is None else f", {learnt['error']:.1f} grey levels from what is held out"
    text = f"{out}: learnt in {learnt['steps']} steps, best at {learnt['best_step']}{error}"
    say(out, text, see=path_beside(place_of(out)))


def _inputs(
    video: Path, key: list[str] | None, mask: list[str] | None
) -> tuple[Path, dict[int, Path], dict[int, Path]]:
    """The film, the painted frames and the masks; of the published layout, those that lie there."""
    from gen_inbetween.stylize.sequence import parse_keys, place_in, published_layout

    keys, masks = parse_keys(key or []), parse_keys(mask or [], "--mask")
    layout = None if keys else published_layout(video)
    if layout is not None:
        video, keys, masks = layout
    else:
        keys, masks = ({place_in(video, number): path for number, path in group.items()} for group in (keys, masks))
    check_there(*keys.values(), *masks.values())
    return video, keys, masks


def _keep(config: Path | None, *written: Path | None) -> None:
    """OutputError: the configuration would be replaced; `stylize_video` asks about all other inputs."""
    from gen_inbetween.runtime.outputs import Inputs, OutputError

    for path in filter(None, written):
        if Inputs([config]).at(path):
            raise OutputError(f"{path} is an input, and would be replaced: name another output")


def _settings(
    config: Path | None, overrides: list[str] | None, minutes: float | None, steps: int | None, guides: bool | None
) -> StyleSettings:
    from gen_inbetween.runtime.config import from_mapping, read_mapping
    from gen_inbetween.stylize.settings import StyleSettings

    values = {} if config is None else read_mapping(config)
    told = {"minutes": minutes, "steps": steps, "guides": guides}
    values |= {name: value for name, value in told.items() if value is not None}
    return from_mapping(StyleSettings, values, overrides or [], where=str(config or "options"))


def _video(codec: str | None, crf: int | None, pix_fmt: str | None, background: str | None) -> Any:
    from gen_inbetween.media.writing.options import VideoOptions

    return VideoOptions(codec=codec, crf=crf, pix_fmt=pix_fmt, background=background)


def _film(path: Path) -> Film:
    from gen_inbetween.media.video import open_source
    from gen_inbetween.stylize.sequence import Film

    source = open_source(path)
    return Film(lambda: source.frames(alpha=True), len(source.times))


def _export(film: Path, text: str, overwrite: bool) -> None:
    from gen_inbetween.media.reading.sequences import with_images
    from gen_inbetween.runtime.outputs import check_output
    from gen_inbetween.stylize.live import export_frame
    from gen_inbetween.stylize.sequence import parse_keys, place_in

    ((number, path),) = parse_keys([text], "--export").items()
    place = place_in(film, number)
    check_output(path, with_images([film]), overwrite=overwrite, manifest=False)
    check_picture(path, "--export")
    export_frame(_film(film), place, path)
    typer.echo(f"{path}: frame {number}; paint over it, then --key {number}={path}")


def _previews(path: Path | None, inputs: list[Path | None], overwrite: bool) -> Any:
    """A function that rewrites the preview every few seconds; None without one."""
    if path is None:
        return None
    import time

    from gen_inbetween.media.reading.sequences import with_images
    from gen_inbetween.runtime.outputs import check_output
    from gen_inbetween.stylize.live import PREVIEW_EVERY, save_preview

    check_output(path, with_images(inputs), overwrite=overwrite, manifest=False)
    check_picture(path, "--preview")
    last = -PREVIEW_EVERY

    def show(_: Any, picture: Any) -> None:
        nonlocal last
        if time.monotonic() - last > PREVIEW_EVERY:
            save_preview(path, picture())
            last = time.monotonic()

    return show


def _watch(
    film: Path, keys: dict[int, Path], masks: dict[int, Path], out: Path | None, preview: Path | None,
    style: Path | None, overwrite: bool, video: Any, options: dict[str, Any],
) -> None:  # fmt: skip
    from gen_inbetween.media.reading.sequences import with_images
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.devices import open_device
    from gen_inbetween.runtime.outputs import check_output, path_beside
    from gen_inbetween.stylize.live import watch
    from gen_inbetween.stylize.stylize import open_estimator, watch_video

    preview = preview or Path(f"{(out or film).stem}.preview.png")
    check_output(
        preview, with_images([film, *keys.values(), *masks.values(), style, out]), overwrite=overwrite, manifest=False
    )
    check_picture(preview, "--preview")
    typer.echo(f"watching {', '.join(map(str, keys.values()))}; the preview is {preview}; Ctrl-C ends it")
    if out is None:
        settings, seed, device = options["settings"], options["seed"], open_device(options["device"])
        opened, hold_out, estimate = _film(film), options["hold_out"], open_estimator(settings.optical_flow, device)
        watch(opened, keys, masks, settings, seed, device, preview, estimate, hold_out=hold_out, progress=True)
        return
    options |= {"preview": preview, "model_file": style, "video": video, "overwrite": overwrite}
    watch_video(film, out, keys, masks, **options)
    say(out, f"{out}: in the style as it was then", see=path_beside(place_of(out)))


def _live(camera: int | None, style: Path, out: Path | None, device: str | None, overwrite: bool, options: Any) -> None:
    from gen_inbetween.media.video_writer import write_video
    from gen_inbetween.runtime.devices import open_device
    from gen_inbetween.stylize.live import in_real_time, open_camera, open_pipe, translate_live, until_interrupted
    from gen_inbetween.stylize.model_file import open_style

    if out is None:
        raise ValueError("say where the pictures go: -o out.mp4, or -o - for y4m on standard output")
    network, said = open_style(style, open_device(device))
    frames, rate = open_pipe() if camera is None else open_camera(camera)
    drawn = translate_live(until_interrupted(frames), network, said["inputs"], said["settings"].tile)
    if camera is not None:  # a film through a pipe waits, the world before a camera does not
        drawn = in_real_time(drawn, float(rate))
    write_video(drawn, out, float(rate), options=options, overwrite=overwrite)


def _search(
    film: Path, out: Path | None, keys: Any, masks: Any, minutes: float, options: dict[str, Any], overwrite: bool
) -> None:
    from gen_inbetween.runtime.config import from_mapping
    from gen_inbetween.runtime.devices import open_device
    from gen_inbetween.runtime.outputs import claim_folder
    from gen_inbetween.stylize.lesson import prepare
    from gen_inbetween.stylize.search import FILES, Trial, search, write_search
    from gen_inbetween.stylize.sequence import read_keys
    from gen_inbetween.stylize.settings import StyleSettings
    from gen_inbetween.stylize.stylize import open_estimator

    if out is None or out.suffix:
        raise ValueError("--search writes a table and a plot: -o FOLDER")
    from_mapping(StyleSettings, {"minutes": minutes}, where="--search")
    inputs = [film, *keys.values(), *masks.values()]
    claim_folder(out, FILES, inputs, overwrite=overwrite, ask=True)
    opened, settings, seed = _film(film), options["settings"], options["seed"]
    painted = read_keys(keys, masks, opened.size, opened.count)
    estimate = open_estimator(settings.optical_flow, options["device"])
    lesson = prepare(opened, painted, settings, seed, options["hold_out"], estimate, progress=True)
    trials: list[Trial] = []
    for trial in search(lesson, settings, seed, open_device(options["device"]), minutes=minutes):
        if not trials:
            claim_folder(out, FILES, inputs, overwrite=overwrite)
        trials.append(trial)
        told = " ".join(f"{name}={value}" for name, value in trial.settings.items())
        typer.echo(f"{trial.error:6.2f} grey levels at step {trial.step}: {told}")
        write_search(out, trials, minutes)
    best = min(trials, key=lambda trial: trial.error)
    typer.echo(f"{out}/search.md; the best: {' '.join(f'--set {k}={v}' for k, v in best.settings.items())}")


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(epilog=_STYLIZE)(stylize)


_STYLIZE = """\b
Examples:
  inbetween stylize walk.mp4 --export 12=frame_12.png            (paint over it)
  inbetween stylize walk.mp4 --key 12=frame_12.png -o painted.mp4
  inbetween stylize walk.mp4 --key 0=a.png --key 24=b.png --minutes 5 --preview look.png -o painted.mp4
  inbetween stylize walk.mp4 --key 12=frame_12.png --watch --preview look.png
  inbetween stylize walk.mp4 --key 12=frame_12.png --no-guides --style plain.style.safetensors -o plain.mp4
  inbetween stylize other.mp4 --style plain.style.safetensors -o other_painted.mp4
  inbetween stylize --camera 0 --style plain.style.safetensors -o - | ffplay -"""
