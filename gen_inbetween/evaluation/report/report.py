"""Evaluation report: report.md and report.html with plots, sheets and videos.

Everything is read back from the output folder (results.jsonl, sets.json, run.json and the clips), so a report can be
written again, with other sections or after a reading has been added, without computing anything anew.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from gen_inbetween.evaluation.clip_store import read_clip
from gen_inbetween.evaluation.pairs.pair_list import read_list
from gen_inbetween.evaluation.pairs.truth import open_truth
from gen_inbetween.evaluation.report.html import render_page, write_copy
from gen_inbetween.evaluation.report.metric_info import describe_metrics
from gen_inbetween.evaluation.report.pictures import Clips
from gen_inbetween.evaluation.report.scores import Scores, read_scores
from gen_inbetween.evaluation.report.sections import Material, own_pictures, section
from gen_inbetween.evaluation.report.settings import check_copy
from gen_inbetween.evaluation.report.tables import plain, table
from gen_inbetween.evaluation.settings import TRUTH, EvalRun, EvaluationError, inputs_of
from gen_inbetween.media.contact_sheet import Frames
from gen_inbetween.runtime.files import write_text
from gen_inbetween.runtime.hashing import file_sha256

DRAWN = 4  # headline measures where the configuration names none
NAMED = 5  # failures of one method that are named
READ = """\
Cells are `mean [low, high]`: the mean over pairs of keyframes and its 95 % interval (percentile bootstrap over pairs,
2,000 resamples, seed 0). Seeds of one pair are averaged first. N counts the pairs to which a measure applies. ↑ more is
better, ↓ less is better, → truth: the nearer to the true clip's own value the better; such measures are compared by
their distance from it. A row is bold where it is better than every other row. "Better" is said only where the paired
test (Wilcoxon's signed-rank test; McNemar's exact test for shares) stays below 5 % after Holm's correction over all
comparisons of that measure (the p shown) and the interval of the difference excludes zero. In an order, methods in
brackets are not told apart by these clips."""
READ_SETS = """\
A distance between sets is biased upwards when clips are few. "Extrapolated" is the value that its fall with growing N
points to; compare methods by it or at equal N only. A row is bold where its interval ends below that of every other."""


def write_report(output: Path, run: EvalRun, command: str = "", *, overwrite: bool = False) -> Path:
    """Write report.md, report.html, plots/, sheets/ and videos/ into `output`, and the copy `run.report.markdown`.

    Args:
        command: what was typed to get here, for the reader to type again.
        overwrite: the copy replaces a file of somebody else, too.

    Raises:
        EvaluationError: results are missing or damaged, or none could be scored. ReportError: the settings name a
            method or measure that the run does not have. OutputError: the disk is full or closed to us.
    """
    facts = read_json(output / "run.json")
    check_files(output, facts)
    scores = read_scores(output / "results.jsonl")
    run.report.check(run.methods, [name for name, each in facts["metrics"].items() if each["kind"] == "clip"])
    material = gather_material(output, run, scores, facts)
    text = "\n\n".join(block.strip("\n") for block in compose_blocks(material, run, facts, command)) + "\n"
    write_text(output / "report.md", text)
    write_text(output / "report.html", render_page(text))
    if run.report.markdown is not None:
        check_copy(run.report.markdown, inputs_of(run), overwrite=overwrite)
        write_copy(text, output, run.report.markdown)
    return output / "report.md"


def check_files(output: Path, facts: Mapping[str, Any]) -> None:
    """EvaluationError where results were changed since run.json was written; one of an earlier version cannot tell."""
    for name, sha256 in facts.get("files", {}).items():
        if not (output / name).is_file() or file_sha256(output / name) != sha256:
            raise EvaluationError(
                f"{output / name} was changed since the evaluation wrote it: run the evaluation again"
            )


def gather_material(output: Path, run: EvalRun, scores: Scores, facts: Mapping[str, Any]) -> Material:
    """Everything the sections need."""
    sets = read_json(output / "sets.json")
    infos = describe_metrics([*scores.metrics, *sets])
    clip_metrics = [name for name in infos if name in scores.metrics]
    headline = [name for name in run.report.headline if name in clip_metrics] or clip_metrics[:DRAWN]
    picture_metric = run.report.picture_metric if run.report.picture_metric in clip_metrics else headline[0]
    return Material(
        output=output,
        scores=scores,
        sets=sets,
        metrics=infos,
        headline=tuple(infos[name] for name in headline),
        picture_metric=infos[picture_metric],
        reference=run.reference if run.reference in scores.methods else None,
        clips=clip_reader(output, run, scores, facts["size"]),
    )


def clip_reader(output: Path, run: EvalRun, scores: Scores, size: Sequence[int]) -> Clips:
    """How pictures get at clips: made ones where their row says, true ones from the list of pairs."""
    pairs = {pair.name: pair for pair in read_list(run.pairs).pairs}

    def clip(method: str, pair: str, seed: int) -> Frames:
        if method == TRUTH:
            frames = open_truth(pairs[pair], run.root, *size).frames
        else:
            frames = read_clip(output / str(scores.clips[method, pair, seed]))
        return [Image.fromarray(frame) for frame in frames]

    return clip


def compose_blocks(material: Material, run: EvalRun, facts: Mapping[str, Any], command: str) -> Iterator[str]:
    """The whole report in blocks of Markdown; pictures are written on the way."""
    yield f"# {plain(run.name)}"
    if run.report.reading is not None:
        yield "## Reading"
        yield run.report.reading.read_text(encoding="utf-8")
    yield "## What was run"
    if command:
        yield f"```\n{command}\n```"
    yield from what_was_run(material.scores, run, facts)
    yield READ
    if material.sets:
        yield READ_SETS
    scored_methods = material.scores.methods
    sections = run.report.sections or {"All methods": tuple(run.methods)}
    for number, (title, labels) in enumerate(sections.items(), 1):
        with_clips = [label for label in labels if label in scored_methods]
        if with_clips:
            yield from section(material, title, with_clips, number)
    yield from own_pictures(material)
    yield "## Failures"
    yield from failures(run, scored_methods, facts["failures"])
    yield "## What each measure means"
    rows = ([f"`{each.name}`", each.unit, each.better, plain(each.meaning)] for each in material.metrics.values())
    yield table(["measure", "unit", "better", "meaning"], rows).replace("---:", "---")
    yield "## Configuration"
    yield "```yaml\n" + yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True) + "```"


def what_was_run(scores: Scores, run: EvalRun, facts: Mapping[str, Any]) -> Iterator[str]:
    """The command's inputs with their hashes, and what it ran on; no names of hosts or folders of a machine."""
    listed, model, machine = facts["list"], facts["model"], facts["machine"]
    lengths = ", ".join(group.label for group in scores.by_gap())
    rows = {
        "made": str(facts["created_at"]),
        "pairs": f"{len(scores.pairs)} of list {plain(listed['name'])} (sha256 {listed['sha256'][:12]})",
        "frames of a clip": f"{lengths}, both keyframes counted, {facts['size'][0]}x{facts['size'][1]} pixels",
        "seeds": ", ".join(map(str, run.seeds)),
        "reference": plain(run.reference or "none"),
        "model": f"{plain(model['name'])} (sha256 {model['sha256'][:12]})" if model else "none",
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        "machine": ", ".join([_kind(machine["system"]), f"threads: {machine['threads']}", *machine["gpus"]]),
    }
    yield table(["what", "value"], [[key, value] for key, value in rows.items()]).replace("---:", "---")


