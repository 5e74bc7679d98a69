"""Names of files and addresses as people give them to the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from media_cases import moving
from PIL import Image
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video

RUN = ["--method", "interpolate", "--interpolator", "nearest", "--frames", "4"]
RETIME = ["--fps", "20", "--interpolator", "nearest"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: two keyframes and a film."""
    monkeypatch.chdir(tmp_path)
    for name, image in zip("ab", moving(2), strict=True):
        image.save(f"{name}.png")
    write_video(moving(6), "film.mp4", 10)
    return tmp_path


def invoke(*line: str) -> tuple[int, str]:
    """(status, what was said on stderr)."""
    result = CliRunner().invoke(app, list(line))
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    "name",
    [
        "9:15.mp4",
        "x" * 241 + ".mp4",
        "\u6708" * 80 + ".gif",
        "100%d a'\".webm",
        " \u00fc.mov",
        "a.b.c.mkv",
        "%04d/o.mp4",
    ],
    ids=["colon", "245 bytes", "244 bytes of kanji", "percent", "space", "dots", "folder"],
)
def test_clips_and_films_go_by_any_name(folder: Path, name: str) -> None:
    assert invoke("run", "a.png", "b.png", "-o", name, *RUN)[0] == 0
    Path(name).rename("in" + Path(name).suffix)
    assert invoke("retime", "film.mp4", "-o", name, *RETIME)[0] == 0
    assert invoke("retime", name, "-o", "out.mp4", "--fps", "30", "--interpolator", "nearest")[0] == 0
    assert len(read_frames("out.mp4").frames) == 18
    assert not [file for file in folder.rglob(".*") if file.is_file()]


@pytest.mark.parametrize(
    "line",
    [
        ["retime", "https://example.com/film.mp4", "-o", "o.mp4", *RETIME],
        ["slowmo", "rtmp://example.com/live", "-o", "o.mp4"],
        ["edit", "https://example.com/film.mp4", "--click", "3,4", "--curve", "linear", "-o", "o.mp4"],
        ["run", "a.png", "https://example.com/b.png", "-o", "o.mp4", *RUN],
    ],
    ids=lambda line: line[0],
)
def test_addresses_are_to_be_downloaded(folder: Path, line: list[str]) -> None:
    status, said = invoke(*line)
    assert status == 2 and "://example.com/" in said and "download it first" in said
    assert not Path("o.mp4").exists()


def test_outputs_that_cannot_be_are_found_before_sampling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "gen_inbetween.generation.generate.generate_clip", lambda *a, **k: pytest.fail("work was begun")
    )
    lines = {
        "o.xyz": "expected .mp4, .mov",
        "x" * 252 + ".mp4": "at most 255 bytes",
        "rtmp://a.b/c.mp4": "is an address",
    }
    for name, words in lines.items():
        status, said = invoke("run", "a.png", "b.png", "-o", name, *RUN)
        assert status == 2 and words in said
        status, said = invoke("retime", "film.mp4", "-o", name, *RETIME)
        assert status == 2 and words in said, "the same in a command that asks for the output's kind first"
    status, said = invoke("run", "a.png", "b.png", "-o", "o.mp4", "--codec", "prores", *RUN)
    assert status == 2 and "not prores: write .mov" in said
    status, said = invoke("run", "a.png", "b.png", "-o", "sheet.png", "--crf", "3", *RUN)
    assert status == 2 and "one picture of all frames" in said


def test_options_of_files_come_by_line_configuration_and_list(folder: Path) -> None:
    assert invoke("run", "a.png", "b.png", "-o", "o.mov", "--codec", "prores", "--set", "fps=24.5", *RUN)[0] == 0
    source = open_source("o.mov")
    assert source.fps == 24.5 and source.colour.bits > 8
    Path("c.yaml").write_text("video: {codec: ffv1}\nmethod: interpolate\ninterpolator: nearest\nnum_frames: 4\n")
    assert invoke("run", "a.png", "b.png", "-o", "o.mkv", "--config", "c.yaml")[0] == 0
    assert np.array_equal(read_frames("o.mkv").frames[0], Image.open("a.png")), "lossless"
    how = {"frame0": "a.png", "frame1": "b.png", "method": "interpolate", "interpolator": "nearest", "num_frames": 4}
    rows = [how | {"out": "1.webm", "video": {"codec": "av1"}}, how | {"out": "2.mp4", "video": {"codec": "prores"}}]
    Path("l.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert invoke("batch", "l.jsonl", "--out", "clips")[0] == 1
    assert len(read_frames("clips/1.webm").frames) == 4 and not Path("clips/2.mp4").exists()


def test_sequences_go_by_pattern_in_and_out(folder: Path) -> None:
    assert invoke("retime", "film.mp4", "-o", "shot/f_%04d.tif", *RETIME)[0] == 0
    assert sorted(file.name for file in Path("shot").glob("*.tif"))[-1] == "f_0011.tif"
    assert invoke("retime", "shot/f_%04d.tif", "-o", "back.mkv", "--fps", "24", "--interpolator", "nearest")[0] == 0
    assert len(read_frames("back.mkv").frames) == 12
    assert invoke("edit", "shot/f_%04d.tif", "--click", "4,10", "--curve", "linear", "-o", "e.webp")[0] == 0
    status, said = invoke("retime", "shot/g_%04d.tif", "-o", "o.mp4", *RETIME)
    assert status == 2 and "holds no images named as g_%04d.tif" in said


def test_a_clip_goes_into_a_pipe_and_words_beside_it(folder: Path) -> None:
    result = CliRunner().invoke(app, ["run", "a.png", "b.png", "-o", "-", *RUN])
    assert result.exit_code == 0 and "4 frames" in result.stderr and "inbetween.json" not in result.stderr
    Path("piped.y4m").write_bytes(result.stdout_bytes)
    assert len(read_frames("piped.y4m").frames) == 4 and not Path("-").exists()
