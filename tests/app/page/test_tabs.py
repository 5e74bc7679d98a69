"""The runs of every tab, called as Gradio calls them; no server and no browser."""

from __future__ import annotations

import re
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from doubt_cases import jumping_film
from film_cases import Painter, write_film
from page_cases import scene
from PIL import Image, ImageDraw

from gen_inbetween.app.page import clips
from gen_inbetween.app.page.painting import BRUSHES
from gen_inbetween.app.page.tabs import film as film_tab
from gen_inbetween.app.page.tabs import things
from gen_inbetween.media.clip import Clip
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.progress import track


def test_between(press, pair):
    said, shown = press("between", {"between-first": pair[0], "between-last": pair[1], "--frames": "5"})
    assert "Done: " in said and "Interpolated, since there is no GPU" in said
    assert len(Clip.open(shown["between-clip"])) == 5 and shown["between-onward"].interactive
    said, _ = press("between", {"between-first": pair[0], "between-last": pair[1], "--frames": "1"})
    assert 'role="alert"' in said and "--frames: expected a whole number from 2 to 200, got &#x27;1&#x27;" in said


@pytest.mark.parametrize(
    ("what", "values", "count"),
    [
        ("Smoother: more frames a second", {"film-fps": "20"}, 12),
        ("Slow motion", {"Times as long (--scale)": "2", "film-fps": "not read"}, 12),
        ("Its pace along a curve", {"film-curve": "0:0,0.5:0.8,1:1"}, 6),
        ("A loop", {}, 6),
    ],
)
def test_film(press, film, what, values, count):
    said, shown = press("film", {"film-film": film, "film-what": what, "--interpolator": "blend", **values})
    assert "Done: " in said
    assert len(Clip.open(shown["film-clip"])) == count
    assert [Path(file).suffix for file in shown["film-slider"]] == [".jpg", ".jpg"]


@pytest.mark.parametrize(
    ("way", "words"),
    [("draw", "may show things twice"), ("hold", "the nearer frame"), ("generate", "generated")],
)
def test_a_film_says_where_its_motion_is_too_large(blocks_and_page, press, tmp_path, way, words, monkeypatch):
    asked = []
    monkeypatch.setattr(blocks_and_page[1], "open_pair_generator", lambda *a, **k: asked.append((a, k)) or Painter())
    values = {"film-film": str(jumping_film(tmp_path)), "film-fps": "20", "--interpolator": "dis-splat"}
    values |= {"--large-motion: too large to follow": way, "--model that generates there": "pocket-2"}
    said, shown = press("film", values | {"--overlays: logos, subtitles": "hold"})
    assert f"Large motion at 00:00.4-00:00.5 of the source: {words}." in said
    assert asked == ([(("pocket-2",), {"device": None})] if way == "generate" else [])
    settings = manifests.read(shown["film-clip"])["settings"]
    assert settings["large_motion"] == way and settings["overlays"] == "hold"


