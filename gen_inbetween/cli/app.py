"""The `inbetween` command, with the commands that make a clip.

They read options, call the library and write files; `__main__` adds the other groups. Imports of the library stand
inside the commands: --help should not wait for torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gen_inbetween.cli.errors import FAILED, fail, report_errors
from gen_inbetween.cli.keyframes import (
    CarryPace,
    Context,
    KeyframeOption,
    MatchColour,
    ModelOrAuto,
    Out,
    ShowMasks,
    join_settings,
    keyframes_of,
    show_region_of,
    show_still,
)
from gen_inbetween.cli.options import (
    Background,
    ConfigFile,
    Crf,
    Device,
    Frames,
    Interpolator,
    Method,
    Model,
    Motion,
    Overrides,
    Overwrite,
    PixFmt,
    Seed,
    Size,
    Steps,
    VideoCodec,
    VramGb,
    check_there,
    colour_of,
    files_of,
    say,
    settings_of,
)

if TYPE_CHECKING:
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.generation.timeline.keyframe import Keyframe
    from gen_inbetween.media.clip import Clip
    from gen_inbetween.media.writing.options import VideoOptions

app = typer.Typer(
    name="inbetween",
    help="Two keyframes in, a natural video between them out.",
    epilog="A failure is one line on stderr; --debug (anywhere on the line) adds the traceback. "
    "--trust (anywhere) lets files run that are programs, such as FILM's TorchScript; all other weights are data. "
    "Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)


def print_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        import gen_inbetween

        typer.echo(f"inbetween {gen_inbetween.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Two keyframes in, a natural video between them out."""


@app.command(
    epilog="""\b
Examples:
  inbetween run first.png last.png -o clip.mp4
  inbetween run first.jpg last.jpg -o clip.gif --method trf --steps 25 --seed 3
  inbetween run first.jpg last.jpg -o clip.mp4 --model svd-xt --motion backward_motion.safetensors
  inbetween run first.jpg last.jpg -o clip.mp4 --method interpolate --frames 17
  inbetween run first.jpg last.jpg -o clip.mp4 --method auto --model svd-xt
  inbetween run a.png b.png c.png -o clip.mp4 --frames 49
  inbetween run --keyframe a.png:0 --keyframe b.png:16:0.8 --keyframe c.png:end --frames 49 -o clip.mp4
  inbetween run a.png b.png -o loop.mp4 --loop
  inbetween run a.png b.png -o clip.mp4 --still sky.png
  inbetween run a.png b.png -o clip.mp4 --draft rough.mp4 --draft-strength 0.6
  inbetween run first.jpg last.jpg -o frames/ --config configs/inference/pocket_trf.yaml --set fps=12"""
)
@report_errors
def run(
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="out.mp4, .mov, .webm, .gif, .png (a sheet), a folder of frames, ... or -"),
    ],
    frames: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FRAME0 FRAME1 ...", help="The keyframes, image files, evenly spaced; one with --loop."),
    ] = None,
    keyframe: KeyframeOption = None,
    loop: Annotated[bool, typer.Option("--loop", help="From the last frame the clip goes on to the first.")] = False,
    still: Annotated[
        str | None, typer.Option(metavar="MASK", help="An image: where it is bright the keyframes' pixels stay.")
    ] = None,
    masks_out: ShowMasks = None,
    draft: Annotated[
        str | None, typer.Option(metavar="CLIP|interpolate", help="A rough clip of as many frames to start from.")
    ] = None,
    draft_strength: Annotated[
        float | None, typer.Option(help="Noise on the draft: 0.3 stays near it, 1 forgets it. [default: 0.6]")
    ] = None,
    config: ConfigFile = None,
    model: Annotated[
        str | None, typer.Option(help="A name of `inbetween models`, a folder, or a hub id. [default: auto]")
    ] = None,
    motion: Motion = None,
    method: Method = None,
    interpolator: Interpolator = None,
    num_frames: Frames = None,
    steps: Steps = None,
    seed: Seed = None,
    size: Size = None,
    fit: Annotated[
        str | None, typer.Option(help="crop, pad or stretch the keyframes to the size. [default: crop]")
    ] = None,
    device: Device = None,
    vram_gb: VramGb = None,
    best_of: Annotated[
        int | None,
        typer.Option(min=1, help="Seeds to try, from --seed on; the best clip is kept: few faults, like the others."),
    ] = None,
    keep_all: Annotated[bool, typer.Option("--keep-all", help="With --best-of: a sheet of all seeds, too.")] = False,
    parallel: Annotated[
        int | None, typer.Option(help="Processes, on a GPU each, that share the clip: 2 for guidance, 4 for trf.")
    ] = None,
    override: Overrides = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    background: Background = None,
    overwrite: Overwrite = False,
) -> None:
    """Make the video between two keyframes, or through several; its manifest stands inside of it and beside it."""
    check_there(*(frames or ()))
    from gen_inbetween.cli.parallel import launch, this_process

    process = this_process()
    keyframes = keyframes_of(frames, keyframe, config)
    settings = settings_of(
        config,
        override,
        size,
        model=model,
        motion=motion,
        method=method,
        interpolator=interpolator,
        num_frames=num_frames,
        num_inference_steps=steps,
        seed=seed,
        best_of=best_of,
        fit=fit,
        device=process.device_for(device),
        vram_gb=vram_gb,
        codec=codec,
        crf=crf,
        pix_fmt=pix_fmt,
        background=None if background is None else colour_of(background),
        loop=loop or None,
        still=still,
        draft=draft,
        draft_strength=draft_strength,
        own_keys=("keyframes",),
    )
    alone = masks_out is not None or (settings.loop and len(keyframes) == 1)
    if alone and ((parallel or 1) > 1 or process.ranks is not None):
        raise ValueError("--parallel shares a clip between keyframes: a mask, or a loop of one picture, is made alone")
    if masks_out is not None:
        show_still(keyframes[0], settings, masks_out)
        return
    if settings.loop and len(keyframes) == 1:
        loop_picture(keyframes[0], settings, out, overwrite)
        return
    from gen_inbetween.generation.generate import Own, generate_clip
    from gen_inbetween.media.clip import check_output
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.outputs import check_output as check_file
    from gen_inbetween.runtime.outputs import reserved

    if not process.speaks:
        generate_clip(keyframes, None, settings, own=Own(ranks=process.ranks), progress=False)
        return
    pictures = [str(each.image) for each in keyframes]
    inputs = [*pictures, config, *files_of(vars(settings))]
    check_output(out, inputs, overwrite=overwrite, video=settings.video)
    if keep_all:
        check_file(_seeds_sheet(out), inputs, overwrite=overwrite, manifest=False)
    if parallel is not None and parallel != 1 and process.ranks is None:
        raise typer.Exit(launch(parallel, sys.argv[1:]))
    with reserved(place_of(out)):
        made = generate_clip(keyframes, None, settings, own=Own(ranks=process.ranks))
        _announce(made, out, overwrite)
        if keep_all and made.others:
            _save_candidates(made, _seeds_sheet(out))


