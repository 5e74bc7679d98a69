"""Copy of a report for a repository, with small pictures beside it.

It says at its end that it is ours, as pages do, and is no longer once somebody edits it.
"""

from __future__ import annotations

import re
from pathlib import Path

from gen_inbetween.evaluation.report.pictures import copy_small_png
from gen_inbetween.runtime.files import OutputError, check_writable
from gen_inbetween.runtime.outputs import Inputs, Paths, check_output, labelled
from gen_inbetween.runtime.traces.labels import MARK

HEADINGS = ("\n## What was run\n", "\n## Configuration\n")  # of every report
_PICTURE = re.compile(r"(!\[[^\]]*\]\()((?:plots|sheets)/[^)\s]+\.png)\)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?:sheets|videos)/")  # to what stays in the output folder


def check_copy(path: Path, inputs: Paths = (), *, overwrite: bool = False) -> None:
    """Raise OutputError unless `write_copy` may write to `path`: no input, and no file that is not such a copy.

    To be asked before the work, and again before writing.
    """
    given, folder = Inputs(inputs), path.with_suffix("")
    check_output(path, given, overwrite=overwrite or is_unmarked_copy(path), manifest=False)
    check_writable(folder / "picture.png")
    if file := given.at(folder) or given.inside(folder):
        raise OutputError(f"the pictures of {path} go to {folder}, which holds the input {file}: name another output")


def is_unmarked_copy(path: Path) -> bool:
    """Whether a file is a copy from before copies said that they are ours: by its headings."""
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, ValueError):
        return False
    return text.startswith("# ") and all(heading in text for heading in HEADINGS) and f"<!-- {MARK}" not in text


def write_copy(markdown: str, output: Path, path: Path) -> Path:
    """Write a report's Markdown elsewhere, with small copies of the pictures it shows in the folder of its name.

    Args:
        markdown: shows pictures by their path in `output`.
        path: ends in .md; pictures go to path without the suffix. Lines that link to sheets or videos are left out,
            since those stay where they are.
    """
    folder = path.with_suffix("")

    def copied(match: re.Match[str]) -> str:
        source = output / match[2]
        copy_small_png(source, folder / source.name)
        return f"{match[1]}{folder.name}/{source.name})"

    lines = [line for line in markdown.split("\n") if not _LINK.search(line)]
    text = _PICTURE.sub(copied, "\n".join(lines))
    with labelled(path) as temporary:
        temporary.write_bytes(re.sub(r"\n{3,}", "\n\n", text).encode())
    return path
