"""`inbetween clean`: leftovers of killed runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gen_inbetween.cli.errors import report_errors


@report_errors
def clean(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder, and all inside of it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove what killed runs left: temporary files, and pieces of videos that were not finished."""
    from gen_inbetween.runtime.traces.leftovers import delete_leftover, find_leftovers

    count, size, kept = 0, 0, 0
    for leftover in list(find_leftovers(folder)):
        bytes_of = leftover.size
        try:
            if not dry_run:
                delete_leftover(leftover)
        except OSError as error:  # one that stays keeps no other
            typer.echo(f"{leftover.path}: stays: {error.strerror or 'it could not be removed'}", err=True)
            kept += 1
            continue
        typer.echo(f"{leftover.path}: {leftover.why}")
        count, size = count + 1, size + bytes_of
    what = "to remove" if dry_run else "removed"
    typer.echo(f"{count} {what}, {size / 1e6:.1f} MB" if count or kept else "nothing is left of killed runs")
    if kept:
        raise OSError(f"{kept} could not be removed: see above")


def add_to(app: typer.Typer) -> None:
    """Make the command part of `inbetween`."""
    app.command(epilog="\b\nExamples:\n  inbetween clean outputs/ --dry-run\n  inbetween clean outputs/")(clean)
