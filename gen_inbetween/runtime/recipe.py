"""Command line of a recipe: settings, one-line errors, permission for what it writes.

A recipe that trains fills a folder (`claim_run`); one that measures writes a report (`writing_report`): a page of
Markdown or JSON with files and folders beside it. A report says that it is ours (`write_page`, `write_findings`), so
the next run may replace it; its place among the recipes themselves is kept by version control, and is always ours.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.files import PREFIX, write_json
from gen_inbetween.runtime.manifest import versions
from gen_inbetween.runtime.outputs import Inputs, Paths, check_output, claim_folder, labelled, reserved
from gen_inbetween.runtime.trust.limits import check_archive

Run = TypeVar("Run")

FINDINGS = "gen_inbetween findings"  # the format of a report's figures


def add_output(parser: argparse.ArgumentParser, default: Path | None, flag: str = "--output", **said: Any) -> None:
    """The options of a recipe that writes a report: where to, and whether over files of others."""
    parser.add_argument(flag, dest="output", type=Path, default=default, **said)
    parser.add_argument("--overwrite", action="store_true", help="replace files that are no report of ours, too")


@contextmanager
def writing_report(
    parser: argparse.ArgumentParser,
    given: argparse.Namespace,
    *,
    reads: Paths = (),
    beside: Iterable[Path] = (),
    folders: Iterable[Path] = (),
    page: Path | None = None,
) -> Iterator[None]:
    """Permission to write a report, asked before the work and held until it is done.

    Args:
        parser, given: with the options of `add_output`.
        reads: files and folders that the report is made from; None among them is passed over.
        beside: further files that it writes.
        folders: folders that it fills.
        page: its page, where that is not given.output itself.

    Raises:
        SystemExit: status 2 and one line for what a person can mend (ValueError, OSError, ImportError): an output is an
            input, was made by somebody else, cannot be written, or is being written by another run.
    """
    page, default, folders = page or given.output, parser.get_default("output"), list(folders)
    files = [page, *beside]
    with one_line_errors(parser):
        if page == given.output and default is not None and page.suffix != default.suffix:
            raise ValueError(f"{page}: expected the name of a file that ends in {default.suffix}")
        if len({os.path.realpath(path) for path in (*files, *folders)}) < len(files) + len(folders):
            raise ValueError(f"{page} is also the name of what is written beside it: name another output")
        with reserved(page):
            inputs = Inputs(reads)
            for file in files:
                check_output(file, inputs, overwrite=given.overwrite or is_at_home(file, default), manifest=False)
                if os.path.isdir(file):
                    raise ValueError(f"{file} is a folder, expected the name of a file")
            for folder in folders:
                fill_folder(folder, inputs, given.overwrite, default)
            yield


def is_at_home(path: Path, default: Path | None) -> bool:
    """Whether a path is that of a recipe's own report among the recipes, or of what stands beside it."""
    if default is None or not default.is_absolute():
        return False
    return path.stem == default.stem and os.path.realpath(path.parent) == os.path.realpath(default.parent)


def fill_folder(folder: Path, inputs: Inputs, overwrite: bool, default: Path | None) -> None:
    """Take a folder for pictures and records of a report; whatever stands in it already could be replaced."""
    if inputs.at(folder):
        raise ValueError(f"{folder} is an input: name another output")
    if not is_at_home(folder, default):  # no claim is left lying about there
        names = [name for name in os.listdir(folder) if not name.startswith(PREFIX)] if folder.is_dir() else []
        claim_folder(folder, names, inputs, overwrite=overwrite)


@contextmanager
def one_line_errors(parser: argparse.ArgumentParser) -> Iterator[None]:
    """SystemExit: status 2 and one line, for what a person can mend (ValueError, OSError, ImportError)."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        parser.exit(2, f"error: {' '.join(str(error).split())}\n")


def write_page(path: Path, parts: Iterable[str]) -> Path:
    """Write a report's parts, of which the first is its title ("# ..."), as one page that is known to be ours."""
    with labelled(path) as temporary:
        temporary.write_bytes(("\n\n".join(part.strip("\n") for part in parts if part) + "\n").encode())
    return path


def write_findings(path: Path, findings: Mapping[str, Any]) -> Path:
    """Write a report's figures as JSON that is known to be ours, with the versions that they were made by."""
    return write_json(path, {"format": FINDINGS, "versions": versions(), **findings})


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
        check_archive(file)
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
    with one_line_errors(parser):
        run: Any = load(run_class, options.config, options.overrides)
        with training_alone(run.output):
            recipe(run, options.resume)
