"""What people drop and type that is none of what was asked for: a sentence, or a result, and never a fault of ours."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from film_cases import film, write_film
from page_cases import film_of_scene, scene
from PIL import Image, ImageDraw

from gen_inbetween.app.page.painting import BRUSHES
from gen_inbetween.media.clip import Clip

QUICK = {"--frames": "3", "--interpolator": "blend"}


@pytest.fixture
def outcome(press, blocks_and_page, tmp_path):
    """`outcome(tab, values)`: "done" or what was refused; the line is free again, and no folder is named."""
    _, page = blocks_and_page

    def outcome(tab, values):
        said, _ = press(tab, values)
        assert "fault is ours" not in said, said
        assert str(tmp_path) not in said and str(page.files) not in said, said
        assert page.line.told() == "The machine is free"
        if 'role="alert"' in said:
            return said
        assert "Done: " in said
        return "done"

    return outcome


def saved(path, image, **options):
    image.save(path, **options)
    return path


def written(path, data):
    path.write_bytes(data)
    return path


def bomb(path, side=60_000):
    """A PNG of a few bytes whose header says 3.6 thousand million pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(b"0")), chunk(b"IEND", b"")]
    return written(path, b"\x89PNG\r\n\x1a\n" + b"".join(parts))


NO_PICTURE = {
    "text": lambda folder: written(folder / "notes.png", b"dear diary"),
    "nothing": lambda folder: written(folder / "empty.png", b""),
    "page": lambda folder: written(folder / "page.jpg", b"<html><body>hello</body></html>"),
    "drawing": lambda folder: written(folder / "drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    "program": lambda folder: written(folder / "tool.png", b"\x7fELF" + bytes(500)),
    "film": lambda folder: film_of_scene(folder / "film.mp4", seconds=0.3).rename(folder / "film.png"),
    "half": lambda folder: written(folder / "half.png", saved(folder / "whole.png", scene(0)).read_bytes()[:400]),
    "bomb": lambda folder: bomb(folder / "bomb.png"),
    "large": lambda folder: saved(folder / "large.png", Image.new("1", (8000, 6000))),
    "folder": lambda folder: folder,
    "gone": lambda folder: folder / "gone.png",
    "odd name": lambda folder: written(folder / "<b>☃ 'x' & \"y\".png", b"no"),
    "array": lambda folder: written(folder / "frame.npy", b"\x93NUMPY\x01\x00 no"),
}


@pytest.mark.parametrize("kind", NO_PICTURE)
def test_what_is_no_picture_is_refused(outcome, pair, tmp_path, kind):
    said = outcome("between", {"between-first": str(NO_PICTURE[kind](tmp_path)), "between-last": pair[1], **QUICK})
    assert said != "done" and "<b>☃" not in said


def test_among_the_pictures_in_between_too(outcome, pair, tmp_path):
    junk = str(NO_PICTURE["text"](tmp_path))
    inner = {"Pictures in between, in order": [(junk, None)]}
    said = outcome("between", {"between-first": pair[0], "between-last": pair[1], **inner, **QUICK})
    assert "Notes.png is not an image" in said


def animation(path):
    return saved(path, scene(0).convert("P"), save_all=True, append_images=[scene(1).convert("P")])


PICTURES = {
    "one pixel": lambda folder: saved(folder / "a.png", Image.new("RGB", (1, 1))),
    "odd": lambda folder: saved(folder / "a.png", Image.new("RGB", (33, 17))),
    "strip": lambda folder: saved(folder / "a.png", Image.new("RGB", (2000, 3))),
    "clear": lambda folder: saved(folder / "a.png", scene(0).convert("RGBA").resize((60, 40))),
    "palette": lambda folder: saved(folder / "a.png", scene(0).convert("P"), transparency=0),
    "deep": lambda folder: saved(folder / "a.png", Image.fromarray(np.full((40, 60), 40_000, np.uint16))),
    "print": lambda folder: saved(folder / "a.jpg", scene(0).convert("CMYK")),
    "fax": lambda folder: saved(folder / "a.tif", scene(0).convert("1"), compression="group4"),
    "moving": lambda folder: animation(folder / "a.gif"),
    "upright": lambda folder: saved(folder / "a.png", scene(0).rotate(90, expand=True)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_odd_pictures_are_taken_or_refused(outcome, pair, tmp_path, kind):
    path = str(PICTURES[kind](tmp_path))
    outcome("between", {"between-first": path, "between-last": pair[1], **QUICK})
    outcome("between", {"between-first": pair[0], "between-last": path, **QUICK})


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("--frames", "0"), ("--frames", "-5"), ("--frames", "1e3"), ("--frames", "0x10"), ("--frames", "201"),
        ("--frames", "nan"), ("--frames", "3; rm"), ("--fps", "0"), ("--fps", "inf"), ("--fps", "nan"), ("--fps", "-1"),
        ("--seed", "-1"), ("--seed", "9" * 40), ("--set width=", "1"), ("--set height=", "1e9"), ("--steps", "201"),
    ],
)  # fmt: skip
def test_numbers_that_cannot_be_are_named(outcome, pair, name, typed):
    said = outcome("between", {"between-first": pair[0], "between-last": pair[1], **QUICK, name: typed})
    assert name in said and "expected a" in said


NO_FILM = {
    "text": lambda folder: written(folder / "notes.mp4", b"dear diary" * 100),
    "nothing": lambda folder: written(folder / "empty.mp4", b""),
    "picture": lambda folder: saved(folder / "photo.png", scene(0)).rename(folder / "photo.mp4"),
    "cut off": lambda folder: written(
        folder / "cut.mp4", film_of_scene(folder / "whole.mp4", seconds=0.5).read_bytes()[:900]
    ),
    "single": lambda folder: write_film(folder / "single.mp4", film(1)),
    "gone": lambda folder: folder / "gone.mp4",
    "list": lambda folder: written(folder / "list.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
    "pieces": lambda folder: written(folder / "pieces.txt", b"ffconcat version 1.0\nfile /etc/passwd\n"),
}


@pytest.mark.parametrize("kind", NO_FILM)
def test_what_is_no_film_is_refused(outcome, tmp_path, kind):
    assert outcome("film", {"film-film": str(NO_FILM[kind](tmp_path)), "--interpolator": "blend"}) != "done"


RATE, SLOW, CURVE = "Smoother: more frames a second", "Slow motion", "Its pace along a curve"


@pytest.mark.parametrize(
    ("what", "values"),
    [
        *[(RATE, {"film-fps": fps}) for fps in ("", "0", "-1", "nan", "inf", "1e9", "60000/0", "many", "1/0", "0/0")],
        *[(SLOW, {"Times as long (--scale)": scale}) for scale in ("", "0", "-2", "nan", "1000", "four")],
        *[(CURVE, {"film-curve": curve}) for curve in ("", "../../etc/passwd", "0:0", "0:0,0:1,1:1", "0:nan,1:1", ":")],
        (RATE, {"--start: seconds or 00:01:02.5": "5", "--stop": "1"}),
        (RATE, {"--start: seconds or 00:01:02.5": "99:99:99:99"}),
        (RATE, {"--start: seconds or 00:01:02.5": "nan"}),
        (RATE, {"--start: seconds or 00:01:02.5": "50"}),
        (RATE, {"--stop": "-1"}),
    ],
)  # fmt: skip
def test_a_film_s_values_that_cannot_be_are_refused(outcome, film, what, values):
    said = outcome(
        "film", {"film-film": film, "film-what": what, "--interpolator": "blend", "film-fps": "12", **values}
    )
    assert said != "done"


CLICK = "--click: in place of painting, where things are: x,y; x,y"


def easel(size=(192, 128), layer=None, box=(20, 30, 60, 70), background="RGB"):
    """A picture with an orange stroke; layer: the size of the layer, which browsers paint smaller at times."""
    painted = Image.new("RGBA", layer or size)
    if box:
        ImageDraw.Draw(painted).rectangle(box, fill=BRUSHES["orange"])
    picture = scene(0).resize(size).convert(background)
    return {"background": picture, "layers": [painted], "composite": picture}


@pytest.mark.parametrize(
    ("values", "done"),
    [
        ({"things-first": None}, False),
        ({"things-first": {"background": None, "layers": [], "composite": None}}, False),
        ({"things-first": easel(box=None)}, False),
        ({"things-first": easel(box=(0, 0, 191, 127))}, None),
        ({"things-first": easel(layer=(96, 64))}, True),
        ({"things-first": easel(size=(64, 64))}, None),
        ({"things-first": easel(background="RGBA")}, True),
        ({"things-first": easel(size=(8, 8), box=(2, 2, 5, 5))}, None),
        ({"things-first": easel(size=(8000, 6000), layer=(64, 64))}, False),
        ({"things-first": easel(), "things-orange": "../../etc/passwd"}, False),
        ({"things-first": easel(), "things-background": ""}, None),
        ({"things-first": easel(box=None), CLICK: "70,50"}, True),
        ({"things-first": easel(box=None), CLICK: "70"}, False),
        ({"things-first": easel(box=None), CLICK: "700,50"}, False),
        ({"things-first": easel(box=None), CLICK: "nan,50"}, False),
        ({"things-first": easel(box=None), CLICK: "1,2;3,4;5,6;7,8"}, False),
        ({"things-first": easel(box=(20, 30, 21, 31)), "things-painted": "a dot on each: find the rest"}, None),
    ],
)
def test_things_painted_oddly(outcome, pair, values, done):
    said = outcome("things", {"things-last": pair[1], "--frames": "3", "--interpolator": "blend", **values})
    assert done is None or (said == "done") == done, said


def painted_frame(folder, size=(192, 128)):
    return str(saved(folder / "frame_0.png", scene(0).convert("L").convert("RGB").resize(size)))


@pytest.mark.parametrize(
    "values",
    [
        {"state": {}}, {"style-film": None}, {"--steps": "0"}, {"--minutes of learning, at most": "nan"},
        {"--minutes of learning, at most": "0"}, {"--seed": "x"}, {"state": {99: "frame"}},
    ],
)  # fmt: skip
def test_a_style_that_cannot_be_learnt_is_refused(outcome, film, tmp_path, values):
    usual = {"style-film": film, "--steps": "1", "state": {0: painted_frame(tmp_path)}} | values
    usual["state"] = {number: painted_frame(tmp_path) for number in usual["state"]}
    assert outcome("style", usual) != "done"


def test_no_method_and_pictures_of_two_shapes(outcome, pair, tmp_path):
    assert (
        "tick one method"
        in outcome("compare", {"compare-first": pair[0], "compare-last": pair[1], "compare-methods": []}).lower()
    )
    tall = str(PICTURES["upright"](tmp_path))
    outcome("compare", {"compare-first": pair[0], "compare-last": tall, "--frames": "3"})


def test_a_film_of_text_cannot_be_painted_on(blocks_and_page, tmp_path):
    """The buttons beside the run: they say what is wrong, too."""
    blocks, _ = blocks_and_page
    junk = str(NO_FILM["text"](tmp_path))
    (take,) = (fn for fn in blocks.fns.values() if fn.name == "take_frame")
    (said,) = take.fn(junk, 0.0).values()
    assert 'role="alert"' in said and "Notes.mp4" in said and str(tmp_path) not in said
    (keep,) = (fn for fn in blocks.fns.values() if fn.name == "keep_frame")
    picture = scene(0)
    (said,) = keep.fn(junk, 0, {"background": picture, "layers": [], "composite": picture}, {}).values()
    assert 'role="alert"' in said and str(tmp_path) not in said


def test_the_result_of_odd_names_is_downloaded_by_a_name_that_files_can_have(press, tmp_path):
    source = film_of_scene(tmp_path / ("long " * 40 + "☃.mp4"), seconds=0.3)
    said, shown = press("film", {"film-film": str(source), "--interpolator": "blend", "film-fps": "12"})
    assert "Done: " in said and len(Path(shown["film-clip"]).name) < 120 and len(Clip.open(shown["film-clip"])) == 4
