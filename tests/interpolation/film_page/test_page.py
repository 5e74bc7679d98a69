"""The page of a film: its figures are the manifest's, it needs nothing from outside, it can be read without seeing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from doubt_cases import JUMP, jumping_film

from gen_inbetween.interpolation.film_page.moments import MOST_MOMENTS, STRIP
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.outputs import is_ours

OPTIONS = {"fps": 20, "interpolator": "blend", "progress": False}


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of each row of its tables."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.open, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "rect", "line", "path"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "data" and self.rows:
            self.rows[-1].append(float(dict(attrs)["value"]))

    def handle_endtag(self, tag):
        if tag in ("rect", "line", "path"):
            return
        assert self.open.pop() == tag, f"{tag} is closed, and was not the last one opened"

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(page, its text, manifest) of a film with a jump."""
    folder = tmp_path_factory.mktemp("page")
    film = jumping_film(folder, "jump & run.mp4")
    retime_video(film, folder / "out.mp4", report=folder / "out.html", **OPTIONS)
    text = (folder / "out.html").read_text(encoding="utf-8")
    return Page(text), text, json.loads((folder / "out.mp4.inbetween.json").read_text())


def test_its_figures_are_those_of_the_manifest(made):
    page, text, manifest = made
    quality = manifest["quality"]
    curve = list(zip(*(quality["curve"][name] for name in ("seconds", "motion", "doubt")), strict=True))
    assert [tuple(row) for row in page.rows if len(row) == 3] == curve
    assert [row for row in page.rows if len(row) == 2] == quality["spans"]["doubtful"] == [[0.4, 0.5]]
    assert "0.1 of 0.9 s have motion too large to follow" in page.text
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>(?:<data[^>]*>)?([^<]+)", text))
    counts = manifest["counts"]
    assert tiles["source frames"] == str(counts["source_frames"]) == "10"
    assert tiles["frames written"] == str(counts["written"]) == "20"
    assert tiles["drawn pairs"] == str(quality["pairs"]["drawn"]) == "9"
    settings = dict(re.findall(r'<th scope="row">([a-z_]+)</th><td>(.*?)</td>', text))
    assert {name for name, value in manifest["settings"].items() if value is not None} <= settings.keys()
    assert settings["interpolator"].startswith("blend ") and settings["passthrough"] == "yes"


def test_it_needs_nothing_from_outside_and_runs_nothing(made):
    page, text, _ = made
    sources = [attributes["src"] for attributes in page.all("img")]
    assert sources and all(source.startswith("data:image/webp;base64,") for source in sources)
    assert len(sources) <= 3 * MOST_MOMENTS + STRIP
    assert not page.all("script") and not page.all("link") and not page.all("iframe")
    outside = re.sub(r"data:[^\"]*", "", text)
    assert "http" not in outside and "url(" not in outside and "@import" not in outside


def test_it_can_be_read_without_seeing_it_and_by_names_with_signs(made):
    page, text, _ = made
    assert page.open == [] and page.all("html") == [{"lang": "en"}]
    assert all(attributes["alt"] for attributes in page.all("img"))
    (chart,) = page.all("svg")
    named = {attributes.get("id") for _, attributes in page.elements}
    assert chart["role"] == "img" and set(chart["aria-labelledby"].split()) <= named
    assert "jump &amp; run.mp4" in text and "jump & run.mp4" in page.text
    assert [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)][:2] == ["h1", "h2"]


def test_a_doubtful_moment_is_shown_with_what_is_around_it(made):
    page, _, _ = made
    (moment,) = [attributes for attributes in page.all("article") if attributes["class"] == "moment doubtful"]
    shown = [attributes["alt"] for attributes in page.all("img")][STRIP:]
    assert shown == [
        f"source frame at 0.{JUMP}0 seconds", "frame drawn in between, at 00:00.4", "source frame at 0.50 seconds"
    ]  # fmt: skip
    assert (
        "large motion at 00:00.4-00:00.5" in page.text and "blend, a cross-fade" not in page.text.split("Settings")[1]
    )


def test_it_is_ours_until_somebody_edits_it(tmp_path):
    film = jumping_film(tmp_path)
    page = tmp_path / "out.html"
    for _ in range(2):  # the second replaces the first
        retime_video(film, tmp_path / "out.mp4", report=page, **OPTIONS)
    assert is_ours(page)
    page.write_text(page.read_text().replace("Settings", "My settings"))
    assert not is_ours(page)
    with pytest.raises(OutputError, match="out.html is a file that gen_inbetween did not make"):
        retime_video(film, tmp_path / "out.mp4", report=page, **OPTIONS)
    retime_video(film, tmp_path / "out.mp4", report=page, overwrite=True, **OPTIONS)
    assert is_ours(page)


@pytest.mark.parametrize(
    ("out", "report", "said"),
    [
        ("out.mp4", "jump.mp4", "ends in .html"),
        ("out.mp4", "out.txt", "ends in .html"),
        ("shot", "shot/out.html", "part of the output"),
        ("out.mp4", "film.html", "is an input"),
    ],
)
def test_a_bad_place_is_refused_before_the_work(tmp_path, out, report, said):
    film = jumping_film(tmp_path)
    if report == "film.html":
        (tmp_path / report).symlink_to(film)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match=said):
        retime_video(film, tmp_path / out, report=tmp_path / report, **OPTIONS)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("out", ["frames", "out.gif"])
def test_folders_animations_and_curves_have_pages_too(tmp_path, out):
    film = jumping_film(tmp_path)
    retime_video(film, tmp_path / out, report=tmp_path / "out.html", curve="ease-in-out", **OPTIONS)
    page = Page((tmp_path / "out.html").read_text())
    assert len(page.all("img")) == STRIP + 3
