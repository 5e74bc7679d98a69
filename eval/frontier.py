"""Quality against UNet passes: methods and their options on one list of pairs, and the frontier of each measure.

    make frontier                                                            # hours on two cores; goes on where it was
    python eval/frontier.py --config configs/eval/frontier_pocket.yaml limit=16   # any setting of the file

It is an evaluation (eval/evaluate.py) whose report has a second page, frontier.md with frontier.png, in the output
folder; `--page` names a copy to be committed.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from gen_inbetween.evaluation.report.frontier import frontier_figure, frontier_table
from gen_inbetween.evaluation.report.metric_info import describe_metrics
from gen_inbetween.evaluation.report.plots import save
from gen_inbetween.evaluation.report.report import write_report
from gen_inbetween.evaluation.report.scores import read_scores
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.settings import EvalRun
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.files import write_text

CONFIG = Path(__file__).parents[1] / "configs" / "eval" / "frontier_pocket.yaml"
BUDGET = 100  # passes that count as cheap: a seventh of the published setting


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--page", type=Path, help="also write the page here, its picture beside it")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    given = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format="%(message)s")
    typed = shlex.join(["python", "eval/frontier.py", *(sys.argv[1:] if arguments is None else arguments)])
    try:
        run = load(EvalRun, given.config, given.overrides)
        outcome = evaluate(run)
        if outcome.clips is None:
            return  # the main process speaks for all
        write_report(run.output, run, typed)
        page = write_page(run, typed)
        if given.page is not None:
            shutil.copyfile(page.with_suffix(".png"), given.page.with_suffix(".png"))
            write_text(
                given.page, page.read_text(encoding="utf-8").replace(page.stem + ".png", given.page.stem + ".png")
            )
    except (ValueError, OSError, ImportError) as error:  # what a person can mend
        parser.exit(2, f"error: {error}\n")
    print(f"{page}: {outcome.clips} clips scored, {len(outcome.failures)} failures")


def write_page(run: EvalRun, command: str) -> Path:
    """frontier.md and frontier.png in the run's folder, read from its results."""
    scores = read_scores(run.output / "results.jsonl")
    infos = describe_metrics([name for name in run.metrics if name in scores.metrics])
    metrics, reference = list(infos.values()), run.reference or scores.methods[0]
    picture = save(frontier_figure(scores, metrics, scores.methods), run.output / "frontier.png")
    blocks = [
        f"# {run.name}",
        f"```\n{command}\n```",
        f"{len(scores.pairs)} pairs, {len(scores.seeds)} seed(s) each.",
        *([] if run.report.reading is None else [run.report.reading.read_text(encoding="utf-8")]),
        *frontier_table(scores, metrics, scores.methods, reference, BUDGET),
        f"![passes against each measure]({picture.name})",
    ]
    return write_text(run.output / "frontier.md", "\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    main()
