"""The film commands: they start quickly, without a library of diffusion models; what they refuse and write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from doubt_cases import jumping_film
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


def test_what_large_motion_lacks_is_said_before_the_film_starts(
    film: Path, tmp_path: Path, inbetween, monkeypatch
) -> None:
    monkeypatch.setattr("gen_inbetween.generation.films.pair_generator.lacking_for_svd", lambda: "no GPU")
    line = ["slowmo", str(film), "-o", str(tmp_path / "out.mp4")]
    for more, said in (
        (["--large-motion", "generate"], "error: large motion cannot be generated: there is no GPU here; svd-xt makes"),
        (["--large-motion", "guess"], "error: large_motion is draw, blend, hold, generate; got 'guess'"),
        (["--model", "pocket-2"], "error: --model: for --large-motion generate only"),
        (
            ["--large-motion", "generate", "--model", "pocket-2", "--set", "sead=1"],
            "unknown key 'sead'; did you mean 'seed'",
        ),
        (["--report", str(tmp_path / "out.mp4")], "expected a name that ends in .html"),
    ):
        status, _, err = inbetween(*line, *more)
        assert status == 2 and said in err, err
    assert not list(tmp_path.iterdir())


def test_a_film_is_generated_and_reported_by_one_line(tmp_path: Path, tiny_folder: Path, inbetween) -> None:
    jump = jumping_film(tmp_path)
    config = tmp_path / "few.yaml"
    config.write_text("method: trf\nnum_inference_steps: 1\n")
    words = [
        "retime",
        str(jump),
        "--fps",
        "20",
        "-o",
        str(tmp_path / "out.mp4"),
        "--report",
        str(tmp_path / "out.html"),
    ]
    words += ["--large-motion", "generate", "--model", str(tiny_folder), "--config", str(config), "--set", "seed=4"]
    status, out, err = inbetween(*words, "--interpolator", "nearest")
    assert status == 0, err
    assert "out.html: the report" in out and "frames there are generated" in err
    settings = json.loads((tmp_path / "out.mp4.inbetween.json").read_text())["settings"]
    assert settings["generator"]["model"]["sha256"]
    assert (
        settings["generator"]["settings"]["seed"] == 4 and settings["generator"]["settings"]["num_inference_steps"] == 1
    )
    assert "generated in between" in (tmp_path / "out.html").read_text()
