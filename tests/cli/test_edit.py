"""`inbetween edit` as it is typed: a pair or a clip, masks and clicks in their order, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gen_inbetween.cli.app import app
from gen_inbetween.interpolation.editing.masks import open_masks
from gen_inbetween.media.video import read_frames
from gen_inbetween.runtime.hashing import mask_sha256

DIS = ["--interpolator", "dis"]


def picture(left: int) -> Image.Image:
    """A red square of 24 pixels on grass."""
    pixels = np.random.default_rng(0).normal((60, 100, 50), 6, (64, 96, 3)).clip(0, 255).astype(np.uint8)
    pixels[20:44, left : left + 24] = (200, 30, 40)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clip").mkdir()
    for number in range(4):
        picture(20 + 3 * number).save(tmp_path / "clip" / f"{number}.png")
    picture(20).save(tmp_path / "a.png")
    picture(26).save(tmp_path / "b.png")
    mask = np.zeros((64, 96), np.uint8)
    mask[20:44, 20:44] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    return tmp_path


def run(folder, *words: str):
    words = tuple(str(folder / word) if (folder / word).exists() and word else word for word in words)
    return CliRunner().invoke(app, ["edit", *words, "-o", str(folder / "out.gif"), *DIS])


def test_a_pair_with_a_mask_and_a_click(folder):
    mask = str(folder / "m.png")
    shown = str(folder / "shown.png")
    words = ["--click", "80,10", "--curve", "linear", "--mask", mask, "--curve", "ease-in", "--frames", "4"]
    done = run(folder, "a.png", "b.png", *words, "--fps", "5", "--show-masks", shown)
    assert done.exit_code == 0, done.output
    assert "4 frames, 96x64, 5 fps" in done.output and "by dis" in done.output
    made = json.loads((folder / "out.gif.inbetween.json").read_text())["settings"]
    assert made["method"] == "edit" and len(made["curves"][0]["knots"]) == 2 and len(made["curves"][1]["knots"]) > 2
    assert made["masks"][1]["sha256"] == mask_sha256(open_masks([mask], (96, 64))[0])  # in the order they were typed
    assert Image.open(shown).width > 3 * 96


def test_one_path_is_a_clip(folder):
    done = run(folder, "clip", "--click", "32,32", "--curve", "0:0,1:0", "--frames", "3")
    assert done.exit_code == 0, done.output
    assert json.loads((folder / "out.gif.inbetween.json").read_text())["settings"]["method"] == "retime-objects"
    last = np.asarray(read_frames(folder / "out.gif").frames[-1]).astype(int)
    assert (last[24:40, 22:42, 0] > 150).mean() > 0.9  # the square waited


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png", "b.png", "--mask", "m.png"], "one --curve for each --mask or --click; got 0 for 1"),
        (["a.png", "b.png", "--mask", "m.png", "--curve", "easein"], "did you mean 'ease-in'"),
        (["a.png", "b.png", "--click", "500,2", "--curve", "linear"], "outside of the image of 96x64"),
        (["a.png", "b.png", "--mask", "m.png", "--curve", "linear", "--off", "1,1"], "there is no --click"),
        (["a.png", "b.png", "--click", "5,5", "--curve", "linear", "--off", "left"], "expected a point as X,Y"),
        (["a.png"], "One path is a clip; name two images"),
        (["clip", "a.png"], "is a folder; two paths are two images"),
        (["a.png", "b.png", "clip"], "got 3 paths"),
        (["clip", "--iters", "2"], "--iters: for a pair of frames only"),
        (["a.png", "b.png", "--mask", "clip", "--curve", "linear"], "is a folder; expected one image file"),
    ],
)
def test_what_is_refused_in_one_line(folder, words, message):
    done = run(folder, *words)
    assert done.exit_code == 2 and message in " ".join(done.output.split()), done.output
    assert not (folder / "out.gif").exists()
