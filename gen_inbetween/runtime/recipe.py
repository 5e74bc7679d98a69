"""Command line of a recipe: a configuration file, overrides, one-line errors."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.outputs import claim_folder, reserved

Run = TypeVar("Run")


@contextmanager
def training_alone(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a run's folder, which they would fill with their own checkpoints.

    Of processes that share a run the first one does. OutputError: another run trains into it.
    """
    if int(os.environ.get("RANK", "0")):
        yield
        return
    with reserved(folder / "training"):
        yield


def claim_run(folder: Path, checkpoints: Sequence[str], names: Iterable[str]) -> None:
    """Take a folder for a run that writes checkpoints, files and folders of these names into it.

    A folder from before there were claims is known by a checkpoint. OutputError: one of them is there already, and was
    made by somebody else.
    """
    earlier = any(is_checkpoint(folder / name) for name in checkpoints)
    claim_folder(folder, [*checkpoints, *names], overwrite=earlier)


def is_checkpoint(file: Path) -> bool:
    """Whether a file holds the state of a training: a mapping that says its step. Its tensors are not read."""
    import torch

    try:
        return "step" in torch.load(file, map_location="meta", weights_only=True, mmap=True)
    except Exception:  # whatever stands there, it is none
        return False


def run_recipe(
    recipe: Callable[[Run, str | None], None],
    run_class: type[Run],
    default_config: Path,
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Read `[--config FILE] [--resume latest|FILE] [key=value ...]`, then call `recipe(run, resume)`.

    Args:
        run_class: the frozen dataclass of the settings.
        default_config: the YAML file that is read where no other is named.
        description: what --help says, the recipe's docstring.
        arguments: of the command line; None: of this process.

    Raises:
        SystemExit: status 2 and one line for what a person can mend (ValueError, OSError, ImportError).
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=default_config)
    parser.add_argument("--resume", metavar="latest|FILE", help="go on from the last checkpoint, or from FILE")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    options = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        run: Any = load(run_class, options.config, options.overrides)
        with training_alone(run.output):
            recipe(run, options.resume)
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"error: {error}\n")
