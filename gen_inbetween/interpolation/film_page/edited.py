"""Motion and doubt of an edited clip, and its page."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial

import numpy as np
from PIL import Image

from gen_inbetween.interpolation.editing.index_maps import layer_positions
from gen_inbetween.interpolation.editing.retime_objects import frames_at, times_of
from gen_inbetween.interpolation.faults.doubt import FilmQuality
from gen_inbetween.interpolation.film_page.moments import STRIP, Moment, Pictures, data_uri, shown_pairs
from gen_inbetween.interpolation.film_page.page import write_film_page
from gen_inbetween.interpolation.retiming.curves import Array, PathCurve
from gen_inbetween.interpolation.retiming.frame_pairs import TimedFrame
from gen_inbetween.interpolation.retiming.noted_pairs import Notes, noted_pairs
from gen_inbetween.interpolation.retiming.stream import draws_at
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import load_image
from gen_inbetween.runtime.messages import collected_notices

log = logging.getLogger("gen_inbetween")


def note_edit(edited: Clip, source: Clip | Sequence[Image.Image], name: str) -> FilmQuality:
    """The quality of the pairs of `source` between which the edited clip shows something, put into its manifest.

    source: the clip it was made of, or the two frames, which are as far apart as the edited clip is long. name: of the
        source, for the notice.
    """
    frames, notes = [load_image(frame) for frame in source], Notes()
    shown = np.unique(_positions(edited, source))
    timed = (TimedFrame(np.asarray(frame), float(number)) for number, frame in enumerate(frames))
    seconds = _starts(edited, source)
    for _ in noted_pairs(timed, notes, partial(draws_at, shown), seconds=lambda number: seconds[int(number)]):
        pass
    edited.manifest["quality"] = notes.quality.record()
    if doubtful := notes.quality.notice():
        log.warning("%s: %s, may show things twice", name, doubtful)
    return notes.quality


def write_edit_page(
    report: str | os.PathLike[str],
    edited: Clip,
    source: Clip | Sequence[Image.Image],
    quality: FilmQuality,
    names: tuple[str, str],
) -> None:
    """The page of an edited clip whose pairs were noted; see `page.write_film_page`."""
    frames, starts = [load_image(frame) for frame in source], _starts(edited, source)
    ground = _positions(edited, source)[:, -1]
    places = edited.starts or [number / edited.fps for number in range(len(edited))]
    moments = []
    for pair in shown_pairs(quality):
        first, last = (int(np.abs(np.array(starts) - time).argmin()) for time in (pair.seconds, pair.until))
        number = int(np.abs(ground - (first + last) / 2).argmin())
        images = frames[first], load_image(edited[number]), frames[last]
        moments.append(Moment(pair, places[number], *map(data_uri, images)))
    along = sorted({len(frames) * (2 * place + 1) // (2 * STRIP) for place in range(STRIP)})
    strip = [(starts[number], data_uri(frames[number])) for number in along]
    write_film_page(report, edited.manifest, Pictures(moments, strip), collected_notices(), names)


def _positions(edited: Clip, source: Clip | Sequence[Image.Image]) -> Array:
    """(N, M + 1) where each thing and, last, the background is in each new frame, in frames of the source."""
    settings = edited.manifest["settings"]
    curves = [PathCurve(**curve) for curve in (*settings["curves"], settings["background"])]
    shares = layer_positions(curves[:-1], curves[-1], times_of(len(edited), edited.starts), len(curves) - 1).numpy()
    return frames_at(shares, len(source), source.starts if isinstance(source, Clip) else None)


def _starts(edited: Clip, source: Clip | Sequence[Image.Image]) -> list[float]:
    """When each frame of the source is shown, in seconds."""
    if not isinstance(source, Clip):
        return [0.0, (len(edited) - 1) / edited.fps]
    if source.starts is not None:
        return list(source.starts[:-1])
    return [number / source.fps for number in range(len(source))]
