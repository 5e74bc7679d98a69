"""Quality against UNet passes: methods and their options on one list of pairs, and the frontier of each measure.

    make frontier                                                            # hours on two cores; goes on where it was
    python eval/frontier.py --config configs/eval/frontier_pocket.yaml limit=16   # any setting of the file

It is an evaluation (eval/evaluate.py) whose report has a second page, frontier.md with frontier.png, in the output
folder; `--page` names a copy to be committed. Many pairs can be done a stretch at a time: `skip=64 limit=64`, and
`--with FOLDER` adds to the second page what an earlier stretch left (its results.jsonl and run.json). `--beside FOLDER`
adds the methods of another run on the same pairs, the first of which is then what the others are held against.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from gen_inbetween.evaluation.report.frontier import frontier_figure, frontier_table
from gen_inbetween.evaluation.report.metric_info import describe_metrics
from gen_inbetween.evaluation.report.plots import save
from gen_inbetween.evaluation.report.report import write_report
from gen_inbetween.evaluation.report.scores import Scores
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.settings import EvalRun
from gen_inbetween.evaluation.stretches import FILES, read_stretches
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.recipe import add_output, labelled, one_line_errors, write_page, writing_report

CONFIG = Path(__file__).parents[1] / "configs" / "eval" / "frontier_pocket.yaml"
BUDGET = 100  # passes that count as cheap: a seventh of the published setting


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG)
    add_output(parser, None, "--page", help="also write the page here, its picture beside it")
    parser.add_argument(
        "--with", dest="earlier", type=Path, nargs="+", default=[], metavar="FOLDER", help="earlier stretches"
    )
    parser.add_argument(
        "--beside", type=Path, nargs="+", default=[], metavar="FOLDER", help="runs of other methods on the same pairs"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    given = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format="%(message)s")
    typed = shlex.join(["python", "eval/frontier.py", *(sys.argv[1:] if arguments is None else arguments)])
    with one_line_errors(parser):
        run = load(EvalRun, given.config, given.overrides)
        with ExitStack() as permission:
            if given.output is not None:
                picture = given.output.with_suffix(".png")
                records = [folder / name for folder in (*given.earlier, *given.beside) for name in FILES]
                reads = [given.config, run.pairs, run.report.reading, *records]
                permission.enter_context(writing_report(parser, given, reads=reads, beside=[picture]))
            report(run, given.output, typed, given.earlier, given.beside)


def report(run: EvalRun, copy: Path | None, typed: str, earlier: Sequence[Path], beside: Sequence[Path]) -> None:
    """Evaluate, and write the pages; copy: where the second page is written as well.

    earlier, beside: stretches and methods added to it.
    """
    for folders in (earlier, *([folder] for folder in beside)):  # whatever is wrong with them is said before the work
        if folders:
            read_stretches(folders)
    outcome = evaluate(run)
    if outcome.clips is None:
        return  # the main process speaks for all
    write_report(run.output, run, typed)
    scores, picture = read_stretches([*earlier, run.output], beside), run.output / "frontier.png"
    blocks = second_page(run, typed, scores)
    page = write_page(run.output / "frontier.md", [*blocks, f"![passes against each measure]({picture.name})"])
    if copy is not None:
        with labelled(copy.with_suffix(".png")) as temporary:
            shutil.copyfile(picture, temporary)
        write_page(copy, [*blocks, f"![passes against each measure]({copy.stem}.png)"])
    print(f"{page}: {outcome.clips} clips scored, {len(outcome.failures)} failures")


def second_page(run: EvalRun, command: str, scores: Scores) -> list[str]:
    """The parts of frontier.md; frontier.png is drawn into the run's folder."""
    infos = describe_metrics([name for name in run.metrics if name in scores.metrics])
    metrics, reference = list(infos.values()), run.reference or scores.methods[0]
    save(frontier_figure(scores, metrics, scores.methods, reference), run.output / "frontier.png")
    return [
        f"# {run.name}",
        f"```\n{command}\n```",
        f"{len(scores.pairs)} pairs, {len(scores.seeds)} seed(s) each.",
        *([] if run.report.reading is None else [run.report.reading.read_text(encoding="utf-8")]),
        *frontier_table(scores, metrics, scores.methods, reference, BUDGET),
    ]


if __name__ == "__main__":
    main()
