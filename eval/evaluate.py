"""Measure methods on a frozen list of pairs: tables, plots and pictures in one folder.

    python eval/evaluate.py --config configs/eval/quick.yaml                  # a minute on a CPU
    python eval/evaluate.py --config configs/eval/quick.yaml limit=2 ...      # any setting of the file
    python eval/evaluate.py --config configs/eval/quick.yaml --strict         # stop at the first clip that fails
    torchrun --nproc_per_node 2 eval/evaluate.py --config ...                 # two processes, the same tables; on GPUs
                                                                              # `accelerate launch` does as well
    python eval/evaluate.py --config ... --engine ray --address auto --workers 2..64 --gpus-per-worker 1

Into `output` go clips/, scores/ and features/ (kept, so that nothing is computed twice), results.jsonl (a row a clip),
sets.json, run.json and the report. A run that was killed goes on where it was; run it again after any change of the
configuration and only what is new is computed.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gen_inbetween.evaluation.context import WRITTEN
from gen_inbetween.evaluation.report.report import write_report
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.settings import EvalRun
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.outputs import claim_folder
from gen_inbetween.runtime.processes import raise_on_signals
from gen_inbetween.runtime.remote.ray_engine import add_options, cluster_of

NAMED = 20  # failures that are printed


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--strict", action="store_true", help="stop at the first clip that fails")
    parser.add_argument("--overwrite", action="store_true", help="fill a folder, and replace a report, of others")
    add_options(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    given = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        run = load(EvalRun, given.config, given.overrides)
        run = replace(run, strict=run.strict or given.strict)
        if given.overwrite:
            claim_folder(run.output, WRITTEN, overwrite=True)
        outcome = evaluate(run, cluster_of(given), overwrite=given.overwrite)
        if outcome.clips is None:
            return  # the main process speaks for all
        for failure in outcome.failures[:NAMED]:
            print(f"failed: {failure}")
        typed = sys.argv[1:] if arguments is None else arguments
        command = shlex.join(["python", "eval/evaluate.py", *typed])
        report = write_report(run.output, run, command, overwrite=given.overwrite)
    except (ValueError, OSError, ImportError) as error:  # what a person can mend
        parser.exit(2, f"error: {error}\n")
    print(f"{report}: {outcome.clips} clips scored, {len(outcome.failures)} failures, all of them in run.json")


if __name__ == "__main__":
    raise_on_signals()
    main()