def _kind(system: str) -> str:
    """Without the kernel's version and name: "Linux x86_64" of "Linux-6.1.0-name-x86_64-with-glibc2.36"."""
    return re.sub(r"-.*?-(x86_64|AMD64|aarch64|arm64)\b.*", r" \1", system)


def failures(run: EvalRun, scored_methods: Sequence[str], failed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What could not be made, scored or compared, counted by method, the first of each by name."""
    absent = [label for label in run.methods if label not in scored_methods]
    if absent:
        yield f"Without any scored clip, and therefore in no table: {', '.join(map(plain, absent))}."
    if not failed:
        yield "None: every clip was made and scored."
        return
    counts = Counter(failure["method"] or "all methods" for failure in failed)
    for method, count in counts.items():
        yield f"**{plain(method)}**: {count}"
        named = [failure for failure in failed if (failure["method"] or "all methods") == method][:NAMED]
        lines = [f"- {plain(_place(failure))}: {plain(' '.join(failure['why'].split()))}" for failure in named]
        yield "\n".join([*lines, *([f"- and {count - NAMED} more, in run.json"] if count > NAMED else [])])


def _place(failure: Mapping[str, Any]) -> str:
    parts = [failure["pair"], None if failure["seed"] is None else f"seed {failure['seed']}"]
    return ", ".join(filter(None, parts)) or "the run"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that the harness wrote; EvaluationError where it is not there."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path}: cannot read what the evaluation wrote: {error}; run the evaluation") from error
    return content
