"""The memory that a film takes does not grow with its length."""

from __future__ import annotations

import gc
from pathlib import Path

import av
from film_cases import film, write_film

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.runtime.progress import listening

LOOKS = 40, 120  # frames after which it is looked: all windows and pieces are as full as they become by the first


def test_a_longer_film_takes_no_more_memory(tmp_path: Path) -> None:
    """Without the search for circles, which a program as large as the page seldom makes: 1.2 GB after 57 frames."""
    source = write_film(tmp_path / "long.mp4", film(50) * 2, tone=4.0)
    held: dict[int, int] = {}

    def look(done: int, total: int | None) -> None:
        if done in LOOKS:
            held[done] = sum(type(each) is av.VideoFrame for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        with listening(look):
            made = retime_video(source, tmp_path / "o.mp4", fps=30, interpolator="nearest", workers=1, progress=False)
    finally:
        gc.enable()
    assert made.written == 125
    assert held[LOOKS[1]] - held[LOOKS[0]] < 10
