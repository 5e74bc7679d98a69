"""Notices and errors of the command, and its exit status."""

from __future__ import annotations

import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., None])

LONGEST = 2000  # letters of an error: libraries repeat what they were given
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
ANYWHERE = ("--debug", "--trust")  # options of the command itself, wherever they stand on the line
TRUST_VARIABLE = "GEN_INBETWEEN_TRUST"  # `runtime.trust` reads it; that waits for pydantic, --help does not
INPUT_ERRORS = (ValueError, OSError, ImportError)  # what the library raises for what a person can mend


def report_errors(command: Command) -> Command:
    """Turn what a command raises into one line and an exit status; --debug lets the traceback through."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt as error:
            fail("interrupted", getattr(error, "status", INTERRUPTED))
        except typer.Exit:
            raise
        except Exception as error:
            if debugging():
                raise
            message = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, INPUT_ERRORS):
                fail(message, BAD_INPUT)
            if type(error).__name__ == "OutOfMemoryError":
                message += "; `inbetween plan` counts what fits, --vram-gb plans for less"
            fail(f"{type(error).__name__}: {message} (--debug shows where)", FAILED)

    return run  # type: ignore[return-value]


def fail(message: str, status: int) -> NoReturn:
    """Say why, on a line of its own, and leave with this exit status."""
    if bars := sys.modules.get("tqdm"):
        for bar in list(getattr(bars.tqdm, "_instances", ())):
            bar.close()
    typer.echo(f"error: {message if len(message) <= LONGEST else message[:LONGEST] + '...'}", err=True)
    raise typer.Exit(status)


def report_usage(error: Any) -> int:
    """Print what typer says of a line it cannot read, as one of our own; the exit status.

    Its exceptions are click's, or those of a click inside of it, so they are told by what they have.
    """
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message, err=True)
        return BAD_INPUT
    context = getattr(error, "ctx", None)  # an option without its value comes with none
    words = sys.argv[1:2] if context is None else context.command_path.split()[1:]
    command = " ".join(["inbetween", *(word for word in words if not word.startswith("-"))])
    typer.echo(f"error: {' '.join(message.split()).rstrip('.')}; `{command} --help` shows the options", err=True)
    return BAD_INPUT


def debugging() -> bool:
    """Whether --debug stands anywhere on the line: it is wanted afterwards, at the end of one that failed."""
    return "--debug" in sys.argv[1:]


def trusting() -> bool:
    """Whether --trust stands anywhere on the line: files that are programs may run."""
    return "--trust" in sys.argv[1:]


def configure_logging() -> None:
    """Show our notices and Python's warnings as plain lines on stderr, and only errors of the libraries below us."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("gen_inbetween")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if debugging() else logging.INFO)
    if not debugging():
        # Before they are imported: what transformers and diffusers warn of is for programmers.
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
        warnings.showwarning = _one_line  # type: ignore[assignment]


def _one_line(message: Any, category: Any, *where: Any) -> None:
    if issubclass(category, UserWarning):  # not the deprecations of other packages
        typer.echo(f"warning: {' '.join(str(message).split())}", err=True)
