"""Settings of a report: sections, headline metrics, committed copy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gen_inbetween.runtime.files import OutputError, check_writable
from gen_inbetween.runtime.messages import nearest_names
from gen_inbetween.runtime.outputs import Inputs, Paths, check_output
from gen_inbetween.runtime.traces.labels import MARK

HEADINGS = ("\n## What was run\n", "\n## Configuration\n")  # of every report


class ReportError(ValueError):
    """A report that names something the run does not have; the message says what is there."""


@dataclass(frozen=True)
class ReportSettings:
    """How the results are shown. With every default: one section with all methods, four measures drawn."""

    sections: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # title -> labels; none: one with all
    headline: tuple[str, ...] = ()  # clip measures that are drawn by gap, motion and cost; none: the first four
    picture_metric: str | None = None  # what typical, best and worst pairs are chosen by; None: the first headline
    reading: Path | None = None  # Markdown written by a person, put on top as it is
    markdown: Path | None = None  # a copy to be committed; its pictures go to the folder of the same name

    def check(self, methods: Collection[str], metrics: Collection[str]) -> None:
        """Find out before the work whether this report can be written.

        Args:
            methods: the labels of the run. metrics: its measures of single clips.

        Raises:
            ReportError: a section without labels, a label or measure that the run does not have, a reading that is
                not there, a copy that would not end in .md.
        """
        for title, labels in self.sections.items():
            if not labels:
                raise ReportError(f"report.sections: {title!r} names no method")
            for label in labels:
                _known(label, methods, f"report.sections, {title!r}")
        for metric in self.headline:
            _known(metric, metrics, "report.headline")
        if self.picture_metric is not None:
            _known(self.picture_metric, metrics, "report.picture_metric")
        if self.reading is not None and not self.reading.is_file():
            raise ReportError(f"report.reading: no such file: {self.reading}")
        if self.markdown is not None and self.markdown.suffix != ".md":
            raise ReportError(f"report.markdown: expected a name ending in .md, got {self.markdown}")


def _known(name: str, names: Collection[str], where: str) -> None:
    if name in names:
        return
    near = nearest_names(name, names)
    hint = f"did you mean {near[0]!r}?" if near else f"this run has {', '.join(names)}"
    raise ReportError(f"{where}: {name!r} is not part of this run; {hint}")


def check_copy(path: Path, inputs: Paths = (), *, overwrite: bool = False) -> None:
    """Raise OutputError unless the copy of a report may go to `path`: no input, and no file that is not such a copy.

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
