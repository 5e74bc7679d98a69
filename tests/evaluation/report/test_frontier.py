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
    rng, rows = np.random.default_rng(0), []
    base = rng.normal([3.0, 20.0], [0.5, 1.0], (PAIRS, 2))
    for method, (passes, error, psnr) in METHODS.items():
        values = base + [error, psnr] + rng.normal(0, 0.1, (PAIRS, 2))
        for pair, scored in enumerate(values):
            row = {"method": method, "pair": f"p{pair}", "seed": 0, "gap": 14, "motion": 1.0, "seconds": 1.0}
            row |= {"passes": passes, "clip": None, "scores": dict(zip(METRICS, scored, strict=True))}
            rows.append(json.dumps(row))
    (tmp_path / "results.jsonl").write_text("\n".join(rows))
    return read_scores(tmp_path / "results.jsonl")


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


def test_the_figure(scores, tmp_path):
    metrics = list(describe_metrics(METRICS).values())
    assert save(frontier_figure(scores, metrics, scores.methods), tmp_path / "f.png").stat().st_size > 10_000


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
