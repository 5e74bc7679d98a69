"""`inbetween replay`: a clip made again from its manifest."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from gen_inbetween.cli.app import announce
from gen_inbetween.cli.errors import FAILED, fail, report_errors
from gen_inbetween.cli.options import Overwrite, check_there, say


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
            announce(made, out, overwrite)
    what = "frames" if "frames_equal" in made.manifest["replay"] else "latents"
    if not made.manifest["replay"][f"{what}_equal"]:
        fail(f"the {what} differ from those of the first run", FAILED)
    say(out, f"the {what} are equal")


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(
        epilog="""\b
Examples:
  inbetween replay clip.mp4
  inbetween replay clip.mp4.inbetween.json -o again.mp4 --frame0 moved/first.png --frame1 moved/last.png
  inbetween replay both.mp4 --clip moved/a.mp4 --clip moved/b.mp4"""
    )(replay)
