"""A run that was stopped goes on, whatever it writes."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from media_cases import moving
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.interpolation.baselines import Still
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media import segments
from gen_inbetween.media.reading.pipes import stored_input
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.media.writing.options import VideoOptions
from gen_inbetween.media.writing.outputs import place_of
from gen_inbetween.runtime.outputs import path_beside

OUTPUTS = [
    ("a.mov", {"codec": "prores"}),
    ("a.mkv", {}),
    ("a.mkv", {"codec": "av1"}),
    ("a.webm", {}),
    ("a.avi", {}),
    ("a.gif", {}),
    ("a.apng", {}),
    ("folder", {}),
    ("shot/f_%03d.exr", {}),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames, half of each seen through."""
    frames = [np.dstack([np.asarray(image), np.full((64, 80), 255, np.uint8)]) for image in moving(8)]
    for frame in frames:
        frame[:, 40:, 3] = 60
    return write_video(frames, tmp_path_factory.mktemp("film") / "film.apng", 10)


def stopping(count: int) -> Still:
    """Blends, and is interrupted at its `count`-th call, as by Ctrl-C."""
    calls = itertools.count()

    class Stopped(Still):
        def __call__(self, *args, **more):
            if next(calls) == count:
                raise KeyboardInterrupt
            return super().__call__(*args, **more)

    return Stopped(hard=False)


def content(path: Path) -> list[bytes]:
    """Of a folder's frames, or of a film's packets: the label at its end tells the run."""
    if path.is_dir():
        return [
            np.stack(list(open_source(path).read(0, None, 1))).tobytes(),
            *sorted(bytes(f.name, "utf-8") for f in path.iterdir()),
        ]
    if path.suffix in (".gif", ".apng"):
        return [np.stack(list(open_source(path).read(0, None, 1))).tobytes()]
    with av.open(str(path)) as container:
        return [bytes(packet) + f"{packet.pts}".encode() for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize(
    ("name", "options"), OUTPUTS, ids=lambda value: value if isinstance(value, str) else "-".join(value.values())
)
def test_every_output_goes_on_where_it_was_stopped(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: dict[str, str]
) -> None:
    monkeypatch.setattr(segments, "FRAMES", 4)
    how = {"fps": 20, "progress": False, "video": VideoOptions(**options)}
    whole, stopped = place_of(tmp_path / "whole" / name), place_of(tmp_path / "stopped" / name)
    retime_video(film, tmp_path / "whole" / name, interpolator=stopping(-1), **how)
    with pytest.raises(KeyboardInterrupt):
        retime_video(film, tmp_path / "stopped" / name, interpolator=stopping(5), **how)
    assert not stopped.exists() or not list(stopped.glob("f_*"))
    made = retime_video(film, tmp_path / "stopped" / name, interpolator=stopping(-1), **how)
    assert made.resumed in (4, 8) and made.written == 16
    assert content(whole) == content(stopped)
    assert path_beside(stopped).is_file() and not list(stopped.parent.glob(".*"))
    times = open_source(stopped).between()
    assert times.duration == pytest.approx(0.8 if stopped.suffix else 16 / 24, abs=0.01)


def test_a_film_goes_through_pipes(film: Path, tmp_path: Path) -> None:
    raw = write_video(read_frames(film).frames, tmp_path / "raw.y4m", 10).read_bytes()
    stored_input.cache_clear()
    line = ["retime", "-", "--fps", "20", "-o", "-", "--interpolator", "nearest"]
    run = CliRunner().invoke(app, line, input=raw)
    stored_input.cache_clear()
    assert run.exit_code == 0 and "16 frames" in run.stderr
    (tmp_path / "out.y4m").write_bytes(run.stdout_bytes)
    frames, fps = read_frames(tmp_path / "out.y4m")
    assert (len(frames), fps) == (16, 20)
    assert abs(np.asarray(frames[2]).astype(int) - np.asarray(read_frames(tmp_path / "raw.y4m").frames[1])).mean() < 1
    assert not (tmp_path / "-").exists()
