"""The film commands start quickly: they import torch, and no library of diffusion models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gen_inbetween.media.video_writer import write_video


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [Image.new("RGB", (64, 48), (20 * number,) * 3) for number in range(9)]
    return write_video(frames, tmp_path_factory.mktemp("film") / "film.mp4", 10)


@pytest.mark.parametrize(
    "line",
    [
        "retime {film} --fps 20 --interpolator nearest -o {out}/smooth.mp4",
        "slowmo {film} --scale 2 -o {out}/slow.mp4",
        "edit {film} -o {out}/edited.mp4 --background 0:0,0.5:0.8,1:1",
    ],
)
def test_film_commands_import_no_diffusion_library(line: str, film: Path, tmp_path: Path) -> None:
    words = line.format(film=film, out=tmp_path).split()
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gen_inbetween.cli", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {row.rpartition("|")[2].strip().partition(".")[0] for row in run.stderr.splitlines()}
    assert "torch" in imported and len(list(tmp_path.glob("*.mp4"))) == 1
    assert not imported & {"diffusers", "transformers", "accelerate", "peft"}
