"""The page for editors: each of its commands runs as written, on small files of the names it uses."""

from __future__ import annotations

import re
import shlex
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "editor.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
LINES = [line.partition("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
RUN_HERE = [line for line in LINES if line != "inbetween models fetch rife"]  # it needs a network


def picture(left: int, alpha: bool = False) -> Image.Image:
    """A red square on a ground of soft grain, or on nothing."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(110, 5, (48, 64, 4)).clip(0, 255).astype(np.uint8)
    pixels[..., 3] = 0 if alpha else 255
    pixels[14:30, left : left + 16] = (200, 30, 40, 255)
    return Image.fromarray(pixels) if alpha else Image.fromarray(pixels).convert("RGB")


def write_film(path: Path, count: int = 14) -> None:
    """Half a second of film, its square moving right, with a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number in range(count):
            frame = av.VideoFrame.from_image(picture(12 + number // 2))
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        tone = (np.sin(np.arange(16000) * 0.2) * 9000).astype(np.int16)[None]
        heard = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = 16000, 0, Fraction(1, 16000)
        container.mux(sound.encode(heard))
        container.mux(sound.encode())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("editor")
    write_film(folder / "film.mp4")
    for name, left in (("first.jpg", 12), ("last.jpg", 20)):
        picture(left).resize((96, 72)).save(folder / name)
    titles = [picture(12 + 2 * number, alpha=True) for number in range(5)]
    titles[0].save(folder / "title.webp", save_all=True, append_images=titles[1:], duration=100, lossless=True)
    (folder / "shot").mkdir()
    for number in range(4):
        picture(12 + 2 * number).save(folder / "shot" / f"f_{number:04}.png")
    return folder


@pytest.mark.parametrize("line", RUN_HERE)
def test_the_commands_of_the_page_run(line: str, files: Path, inbetween, monkeypatch) -> None:
    monkeypatch.chdir(files)
    words = shlex.split(line)
    assert words[0] == "inbetween"
    status, _, err = inbetween(*words[1:])
    assert status == 0, err
    if "-o" in words:
        out = Path(words[words.index("-o") + 1])
        assert any(out.parent.glob("f_*.tif")) if "%" in out.name else out.stat().st_size > 0


def test_the_page_has_its_commands() -> None:
    assert len(LINES) >= 15 and all(line.startswith("inbetween ") for line in LINES)
