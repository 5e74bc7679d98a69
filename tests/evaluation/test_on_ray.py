"""An evaluation on a Ray cluster: the rows of one process, and failures that stop nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray_cases import QUICK

ROOT = Path(__file__).resolve().parents[2]
FEWER = ["limit=2", "methods={fade: {baseline: crossfade}}", "reference=fade"]


@pytest.mark.slow
def test_a_cluster_gives_the_rows_of_one_process(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    rows = {}
    for engine in ("local", "ray"):
        out = tmp_path / engine
        command = [sys.executable, "eval/evaluate.py", "--config", "configs/eval/quick.yaml", f"output={out}", *FEWER]
        ran = subprocess.run(
            [*command, "--engine", engine], cwd=ROOT, env={**os.environ, **QUICK}, capture_output=True, text=True
        )
        assert ran.returncode == 0 and "0 failures" in ran.stdout, ran.stderr
        rows[engine] = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert len(rows["local"]) == 4
    for local, spread in zip(rows["local"], rows["ray"], strict=True):
        assert {**local, "seconds": 0} == {**spread, "seconds": 0}
