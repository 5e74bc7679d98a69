"""Command line of a recipe: a configuration file, overrides, one-line errors."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gen_inbetween.runtime.config import load

Run = TypeVar("Run")


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
        recipe(load(run_class, options.config, options.overrides), options.resume)
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"error: {error}\n")
