"""Stretches of one evaluation, run at different times.

They have the same methods and metrics, on other pairs of the same list (`skip` and `limit` of the settings); a run
beside them has other methods on the same pairs. What a later report needs of an earlier run is two small files of its
output folder, results.jsonl and run.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gen_inbetween.evaluation.report.scores import Scores, read_scores
from gen_inbetween.evaluation.settings import EvaluationError
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.lists import read_text

FILES = ("results.jsonl", "run.json")


def read_stretches(folders: Sequence[str | os.PathLike[str]], beside: Sequence[str | os.PathLike[str]] = ()) -> Scores:
    """Scores of several stretches together, of the methods that the last folder has.

    beside: runs of other methods on the same list; theirs come first.

    Raises:
        EvaluationError: a folder lacks one of the two files, its results are not those its run.json speaks of, it was
            made from another list, model, size, method or version of a metric, or a pair is there twice; of two runs
            beside each other, a method of one name.
    """
    *earlier, last = map(Path, folders)
    wanted = _facts(last)
    for folder in earlier:
        _check_same(folder, _facts(folder), wanted)
    methods = set(wanted["methods"])
    for folder in map(Path, beside):
        facts = _facts(folder)
        _check_same(folder, facts, {what: value for what, value in wanted.items() if what != "methods"})
        if twice := methods & set(facts["methods"]):
            raise EvaluationError(f"{folder}: another {', '.join(sorted(twice))} beside this run's; name one otherwise")
        methods |= set(facts["methods"])
    files = [folder / FILES[0] for folder in (*map(Path, beside), *earlier, last)]
    return read_scores(*files, methods=methods)


def _facts(folder: Path) -> dict[str, Any]:
    """What decides the figures of a run, by its run.json."""
    results, described = (folder / name for name in FILES)
    try:
        run = json.loads(read_text(described))
        facts = {
            "list": run["list"]["sha256"],
            "size": run["size"],
            "model": (run["model"] or {}).get("sha256"),
            "methods": {label: method["decided_by"] for label, method in run["methods"].items()},
            "metrics": {name: metric["version"] for name, metric in run["metrics"].items()},
        }
        known = run["files"][results.name]
        found = file_sha256(results)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EvaluationError(
            f"{folder}: expected {' and '.join(FILES)} of an evaluation: {type(error).__name__}: {error}"
        ) from error
    if found != known:
        raise EvaluationError(f"{results} is not the file that {described} speaks of: it was changed since")
    return facts


def _check_same(folder: Path, facts: dict[str, Any], wanted: dict[str, Any]) -> None:
    for what, value in wanted.items():
        theirs, names = facts[what], ""
        if isinstance(value, dict):  # methods and metrics by name: an earlier stretch may have more of them
            theirs = {name: theirs.get(name) for name in value}
            names = f" ({', '.join(name for name in value if theirs[name] != value[name])})"
        if theirs != value:
            raise EvaluationError(f"{folder}: another {what.removesuffix('s')} than this run's{names}; leave it out")
