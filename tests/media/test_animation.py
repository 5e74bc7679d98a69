"""GIF, WebP and PNG animations: their own times, decoded once where they are small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_cases import arrays, moving
from PIL import Image

from gen_inbetween.media import animation as animations
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.media.video_writer import write_video


def test_each_frame_is_shown_as_long_as_it_says(tmp_path: Path) -> None:
    frames = moving(4)
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[100, 300, 0, 200])
    timed = open_source(tmp_path / "a.gif").between()
    assert timed.times.tolist() == pytest.approx([0, 0.1, 0.4, 0.5]) and timed.duration == pytest.approx(0.7)
    assert timed.variable
    part = open_source(tmp_path / "a.gif").between(0.1, 0.45)
    assert [round(seconds, 3) for _, seconds in part.frames()] == [0, 0.3] and part.origin == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_is_decoded_once_unless_it_is_large(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(moving(5), tmp_path / name, 10)
    looks = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **more: looks.append(1) or original(*args, **more))
    small = read_frames(path)
    source = open_source(path)
    timed = [frame for frame, _ in source.between(0.1).frames()]
    assert len(looks) == 2 and source.fps == small.fps == 10
    monkeypatch.setattr(animations, "KEPT_BYTES", 1000)
    large = read_frames(path)
    assert len(looks) == 4
    assert np.array_equal(arrays(large.frames), arrays(small.frames))
    assert np.array_equal(arrays(timed), arrays(small.frames)[1:])
