"""The frontier: what no method beats, and what is not told apart from the reference at a seventh of its passes."""

from __future__ import annotations

import json

import frontier as script
import numpy as np
import pytest

from gen_inbetween.evaluation.report.frontier import (
    frontier_figure,
    frontier_table,
    fronts,
    pareto,
    passes_of,
)
from gen_inbetween.evaluation.report.metric_info import describe_metrics
from gen_inbetween.evaluation.report.plots import save
from gen_inbetween.evaluation.report.scores import read_scores
from gen_inbetween.evaluation.settings import EvaluationError
from gen_inbetween.evaluation.stretches import read_stretches
from gen_inbetween.runtime.hashing import file_sha256

PAIRS = 60
METRICS = ("trajectory_error", "psnr[inner]")
METHODS = {  # passes, what is added to the reference's error, what to its PSNR
    "published": (700, 0.0, 0.0),
    "as good": (100, 0.0, 0.0),
    "blurred": (96, 0.0, -3.0),
    "astray": (50, 5.0, -1.0),
    "waste": (300, 1.0, -1.0),
}


@pytest.fixture
def scores(tmp_path):
    return read_scores(write_rows(tmp_path, range(PAIRS)) / "results.jsonl")


def write_rows(folder, pairs, methods=METHODS):
    """results.jsonl of some of the pairs; a pair has the same values whatever else is in the file."""
    folder.mkdir(exist_ok=True)
    rows, draw = [], np.random.default_rng(0)
    base = draw.normal([3.0, 20.0], [0.5, 1.0], (PAIRS, 2))
    noise = {method: draw.normal(0, 0.1, (PAIRS, 2)) for method in METHODS}
    for method in methods:
        passes, *added = METHODS[method]
        for pair in pairs:
            scored = base[pair] + added + noise[method][pair]
            row = {"method": method, "pair": f"p{pair}", "seed": 0, "gap": 14, "motion": 1.0, "seconds": 1.0}
            row |= {"passes": passes, "clip": None, "scores": dict(zip(METRICS, scored, strict=True))}
            rows.append(json.dumps(row))
    (folder / "results.jsonl").write_text("\n".join(rows))
    return folder


def write_stretch(folder, pairs, methods=METHODS, changes=None):
    write_rows(folder, pairs, methods)
    described = {
        "list": {"sha256": "a"},
        "size": [64, 64],
        "model": {"sha256": "b"},
        "methods": {method: {"decided_by": {"passes": METHODS[method][0]}} for method in methods},
        "metrics": {name: {"version": 1} for name in METRICS},
        "files": {"results.jsonl": file_sha256(folder / "results.jsonl")},
    }
    (folder / "run.json").write_text(json.dumps(described | (changes or {})))
    return folder


def test_a_method_whose_passes_nobody_counted_is_on_no_frontier(tmp_path):
    write_rows(tmp_path, range(PAIRS))
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    rows = [row | {"passes": None} if row["method"] == "published" else row for row in rows]  # made by another tool
    (tmp_path / "results.jsonl").write_text("\n".join(map(json.dumps, rows)))
    scores = read_scores(tmp_path / "results.jsonl")
    metrics = list(describe_metrics(METRICS).values())
    assert all("published" not in front for front in fronts(scores, metrics, scores.methods).values())
    page = "\n".join(frontier_table(scores, metrics, scores.methods, "as good", 100))
    last = [line for line in page.splitlines() if line.startswith("|")][-1]
    assert last.startswith("| published | - | ") and "nan" not in page


def test_stretches_come_to_what_one_run_does(scores, tmp_path):
    parts = [write_stretch(tmp_path / name, pairs) for name, pairs in (("a", range(25)), ("b", range(25, PAIRS)))]
    together = read_stretches(parts)
    assert (together.pairs, together.methods) == (scores.pairs, scores.methods)
    for key, table in scores.table.items():
        np.testing.assert_array_equal(together.table[key], table)


def test_methods_that_only_an_earlier_stretch_has_are_left_out(tmp_path):
    few = ["published", "as good"]
    parts = [write_stretch(tmp_path / "a", range(25)), write_stretch(tmp_path / "b", range(25, PAIRS), few)]
    assert read_stretches(parts).methods == tuple(few)
    with pytest.raises(EvaluationError, match=r"b: another method than this run's \(blurred, astray, waste\)"):
        read_stretches(parts[::-1])