def test_a_film_drawn_on_twos_is_smoothed(press, tmp_path):
    drawings = [Image.fromarray(np.roll(np.asarray(scene(0)), 6 * (k // 2), 1)) for k in range(16)]
    film = write_film(tmp_path / "twos.mkv", drawings, unit=Fraction(1, 12), crf=1)
    values = {"film-film": str(film), "film-fps": "12", "--interpolator": "blend"}
    said, shown = press("film", values | {"--cadence: drawings on twos, threes": "smooth"})
    assert "Drawn on twos." in said
    assert manifests.read(shown["film-clip"])["settings"]["duplicates"] == "replace"


def test_things(press, pair):
    layer = Image.new("RGBA", (192, 128))
    layer.paste(Image.new("RGBA", (40, 40), BRUSHES["orange"]), (20, 30))
    easel = {"background": scene(0), "layers": [layer], "composite": None}
    said, shown = press("things", {"things-first": easel, "things-last": pair[1], "--frames": "5"})
    assert "Done: " in said and len(Clip.open(shown["things-clip"])) == 5
    said, _ = press("things", {"things-first": easel, "things-last": pair[1], "--fps": "fast"})
    assert "--fps: expected a number" in said


@pytest.mark.slow
def test_the_drawings_to_try_show_no_fault(press, tmp_path):
    easel, last = things.drawings()
    last.save(tmp_path / "last.png")
    ball = Image.new("RGBA", last.size)
    ImageDraw.Draw(ball).ellipse((42, 90, 102, 150), fill=BRUSHES["orange"])
    values = {"things-first": easel | {"layers": [ball]}, "things-last": str(tmp_path / "last.png"), "--frames": "5"}
    said, _ = press("things", values)
    assert "Done: no fault found.</span>" in said


def test_style(press, film, tmp_path):
    painted = tmp_path / "frame_0.png"
    scene(0).convert("L").convert("RGB").save(painted)
    said, shown = press("style", {"style-film": film, "--steps": "2", "state": {0: str(painted)}})
    assert "Done: learnt in 2 steps" in said and len(Clip.open(shown["style-clip"])) == 6


def test_compare(press, pair):
    values = {"compare-first": pair[0], "compare-last": pair[1], "--frames": "4"}
    said, shown = press("compare", values)
    assert "Done: " in said and len(shown["compare-clips"]) == 2 and shown["compare-sheet"].width > 0
    assert shown["compare-sheet"].width < 800, "the names above its rows would be unreadable on the page"
    said, _ = press("compare", values | {"compare-methods": ["vibid"]})
    assert "no svd-xt weights here" in said


def test_a_film_that_is_stopped_leaves_nothing(blocks_and_page, press, film, monkeypatch):
    """Each run has a folder of its own, so no later one would go on from the pieces."""
    _, page = blocks_and_page
    begun = []

    def endless(path, out, **settings):
        (out.parent / ".pieces").mkdir()
        begun.append(out.parent)
        for _ in track(range(100_000), shown=False):
            time.sleep(0.01)
            if len(begun) == 1:
                begun.append(page.line.stop(("ann", "film")))

    monkeypatch.setattr(film_tab, "retime_video", endless)
    said, _ = press("film", {"film-film": film})
    assert re.search(r">Stopped( at frame \d+ of 100000)?<", said) and begun[1] == "working" and not begun[0].exists()
    assert page.line.told() == "The machine is free"


def test_what_is_too_large_for_the_memory_is_refused_before_it_is_begun(press, pair, monkeypatch):
    monkeypatch.setattr(clips, "free_memory", lambda: 5e6)
    said, _ = press("between", {"between-first": pair[0], "between-last": pair[1], "--frames": "100"})
    assert 'role="alert"' in said and "100 frames of 192x128 take some" in said
    layer = Image.new("RGBA", (192, 128), BRUSHES["orange"])
    easel = {"background": scene(0), "layers": [layer], "composite": None}
    said, _ = press("things", {"things-first": easel, "things-last": pair[1], "--frames": "100"})
    assert "100 frames of 192x128 take some" in said


def test_stop_after_the_end_says_nothing_wrong(blocks_and_page):
    blocks, _ = blocks_and_page
    stop = next(each for each in blocks.blocks.values() if each.elem_id == "film-stop")
    (fn,) = (fn for fn in blocks.fns.values() if fn.name == "stop" and stop in fn.outputs)
    said = {each.elem_id: value for each, value in fn.fn(SimpleNamespace(session_hash="nobody")).items()}
    assert "Stopped" not in str(said["film-status"]) and said["film-go"].interactive


def test_before_and_after_of_a_part_show_the_same_moment(press, tmp_path):
    frames = [Image.new("RGB", (48, 32), (20 * number,) * 3) for number in range(10)]
    film = str(Clip(frames, 10).save(tmp_path / "fade.mp4"))
    part = {"--start: seconds or 00:01:02.5": "0.5", "--interpolator": "blend", "film-fps": "10"}
    _, shown = press("film", {"film-film": film, **part})
    before, after = (np.asarray(Image.open(path)).mean() for path in shown["film-slider"])
    assert after > 20 * 4.5 and abs(before - after) < 8
