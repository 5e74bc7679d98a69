"""The runs of every tab, called as Gradio calls them; no server and no browser."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from doubt_cases import jumping_film
from film_cases import Painter, write_film
from page_cases import film_of_scene, pair_of_pictures, scene
from PIL import Image

from gen_inbetween.app.page.page import build_page
from gen_inbetween.app.page.painting import BRUSHES
from gen_inbetween.app.page.settings import PageSettings
from gen_inbetween.generation.films import pair_generator
from gen_inbetween.media.clip import Clip
from gen_inbetween.runtime import manifest as manifests

ANN = SimpleNamespace(session_hash="ann")


@pytest.fixture(scope="module")
def blocks_and_page(tmp_path_factory):
    return build_page(PageSettings(folder=tmp_path_factory.mktemp("page")))


@pytest.fixture
def press(blocks_and_page):
    """`press(tab, values)`: the last words of a run, and every value that it put on the page, by element.

    values: by label or element, "state" without either; the others as the page opens with them.
    """
    blocks, page = blocks_and_page

    def press(tab, values):
        stop = next(each for each in blocks.blocks.values() if each.elem_id == f"{tab}-stop")
        (run,) = (fn for fn in blocks.fns.values() if fn.name == "run" and stop in fn.outputs)
        names = [{each.elem_id, getattr(each, "label", None)} - {None} or {"state"} for each in run.inputs]
        assert not (unknown := set(values) - set().union(*names)), unknown
        given = [
            next((value for name, value in values.items() if name in known), getattr(each, "value", None))
            for each, known in zip(run.inputs, names, strict=True)
        ]
        page.line.join(("ann", tab))
        shown = {}
        for update in run.fn(ANN, *given):
            shown |= {each.elem_id: value for each, value in update.items()}
        return shown[f"{tab}-status"], shown

    return press


@pytest.fixture
def pair(tmp_path):
    return [str(path) for path in pair_of_pictures(tmp_path)]


@pytest.fixture
def film(tmp_path):
    return str(film_of_scene(tmp_path / "walk.mp4", seconds=0.6))


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
def test_a_film_says_where_its_motion_is_too_large(press, tmp_path, way, words, monkeypatch):
    asked = []
    monkeypatch.setattr(pair_generator, "open_pair_generator", lambda *a, **k: asked.append((a, k)) or Painter())
    values = {"film-film": str(jumping_film(tmp_path)), "film-fps": "20", "--interpolator": "dis-splat"}
    values |= {"--large-motion: too large to follow": way, "--model that generates there": "pocket"}
    said, shown = press("film", values | {"--overlays: logos, subtitles": "hold"})
    assert f"Large motion at 00:00.4-00:00.5 of the source: {words}." in said
    assert asked == ([(("pocket",), {"device": None})] if way == "generate" else [])
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


def test_style(press, film, tmp_path):
    painted = tmp_path / "frame_0.png"
    scene(0).convert("L").convert("RGB").save(painted)
    said, shown = press("style", {"style-film": film, "--steps": "2", "state": {0: str(painted)}})
    assert "Done: learnt in 2 steps" in said and len(Clip.open(shown["style-clip"])) == 6


def test_compare(press, pair):
    values = {"compare-first": pair[0], "compare-last": pair[1], "--frames": "4"}
    said, shown = press("compare", values)
    assert "Done: " in said and len(shown["compare-clips"]) == 2 and shown["compare-sheet"].width > 0
    said, _ = press("compare", values | {"compare-methods": ["vibid"]})
    assert "no svd-xt weights here" in said
