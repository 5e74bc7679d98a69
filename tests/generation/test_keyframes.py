"""Keyframes in their places: what is understood, how many frames follow from it, what is refused by name."""

from __future__ import annotations

import pytest

from gen_inbetween.generation.timeline.keyframe import (
    Keyframe,
    KeyframeError,
    as_keyframes,
    parse_keyframe,
    place_keyframes,
    read_entry,
)


def place(*positions, num_frames=None, usual=25, **options):
    return place_keyframes([Keyframe("x", each) for each in positions], num_frames, fps=8, usual=usual, **options)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("b.png", ("b.png", None, 1.0)),
        ("b.png:16", ("b.png", 16, 1.0)),
        ("b.png:16:0.8", ("b.png", 16, 0.8)),
        ("b.png:-1", ("b.png", -1, 1.0)),
        ("b.png:1.5", ("b.png", 1.5, 1.0)),
        ("b.png:2s:1", ("b.png", 2.0, 1.0)),
        ("shots/b.png:end:0.5", ("shots/b.png", "end", 0.5)),
        ("C:/b.png:3", ("C:/b.png", 3, 1.0)),
        ("C:\\b.png", ("C:\\b.png", None, 1.0)),
        ("take 1:30/b.png:end", ("take 1:30/b.png", "end", 1.0)),
    ],
)
def test_text_is_read_from_the_right(text, wanted):
    keyframe = parse_keyframe(text)
    assert (keyframe.image, keyframe.position, keyframe.strength) == wanted


def test_a_file_whose_name_looks_like_a_place_is_that_file(tmp_path):
    (tmp_path / "b.png:3").write_bytes(b"x")
    assert parse_keyframe("b.png:3", tmp_path).image.endswith("b.png:3")
    assert parse_keyframe("b.png:3:4", tmp_path).position == 4


def test_entries_of_lists_are_text_or_mappings(tmp_path):
    assert read_entry({"image": "b.png", "position": "1.5s", "strength": 0.5}, tmp_path) == Keyframe(
        str(tmp_path / "b.png"), 1.5, 0.5
    )
    assert read_entry("b.png:4") == Keyframe("b.png", 4)
    for entry, message in (
        (7, "as text or"),
        ({"position": 3}, "as text or"),
        ({"image": "b.png", "place": 3}, "image, position and strength, got place"),
        ({"image": "b.png", "position": "soon"}, "frame number, seconds"),
    ):
        with pytest.raises(KeyframeError, match=message):
            read_entry(entry)


@pytest.mark.parametrize(
    ("positions", "options", "wanted"),
    [
        ((None, None, None), {}, ([0, 24, 48], 49)),
        ((None, None, None), {"num_frames": 10}, ([0, 4, 9], 10)),
        ((0, 16, "end"), {"num_frames": 49}, ([0, 16, 48], 49)),
        ((0, 16, -1), {"num_frames": 49}, ([0, 16, 48], 49)),
        ((0, 16, "end"), {}, ([0, 16, 40], 41)),
        ((0, 16, 20), {}, ([0, 16, 20], 21)),
        ((0, 1.5, 3.0), {}, ([0, 12, 24], 25)),  # seconds, at 8 frames each
        ((0, None, None, 30), {}, ([0, 10, 20, 30], 31)),
        ((0, -5, -1), {"num_frames": 20}, ([0, 15, 19], 20)),
        ((None, None), {"loop": True}, ([0, 24], 48)),
        ((0, 5), {"loop": True, "num_frames": 12}, ([0, 5], 12)),
        ((0, -4), {"loop": True, "num_frames": 12}, ([0, 8], 12)),
    ],
)
def test_places(positions, options, wanted):
    assert place(*positions, **options) == wanted


@pytest.mark.parametrize(
    ("positions", "options", "message"),
    [
        ((0,), {}, "at least two keyframes, got one"),
        ((0, 8, 8, "end"), {"num_frames": 20}, "keyframe 3 at 8 is frame 8 and repeats keyframe 2"),
        ((0, 8, 4, "end"), {"num_frames": 20}, "keyframe 3 at 4 is frame 4 and goes back before keyframe 2 at frame 8"),
        ((0, 30, "end"), {"num_frames": 20}, "keyframe 2 at 30 is frame 30: expected 0 to 19"),
        ((0, -30, "end"), {"num_frames": 20}, "frame -10: expected 0 to 19"),
        ((3, 8, "end"), {"num_frames": 20}, "first keyframe is at frame 3: expected 0"),
        ((0, 8, 12), {"num_frames": 20}, "last keyframe is at frame 12 of 20: expected 19"),
        ((0, -5, "end"), {}, "counts from the end needs num_frames"),
        (("end", 4), {"num_frames": 9}, "goes back"),
    ],
)
def test_places_that_cannot_be_are_refused_by_name(positions, options, message):
    with pytest.raises(KeyframeError, match=message):
        place(*positions, **options)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan"), "much", True])
def test_a_strength_out_of_its_range_is_refused(strength):
    with pytest.raises(KeyframeError, match=r"strength of a keyframe in \[0, 1\]"):
        Keyframe("x", 0, strength)


@pytest.mark.parametrize("position", ["soon", True, float("nan"), [3], "1:2"])
def test_a_position_of_another_kind_is_refused(position):
    with pytest.raises(KeyframeError, match="expected a position as"):
        Keyframe("x", position)


@pytest.mark.parametrize("digits", [10, 300, 400, 5000])
def test_a_place_of_many_digits_is_refused_in_one_line(digits):
    number = "1" * digits
    for text in (f"b.png:{number}", f"b.png:-{number}", f"b.png:{number}s", f"b.png:{number}.5", f"b.png:{number}:0.5"):
        with pytest.raises(KeyframeError, match="position of at most 1000000000") as error:
            parse_keyframe(text)
        assert len(str(error.value)) < 200
    with pytest.raises(KeyframeError, match="strength"):
        parse_keyframe(f"b.png:1:{number}")
    for position in (10**digits, -(10**digits), 1e300):
        with pytest.raises(KeyframeError, match="position of at most"):
            Keyframe("b.png", position)


def test_an_empty_list_is_refused():
    with pytest.raises(KeyframeError, match="empty list"):
        as_keyframes([])
