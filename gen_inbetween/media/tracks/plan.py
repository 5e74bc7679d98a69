"""Which tracks of a film go along when its time is changed."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import get_args

from gen_inbetween.media.source import TimedVideo, VideoError
from gen_inbetween.media.tracks.listing import Listing, list_tracks
from gen_inbetween.media.tracks.sound import Audio, Span
from gen_inbetween.media.tracks.tracks import Tracks, sound_before
from gen_inbetween.media.writing.outputs import OUTPUTS, Output, suffix_of

log = logging.getLogger("gen_inbetween")

_SHEET = Output("picture", "png")


def plan_tracks(timed: TimedVideo, out: Path, *, scale: float, bent: bool, audio: Audio | None = None) -> Tracks | None:
    """What `out` gets of the sound and all else that a film holds beside its pictures; the notices are given here.

    Args:
        scale: how many times as long the pictures become.
        bent: whether their time runs unevenly, so that nothing can follow.
        audio: "keep" the sound as it is, "stretch" it to the pictures at its own pitch, "drop" it; None: whichever goes
            with the pictures, and none where their time is bent. Sound that is longer than the film is kept whole,
            unless the part chosen ends before the film does.

    Returns:
        None for an output without tracks.

    Raises:
        VideoError: as `check_audio`.
    """
    check_audio(audio, out, bent=bent)
    output, listing = _output_of(out), list_tracks(timed.source)
    if not output.sound:
        _say_all_lost(listing, timed.path, out, audio)
        return None
    whole = timed.chosen.stop == len(timed.source.times)
    begin = timed.origin
    end = math.inf if whole else begin + timed.duration
    stretched = audio == "stretch" or (audio is None and scale != 1)
    heard = Span(begin, end, scale if stretched else 1.0)
    if listing.of_kind("audio") and audio is None:
        if bent:
            log.info("the sound is dropped, for it cannot follow a curve; audio keep leaves it as it is")
        elif scale != 1:
            log.info("the sound is stretched to the pictures, at its own pitch; audio keep or drop does not")
    silent = audio == "drop" or (bent and audio is None)
    tracks = Tracks(timed.path, listing, output, None if silent else heard, None if bent else Span(begin, end, scale))
    if timed.chosen.start == 0 and not silent and (lead := sound_before(listing, begin)):
        log.info("%s: %.2f s of sound before the first picture are left out", timed.path.name, lead)
    tracks.announce(out)
    return tracks


def check_audio(audio: Audio | None, out: Path, *, bent: bool) -> None:
    """Find out, before a film is opened, whether `plan_tracks` can do as it is told.

    Raises:
        VideoError: no such word; sound asked for where the output holds none, or stretched along bent time.
    """
    if audio not in (None, *get_args(Audio)):
        raise VideoError(f"audio is {', '.join(get_args(Audio))}; got {audio!r}")
    if not _output_of(out).sound and audio in ("keep", "stretch"):
        raise VideoError(f"{out.name} holds no sound: leave audio alone, or name a video such as {out.stem}.mp4")
    if bent and audio == "stretch":
        raise VideoError("sound cannot follow a curve, only be stretched evenly: keep it or drop it")


def _output_of(out: Path) -> Output:
    return OUTPUTS.get(suffix_of(out), _SHEET)


def _say_all_lost(listing: Listing, path: Path, out: Path, audio: Audio | None) -> None:
    lost = [str(track) for track in listing.tracks if not (audio == "drop" and track.kind == "audio")]
    if listing.chapters:
        lost.append(f"{len(listing.chapters)} chapters")
    if lost:
        log.info("%s holds pictures alone; left out of %s: %s", out.name, path.name, "; ".join(lost))
