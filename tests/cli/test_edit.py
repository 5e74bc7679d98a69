"""`inbetween edit` as it is typed: a pair or a clip, masks and clicks in their order, and what it refuses."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from film_cases import film, number_of, numbers, write_film
from PIL import Image
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.interpolation.editing.masks import open_masks
from gen_inbetween.interpolation.retiming.retime import retime
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.video import open_source, read_frames
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


def test_a_film_of_varying_rate_keeps_its_times(folder):
    ticks = [0, 4, 10, 14, 44, 48, 60]
    write_film(folder / "v.mp4", film(6), ticks=ticks[:-1], unit=Fraction(1, 100))
    for name in ("out.mp4", "out.mkv", "out.gif"):
        words = ["edit", str(folder / "v.mp4"), "--background", "linear", "-o", str(folder / name)]
        done = CliRunner().invoke(app, [*words, "--interpolator", "nearest"])
        assert done.exit_code == 0, done.output
        assert open_source(folder / name).between().times * 100 == pytest.approx(ticks[:-1], abs=0.2)
        assert numbers(folder / name) == [0, 1, 2, 3, 4, 5]
    done = CliRunner().invoke(app, [*words[:-1], str(folder / "even.mp4"), "--fps", "10", "--interpolator", "nearest"])
    assert done.exit_code == 0 and not open_source(folder / "even.mp4").between().variable
    assert numbers(folder / "even.mp4") == [0, 2, 3, 3, 4, 5]  # at 0, 0.096, ... 0.48 s


def test_a_clip_of_varying_rate_is_retimed_by_its_times(folder):
    write_film(folder / "v.mp4", film(6), ticks=[0, 4, 10, 14, 44, 48], unit=Fraction(1, 100))
    clip = Clip.open(folder / "v.mp4")
    assert clip.starts == pytest.approx([0, 0.04, 0.1, 0.14, 0.44, 0.48, 0.49]) and clip.duration == pytest.approx(0.49)
    assert clip[1:3].starts == pytest.approx([0, 0.06, 0.1])
    even = retime(clip, fps=50, interpolator="nearest", progress=False)
    assert [number_of(frame) for frame in even][::5] == [0, 2, 3, 4, 4]  # each tenth of a second
    with pytest.raises(VideoError, match="4 times that rise from 0 for 3 frames; got 3"):
        Clip(film(3), 10, starts=[0, 0.1, 0.2])


def test_a_clip_is_opened_once_and_what_is_unusual_of_it_said_once(folder, caplog):
    with av.open(str(folder / "raw.h264"), "w", format="h264") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for left in (20, 23, 26):
            file.mux(stream.encode(av.VideoFrame.from_image(picture(left))))
        file.mux(stream.encode())
    with caplog.at_level("INFO", "gen_inbetween"):
        raw, pictures = run(folder, "raw.h264", "--frames", "3"), run(folder, "clip", "--frames", "3")
    assert (raw.exit_code, pictures.exit_code) == (0, 0), raw.output + pictures.output
    assert caplog.text.count("has no times") == 1
    assert "24 frames a second are assumed" not in caplog.text and "7 fps" in pictures.output  # as of a pair


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--feather", "3"], "--feather: for a pair"),
        (["--audio", "loud"], "audio is keep, stretch, drop"),
        (["--audio", "keep"], "out.gif holds no sound"),
    ],
)
def test_what_a_clip_has_no_use_for_is_said_before_it_is_opened(folder, words, message):
    (folder / "broken.mp4").write_bytes(b"no film")
    done = run(folder, "broken.mp4", *words)
    assert done.exit_code == 2 and message in done.output


def test_an_edited_clip_has_a_page_with_the_manifest_s_figures(folder):
    page = folder / "edit.html"
    words = ["clip", "--click", "30,30", "--curve", "ease-in-out", "--report", str(page)]
    done = run(folder, *words)
    assert done.exit_code == 0, done.output
    assert "edit.html: the report" in done.output
    quality = json.loads((folder / "out.gif.inbetween.json").read_text())["quality"]
    assert quality["pairs"]["drawn"] == 2 and quality["pairs"]["passed"] == 1  # eased over the middle one
    text = page.read_text()
    assert all(f'<data value="{value!r}">' in text for value in map(float, quality["curve"]["doubt"]))
    assert text.count("<img ") == 4 + 3 * min(2, sum(doubt > 0 for doubt in quality["curve"]["doubt"]))
    assert run(folder, *words[:-1], str(folder / "clip" / "0.png")).exit_code == 2
    assert run(folder, "a.png", "b.png", *words[1:-1], str(folder / "pair.html")).exit_code == 0
    assert "a.png and b.png" in (folder / "pair.html").read_text()


def masks_of(folder, *words: str, out: str = "masks"):
    """What `edit --masks-only` says; names of the folder, and options as they are."""
    named = [str(folder / word) if (folder / word).exists() else word for word in words]
    return CliRunner().invoke(app, ["edit", *named, "--masks-only", "-o", str(folder / out)])


def test_masks_only_writes_them_and_stops(folder):
    done = masks_of(folder, "a.png", "b.png", "--click", "32,32", "--mask", "m.png")
    assert done.exit_code == 0 and "2 masks, 96x64" in done.output, done.output
    names = sorted(path.name for path in (folder / "masks").iterdir())
    assert names == ["inbetween.json", "mask1.png", "mask2.png", "things.png"]
    clicked, drawn = (np.asarray(Image.open(folder / "masks" / f"mask{k}.png")) > 127 for k in (1, 2))
    assert (clicked & drawn).sum() > 0.9 * (clicked | drawn).sum()
    made = json.loads((folder / "masks" / "inbetween.json").read_text())["settings"]
    assert made["method"] == "masks" and made["masks"][1]["sha256"] == mask_sha256(drawn)
    again = masks_of(folder, "a.png", "b.png", "--click", "32,32")
    assert again.exit_code == 0 and not (folder / "masks" / "mask2.png").exists(), again.output


def test_one_mask_of_a_picture_may_be_one_file(folder):
    done = masks_of(folder, "a.png", "b.png", "--click", "32,32", out="one.png")
    assert done.exit_code == 0 and np.asarray(Image.open(folder / "one.png")).max() == 255, done.output
    assert json.loads((folder / "one.png.inbetween.json").read_text())["settings"]["method"] == "masks"


def test_masks_of_a_film_are_one_a_frame_and_say_where_the_thing_is_lost(folder, caplog):
    ground = np.random.default_rng(0).normal((60, 100, 50), 6, (64, 96, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(ground).save(folder / "clip" / "3.png")
    with caplog.at_level("WARNING", "gen_inbetween"):
        done = masks_of(folder, "clip", "--click", "32,32")
    assert done.exit_code == 0 and "4 masks" in done.output, done.output
    assert (folder / "masks" / "mask1_00003.png").is_file() and "thing 1 is lost from frame 3" in caplog.text
    made = json.loads((folder / "masks" / "inbetween.json").read_text())["settings"]
    assert made["masks"][0]["lost"][0]["frames"] == [3, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png", "b.png", "--masks-only", "-o", "m"], "say which with --click or --mask"),
        (["a.png", "b.png", "--click", "5,5", "--masks-only", "--report", "r.html", "-o", "m"], "--report tells of a"),
        (["a.png", "b.png", "--click", "5,5", "--masks-only", "-o", "m.mp4"], "writes PNG files: name a folder"),
        (["clip", "--click", "5,5", "--masks-only", "-o", "m1.png"], "the masks of a film are more than one picture"),
        (["a.png", "b.png", "--mask", "m.png", "--masks-only", "-o", "m.png"], "m.png is an input"),
        (["a.png", "b.png", "--click", "5,5", "--masks-only", "-o", "clip"], "gen_inbetween did not make"),
        (["a.png", "b.png", "--mask", "m.png", "--curve", "linear", "--sam", "-o", "c.gif"], "there is no --click"),
        (["a.png", "b.png", "--click", "5,5", "--curve", "linear", "--sam", "-o", "c.gif"], "SAM needs weights"),
        (["a.png", "b.png", "--click", "5,5", "--curve", "linear", "--sam-model", "a/b", "-o", "c.gif"], "'a/b' is on"),
    ],
)
def test_what_masks_are_refused_for(folder, monkeypatch, words, message):
    monkeypatch.setenv("HF_HUB_CACHE", str(folder / "none"))
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(folder / "none"))
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, ["edit", *words])
    assert done.exit_code == 2 and message in " ".join(done.output.split()), done.output


def test_a_mask_that_looks_wrong_is_said(folder, caplog):
    with caplog.at_level("WARNING", "gen_inbetween"):
        done = run(folder, "a.png", "b.png", "--click", "80,10", "--curve", "linear", "--frames", "3")
    assert done.exit_code == 0 and "the mask of --click 80,10: this is the background" in caplog.text