@app.command(
    epilog="""\b
Examples:
  inbetween bridge a.mp4 b.mp4 -o both.mp4
  inbetween bridge a.mp4 b.mp4 -o both/ --frames 9 --context 6 --method vibid --model svd-xt"""
)
@report_errors
def bridge(
    clip_a: Annotated[Path, typer.Argument(help="The clip before the gap: a video, animation or folder of frames.")],
    clip_b: Annotated[Path, typer.Argument(help="The clip after it.")],
    out: Out,
    num_frames: Annotated[int, typer.Option("--num-frames", "--frames", help="Frames between the two clips.")] = 17,
    context: Context = 1,
    match_colour: MatchColour = True,
    carry_pace: CarryPace = True,
    config: ConfigFile = None,
    model: ModelOrAuto = None,
    method: Method = None,
    steps: Steps = None,
    seed: Seed = None,
    device: Device = None,
    override: Overrides = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
) -> None:
    """Fill the gap between two clips; their own frames stay as they are."""
    from gen_inbetween.generation import joins

    chosen = {"model": model, "method": method, "num_inference_steps": steps, "seed": seed, "device": device}
    settings = join_settings(config, override, codec=codec, crf=crf, pix_fmt=pix_fmt, **chosen)
    with _writing(out, [clip_a, clip_b, config, *files_of(settings)], overwrite, settings.get("video")):
        values: dict[str, Any] = {"num_frames": num_frames, "context": context, "match_colour": match_colour}
        values["carry_pace"] = carry_pace
        _announce(joins.bridge(clip_a, clip_b, **values, **settings), out, overwrite)


