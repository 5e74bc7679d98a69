"""The interpolator report on two small films: complete, resumable, and without the folders' places."""

from __future__ import annotations

import sys
from pathlib import Path

import interpolator_report
import numpy as np
import pytest
from PIL import Image

from gen_inbetween.runtime.outputs import CLAIM


def test_report_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (260, 320, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((80, 65)).resize((320, 260), Image.Resampling.BICUBIC)
    for film, pixels in (("slow", 1), ("fast", 3)):
        (tmp_path / "films" / film).mkdir(parents=True)
        for number in range(9):
            picture.transform((290, 260), Image.Transform.AFFINE, (1, 0, pixels * number, 0, 1, 0)).save(
                tmp_path / "films" / film / f"{number}.png"
            )
    output = tmp_path / "report.md"
    words = ["--films", tmp_path / "films", "--sizes", "256", "720p", "--windows", "1", "--output", output]
    words += ["--interpolators", "blend", "dis", "dis-splat", "nowhere.pkl", "--scores", tmp_path / "scores"]
    monkeypatch.setattr(sys, "argv", ["interpolator_report.py", *map(str, words)])
    interpolator_report.main()
    text = output.read_text()
    assert "films, 256: 2 windows of 2 films" in text and "less dis" in text and "Left out: nowhere.pkl" in text
    assert "films, 720p\n\nLeft out" in text
    assert str(tmp_path) not in text.replace("Left out: nowhere.pkl", "")
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in text.splitlines() if "[" in line}
    assert float(rows["blend"][0].split()[0]) < 0  # of the table "less dis", which comes last
    assert float(rows["dis-splat"][0].split()[0]) > -0.1
    sheets = sorted(path.name for path in (tmp_path / "report").iterdir() if path.name != CLAIM)
    assert sheets == ["films-256-hard.png", "films-256-typical.png"]
    again = (tmp_path / "scores" / "films-256" / "dis.json").stat().st_mtime_ns
    interpolator_report.main()
    assert (tmp_path / "scores" / "films-256" / "dis.json").stat().st_mtime_ns == again
    assert output.read_text() == text