def test_runs_beside_each_other_come_to_what_one_run_does(scores, tmp_path):
    """The earlier run has more pairs, and true clips that the later one has as well; its methods come first."""
    first, rest = list(METHODS)[:2], list(METHODS)[2:]
    earlier = write_stretch(tmp_path / "a", range(PAIRS), first)
    later = write_stretch(tmp_path / "b", range(25), rest)
    together = read_stretches([later], [earlier])
    assert together.methods == tuple(METHODS) and together.pairs == scores.pairs
    for (metric, method), table in scores.table.items():
        wanted = table.copy()
        if method in rest:
            wanted[25:] = np.nan
        np.testing.assert_array_equal(together.table[metric, method], wanted)
    with pytest.raises(EvaluationError, match=f"a: another {first[1]} beside this run's; name one otherwise"):
        read_stretches([write_stretch(tmp_path / "c", range(25), list(METHODS)[1:])], [earlier])
    with pytest.raises(EvaluationError, match="another list"):
        read_stretches([later], [write_stretch(tmp_path / "d", range(25), first, {"list": {"sha256": "c"}})])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"list": {"sha256": "c"}}, "another list"),
        ({"size": [128, 64]}, "another size"),
        ({"model": None}, "another model"),
        ({"metrics": {name: {"version": 2} for name in METRICS}}, r"another metric than this run's \(trajectory_error"),
        ({"files": {"results.jsonl": "0"}}, "was changed since"),
        ({"files": {}}, "expected results.jsonl and run.json of an evaluation: KeyError"),
        ({"methods": 3}, "expected results.jsonl and run.json of an evaluation: AttributeError"),
    ],
)
def test_a_stretch_of_something_else_is_refused(changes, said, tmp_path):
    parts = [write_stretch(tmp_path / "a", range(25), changes=changes), write_stretch(tmp_path / "b", range(25, PAIRS))]
    with pytest.raises(EvaluationError, match=said):
        read_stretches(parts)


def test_a_pair_that_is_in_two_stretches_is_refused(tmp_path):
    parts = [write_stretch(tmp_path / "a", range(26)), write_stretch(tmp_path / "b", range(25, PAIRS))]
    with pytest.raises(EvaluationError, match="published, p25, seed 0 is there twice"):
        read_stretches(parts)
    with pytest.raises(EvaluationError, match="expected results.jsonl and run.json"):
        read_stretches([tmp_path / "nothing", parts[1]])


def test_pareto_keeps_what_nothing_beats():
    points = {"a": (100.0, 3.0), "b": (700.0, 2.0), "c": (200.0, 3.5), "same": (100.0, 3.0), "none": (1.0, np.nan)}
    assert pareto(points) == ["a", "same", "b"]
    assert pareto(points, higher=True) == ["a", "same", "c"]


def test_the_front_of_each_measure(scores):
    metrics = list(describe_metrics(METRICS).values())
    found = fronts(scores, metrics, scores.methods)
    assert passes_of(scores, "as good") == 100
    assert all("waste" not in names and names[0] == "astray" for names in found.values())


def test_the_table_says_what_is_not_worse_at_a_seventh(scores):
    metrics = list(describe_metrics(METRICS).values())
    text = "\n".join(frontier_table(scores, metrics, scores.methods, "published", script.BUDGET))
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert [name for name in rows if name in METHODS] == sorted(METHODS, key=lambda name: METHODS[name][0])
    assert rows["blurred"].count("↓") == 1 and rows["astray"].count("↓") == 2 and "↓" not in rows["as good"]
    assert "in no measure found worse than published:" in text
    kept = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(kept) == 1 and kept[0].startswith("- as good: `trajectory_error`")
    cheaper = "\n".join(frontier_table(scores, metrics, scores.methods, "published", 60))
    assert "every method is worse than published" in cheaper


def test_the_figure_names_the_frontier_and_the_reference(scores, tmp_path):
    metrics = list(describe_metrics(METRICS).values())
    figure = frontier_figure(scores, metrics, scores.methods, "waste")
    for panel, front in zip(figure.axes, fronts(scores, metrics, scores.methods).values(), strict=True):
        named = {text.get_text() for text in panel.get_legend().get_texts()}
        assert named == {f"{name}, {METHODS[name][0]}" for name in (*front, "waste")}
    assert save(figure, tmp_path / "f.png").stat().st_size > 10_000


def test_the_configuration_opens():
    from gen_inbetween.diffusion.methods import find_method
    from gen_inbetween.diffusion.options import SamplerOptions
    from gen_inbetween.evaluation.settings import EvalRun
    from gen_inbetween.runtime.config import load

    run = load(EvalRun, script.CONFIG, [])
    for label, entry in run.methods.items():
        method = find_method(entry["method"])
        options = {name: value for name, value in entry.items() if name != "method"}
        passes = method.unet_passes(SamplerOptions(**options))
        assert "100" not in label or passes <= script.BUDGET