@app.command(
    epilog="""\b
Examples:
  inbetween loop walk.mp4 -o loop.mp4
  inbetween loop picture.png -o loop.webp --frames 25 --model svd-xt"""
)
@report_errors
def loop(
    clip: Annotated[Path, typer.Argument(metavar="CLIP|PICTURE", help="A clip to close, or one picture to move.")],
    out: Out,
    num_frames: Annotated[
        int | None,
        typer.Option("--num-frames", "--frames", help="Frames of the whole loop. [default: the clip and a usual gap]"),
    ] = None,
    context: Context = 1,
    match_colour: MatchColour = True,
    carry_pace: CarryPace = True,
    even_pace: Annotated[
        bool, typer.Option("--even-pace/--no-even-pace", help="Space the frames of the gap evenly.")
    ] = True,
    config: ConfigFile = None,
    model: ModelOrAuto = None,
    method: Method = None,
    steps: Steps = None,
    seed: Seed = None,
    device: Device = None,
    override: Overrides = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a loop: from the last frame to the first is one more step."""
    from gen_inbetween.generation import joins

    chosen = {"model": model, "method": method, "num_inference_steps": steps, "seed": seed, "device": device}
    settings = join_settings(config, override, codec=codec, crf=crf, pix_fmt=pix_fmt, **chosen)
    with _writing(out, [clip, config, *files_of(settings)], overwrite, settings.get("video")):
        values: dict[str, Any] = {"num_frames": num_frames, "context": context}
        values |= {"match_colour": match_colour, "carry_pace": carry_pace, "even_pace": even_pace}
        made = joins.loop(clip, **values, **settings)
        _announce(made, out, overwrite)
        say(out, f"last frame to first: {made.manifest['join']['ratio']} of the median step")


@app.command(
    epilog="""\b
Examples:
  inbetween retake walk.mp4 12 30 -o again.mp4 --seed 3
  inbetween retake walk.mp4 12 30 -o again.mp4 --mask face.png"""
)
@report_errors
def retake(
    clip: Annotated[Path, typer.Argument(help="The clip: a video, animation or folder of frames.")],
    start: Annotated[int, typer.Argument(help="The first frame that is made anew, counted from 0.")],
    end: Annotated[int, typer.Argument(help="The first frame after it that is kept.")],
    out: Out,
    context: Context = 1,
    carry_pace: CarryPace = True,
    mask: Annotated[Path | None, typer.Option(help="An image: only where it is bright the frames change.")] = None,
    masks_out: ShowMasks = None,
    match_colour: MatchColour = True,
    config: ConfigFile = None,
    model: ModelOrAuto = None,
    method: Method = None,
    steps: Steps = None,
    seed: Seed = None,
    device: Device = None,
    override: Overrides = None,
    codec: VideoCodec = None,
    crf: Crf = None,
    pix_fmt: PixFmt = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a stretch of a clip anew; its other frames stay as they are."""
    from gen_inbetween.generation import joins
    from gen_inbetween.generation.timeline.joining import check_stretch

    chosen = {"model": model, "method": method, "num_inference_steps": steps, "seed": seed, "device": device}
    settings = join_settings(config, override, codec=codec, crf=crf, pix_fmt=pix_fmt, **chosen)
    if masks_out is not None:
        if mask is None:
            raise ValueError("--show-masks shows the --mask of a retake; there is none")
        opened = joins.open_clip(clip)
        check_stretch(start, end, len(opened))
        show_region_of(opened[start], mask, masks_out, [clip])
        return
    with _writing(out, [clip, config, mask, *files_of(settings)], overwrite, settings.get("video")):
        values: dict[str, Any] = {"context": context, "mask": mask, "match_colour": match_colour}
        values["carry_pace"] = carry_pace
        _announce(joins.retake(clip, start, end, **values, **settings), out, overwrite)


@app.command(
    epilog="""\b
Examples:
  inbetween replay clip.mp4
  inbetween replay clip.mp4.inbetween.json -o again.mp4 --frame0 moved/first.png --frame1 moved/last.png
  inbetween replay both.mp4 --clip moved/a.mp4 --clip moved/b.mp4"""
)
@report_errors
def replay(
    manifest: Annotated[
        Path, typer.Argument(metavar="CLIP|MANIFEST", help="A clip, a folder of frames, or the manifest beside one.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the clip here.")] = None,
    frame0: Annotated[Path | None, typer.Option(help="Where the first keyframe is now, if it moved.")] = None,
    frame1: Annotated[Path | None, typer.Option(help="Where the last keyframe is now.")] = None,
    keyframe: Annotated[
        list[Path] | None, typer.Option("--keyframe", help="Of several: where each is now, all of them, in order.")
    ] = None,
    still: Annotated[Path | None, typer.Option(help="Where the mask of what stands still is now.")] = None,
    draft: Annotated[Path | None, typer.Option(help="Where the draft is now.")] = None,
    interpolator: Annotated[
        Path | None, typer.Option(help="Where the weights of an interpolated clip are now, if they moved.")
    ] = None,
    clip: Annotated[
        list[Path] | None,
        typer.Option(help="Of a bridge, loop or retake: where what it was made from is now, all of it, in order."),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Of a retake: where its mask is now.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a clip again from its manifest; compare latents, or interpolated frames (status 1: they differ)."""
    ours: dict[str, Any] = {"frame0": frame0, "frame1": frame1, "keyframes": keyframe or None}
    ours |= {"still": still, "draft": draft, "interpolator": interpolator}
    joins: dict[str, Any] = {"clips": clip or None, "mask": mask}
    given = [frame0, frame1, *(keyframe or ()), still, draft, interpolator, *(clip or ()), mask]
    check_there(*given)
    from gen_inbetween.media.clip import check_output
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.manifest import inputs_of, read
    from gen_inbetween.runtime.outputs import reserved

    said = read(manifest)
    is_join = "join" in said
    if any(ours.values() if is_join else joins.values()):
        raise ValueError(f"{manifest}: a bridge, loop or retake takes --clip and --mask, other clips the other options")
    if out is not None:
        check_output(out, [manifest, *given, *inputs_of(said, manifest)], overwrite=overwrite)
    from gen_inbetween.generation.joins import replay_join
    from gen_inbetween.generation.replay import replay as make_again

    with nullcontext() if out is None else reserved(place_of(out)):
        made = replay_join(manifest, **joins) if is_join else make_again(manifest, **ours)
        if out is not None:
            _announce(made, out, overwrite)
    what = "frames" if "frames_equal" in made.manifest["replay"] else "latents"
    if not made.manifest["replay"][f"{what}_equal"]:
        fail(f"the {what} differ from those of the first run", FAILED)
    say(out, f"the {what} are equal")


@app.command(
    epilog="""\b
Examples:
  inbetween demo
  inbetween demo --out outputs/demo --steps 10 --model svd-xt"""
)
@report_errors
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")] = Path("outputs/demo"),
    model: Model = "pocket-2",
    steps: Annotated[int, typer.Option("--num-inference-steps", "--steps", help="Denoising steps, all methods.")] = 25,
    seed: Annotated[int, typer.Option(help="The seed is the video.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Bundled pairs, drawn ones and photographs: one labelled video and one sheet each; gi, trf, vibid on the first."""
    from gen_inbetween.generation.demo import make_demo

    for path in make_demo(out, overwrite=overwrite, model=model, seed=seed, num_inference_steps=steps):
        typer.echo(str(path))


def loop_picture(keyframe: Keyframe, settings: Settings, out: Path, overwrite: bool) -> None:
    """`run PICTURE --loop`, which is `loop PICTURE`."""
    from dataclasses import fields

    from gen_inbetween.generation import joins

    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    changed = {item.name: values[item.name] for item in fields(settings) if values[item.name] != item.default}
    changed.pop("loop")
    with _writing(out, [str(keyframe.image), *files_of(changed)], overwrite, settings.video):
        _announce(joins.loop(keyframe.image, **changed), out, overwrite)


@contextmanager
def _writing(
    out: Path, inputs: Sequence[Path | str | None], overwrite: bool, video: VideoOptions | dict[str, Any] | None
) -> Iterator[None]:
    """The output, checked and reserved while it is made."""
    from gen_inbetween.media.clip import check_output
    from gen_inbetween.media.writing.options import VideoOptions
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.config import from_mapping
    from gen_inbetween.runtime.outputs import reserved

    if not isinstance(video, VideoOptions):
        video = from_mapping(VideoOptions, video or {}, where="video")
    check_output(out, inputs, overwrite=overwrite, video=video)
    with reserved(place_of(out)):
        yield


def _seeds_sheet(out: Path) -> Path:
    """Where the sheet of all seeds of a clip stands."""
    return out.with_name(f"{out.stem}_seeds.png")


def _save_candidates(clip: Clip, path: Path) -> None:
    """A sheet of all seeds of a clip that were not broken off, the kept one first."""
    from gen_inbetween.media.clip import save_sheet
    from gen_inbetween.media.contact_sheet import contact_sheet

    scores = {each["seed"]: each["score"] for each in clip.manifest["best_of"]["candidates"]}
    seeds = [each.manifest["settings"]["seed"] for each in (clip, *clip.others)]
    sheet = contact_sheet(
        {f"seed {seed}: {scores[seed]:.3g}": each for seed, each in zip(seeds, (clip, *clip.others), strict=True)}
    )
    save_sheet(path, sheet)
    typer.echo(f"{path}: {len(seeds)} seeds by their scores, lower is better")


def _announce(clip: Clip, out: Path, overwrite: bool) -> None:
    """Save a clip and say where it is and what it cost."""
    from gen_inbetween.media.writing.outputs import place_of
    from gen_inbetween.runtime.outputs import path_beside

    clip.save(out, overwrite=overwrite)
    passes, seconds = clip.manifest["unet_passes"], clip.manifest["seconds"]
    say(out, f"{out}: {clip!r}, {passes} UNet passes, {seconds:.1f} s", see=path_beside(place_of(out)))
