"""Keyframes with their places: as given, text, or list entries.

    Keyframe("b.png", 16, strength=0.8)      frame 16, kept by eight tenths
    Keyframe("b.png", 1.5)                   at 1.5 seconds
    Keyframe("c.png", -1), Keyframe("c.png", "end")

On the command line `b.png:16:0.8`, `b.png:1.5s`, `c.png:end`; in lists and YAML the same, or a mapping.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gen_inbetween.runtime.checks import plain_value
from gen_inbetween.runtime.trust.limits import shorten

if TYPE_CHECKING:
    from gen_inbetween.media.image import Frame

Position: TypeAlias = "int | float | str | None"
PLACE = re.compile(r"-?\d+|-?\d+\.\d+s?|-?\d+s|end")
NUMBER = re.compile(r"\d+(\.\d+)?")
FARTHEST = 1e9  # frames or seconds; the number of a frame is a float's for a while


class KeyframeError(ValueError):
    """Keyframes that no clip goes through; the message names the one, and says what was expected."""


@dataclass(frozen=True)
class Keyframe:
    """A picture, and where the clip goes through it.

    image: a path, PIL image, array or tensor, as `load_image` opens it.
    position: an int is a frame number, negative from the end (-1 the last frame); a float is seconds; "end" is the last
        frame; None: evenly between its neighbours.
    strength: how much of the picture its frame keeps, in [0, 1]: 1 all of it, below it the model may change it.

    Raises:
        KeyframeError: a position of another kind, a strength out of its range.
    """

    image: Frame
    position: Position = None
    strength: float = 1.0

    def __post_init__(self) -> None:
        for name in ("position", "strength"):  # numpy's numbers are numbers
            if isinstance(value := getattr(self, name), Real) and not isinstance(value, bool):
                object.__setattr__(self, name, plain_value(value))
        position = self.position
        if isinstance(position, int | float) and abs(position) > FARTHEST:
            raise KeyframeError(f"expected a position of at most {FARTHEST:.15g}, got one beyond")
        wrong = isinstance(position, bool) or not isinstance(position, int | float | str | None)
        if isinstance(position, str):
            wrong = not PLACE.fullmatch(position)
        if wrong or (isinstance(position, float) and not math.isfinite(position)):
            raise KeyframeError(
                f"expected a position as a frame number, seconds (1.5, '1.5s') or 'end', got {shorten(repr(position))}"
            )
        number = self.strength
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
            raise KeyframeError(f"expected the strength of a keyframe in [0, 1], got {shorten(repr(number))}")


def parse_keyframe(text: str, root: Path | None = None) -> Keyframe:
    """ "b.png:16:0.8" -> Keyframe("b.png", 16, 0.8). It is read from the right: a path may have colons of its own.

    root: the folder that a relative path starts from.

    >>> parse_keyframe("C:/shots/b.png:1.5s")
    Keyframe(image='C:/shots/b.png', position=1.5, strength=1.0)
    """
    path = text
    places: list[str] = []
    while len(places) < 2 and ":" in path and not os.path.isfile((root or Path()) / path):  # a name may be too long
        rest, _, part = path.rpartition(":")
        if not rest or not (PLACE.fullmatch(part) or NUMBER.fullmatch(part)):
            break
        path, places = rest, [part, *places]
    if not path:
        raise KeyframeError(f"expected a keyframe as FILE, FILE:POSITION or FILE:POSITION:STRENGTH, got {text!r}")
    position = read_position(places[0]) if places else None
    strength = float(places[1]) if places[1:] else 1.0
    return Keyframe(path if root is None else str(root / path), position, strength)


def read_position(text: str) -> Position:
    """The position that a word says: whole numbers are frames, others seconds.

    >>> [read_position(word) for word in ("16", "-1", "1.5", "2s", "end")]
    [16, -1, 1.5, 2.0, 'end']

    KeyframeError: it says none.
    """
    if not PLACE.fullmatch(text):
        raise KeyframeError(f"expected a position as a frame number, seconds (1.5s) or end, got {text!r}")
    if text == "end":
        return text
    number = float(text.removesuffix("s"))
    return int(text) if re.fullmatch(r"-?\d+", text) and abs(number) <= FARTHEST else number


def read_entry(entry: Any, root: Path | None = None) -> Keyframe:
    """A keyframe of a list: text, or {"image": FILE, "position": ..., "strength": ...}; KeyframeError: neither."""
    if isinstance(entry, str):
        return parse_keyframe(entry, root)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("image"), str):
        raise KeyframeError(f'expected a keyframe as text or {{"image": FILE, "position": ...}}, got {entry!r}')
    if unknown := entry.keys() - {"image", "position", "strength"}:
        raise KeyframeError(f"a keyframe has image, position and strength, got {', '.join(sorted(unknown))}")
    position = entry.get("position")
    position = read_position(position) if isinstance(position, str) else position
    image = entry["image"] if root is None else str(root / entry["image"])
    return Keyframe(image, position, entry.get("strength", 1.0))


def as_keyframes(frames: Sequence[Any]) -> list[Keyframe]:
    """Pictures and keyframes, as `inbetween` takes them, as keyframes. KeyframeError: there are none."""
    keyframes = [frame if isinstance(frame, Keyframe) else Keyframe(frame) for frame in frames]
    if not keyframes:
        raise KeyframeError("expected keyframes, got an empty list")
    return keyframes


def place_keyframes(
    keyframes: Sequence[Keyframe], num_frames: int | None, *, fps: float, usual: int, loop: bool = False
) -> tuple[list[int], int]:
    """(the frame number of each keyframe, frames of the clip).

    Args:
        num_frames: of the clip; None: as many as the positions say, and `usual` to a segment where they say nothing.
        fps: frames a second, for positions in seconds.
        usual: frames of a segment, both keyframes included.
        loop: after the last keyframe the clip goes on to the first.

    Raises:
        KeyframeError: fewer than two, positions that repeat, go back or lie outside, a first one that is not at frame 0
            or a last one that is not at the end.
    """
    segments = len(keyframes) - (0 if loop else 1)
    if len(keyframes) < 2:
        raise KeyframeError("expected at least two keyframes, got one: a clip lies between them")
    given = [frame_number(keyframe.position, fps) for keyframe in keyframes]
    given[0] = 0 if given[0] is None else given[0]
    if not loop and given[-1] is None:
        given[-1] = -1
    if num_frames is None:
        num_frames = count_frames(given, segments, usual, loop)
    frames = [None if place is None else place + (num_frames if place < 0 else 0) for place in given]
    marks = fill([*frames, num_frames] if loop else frames)
    for number, (mark, keyframe) in enumerate(zip(marks, keyframes, strict=False)):
        where = f"keyframe {number + 1} at {keyframe.position!r} is frame {mark}"
        if not 0 <= mark < num_frames:
            raise KeyframeError(f"{where}: expected 0 to {num_frames - 1}, the frames of the clip")
        if number and mark <= marks[number - 1]:
            what = "repeats" if mark == marks[number - 1] else "goes back before"
            raise KeyframeError(f"{where} and {what} keyframe {number} at frame {marks[number - 1]}: expected it later")
    if marks[0] != 0:
        raise KeyframeError(f"the first keyframe is at frame {marks[0]}: expected 0, a clip begins with a keyframe")
    if not loop and marks[-1] != num_frames - 1:
        raise KeyframeError(
            f"the last keyframe is at frame {marks[-1]} of {num_frames}: expected {num_frames - 1}, the end, since a "
            f"clip ends with a keyframe; or leave num_frames away"
        )
    return marks[: len(keyframes)], num_frames


def frame_number(position: Position, fps: float) -> int | None:
    """A position as a frame number, negative from the end; None: not said."""
    if position == "end":
        return -1
    if isinstance(position, str):
        position = read_position(position)
    return round(position * fps) if isinstance(position, float) else position  # type: ignore[return-value]


def count_frames(given: Sequence[int | None], segments: int, usual: int, loop: bool) -> int:
    """Frames of a clip that nobody counted: up to the last position, and the usual ones for the segments after it."""
    if any(place is not None and place < 0 for place in given[:-1]) or (given[-1] is not None and given[-1] < -1):
        raise KeyframeError("a position that counts from the end needs num_frames, which was not given")
    said = [number for number, place in enumerate(given) if place is not None and place >= 0]
    last = said[-1]
    place = given[last] or 0
    return place + (segments - last) * (usual - 1) + (0 if loop else 1)


def fill(marks: Sequence[int | None]) -> list[int]:
    """Every None evenly between the places beside it; the first and the last are known.

    >>> fill([0, None, None, 10])
    [0, 3, 7, 10]
    """
    known = [number for number, mark in enumerate(marks) if mark is not None]
    filled: list[int] = []
    for number, mark in enumerate(marks):
        before = max(each for each in known if each <= number)
        after = min(each for each in known if each >= number)
        first, last = marks[before], marks[after]
        assert first is not None and last is not None
        filled.append(
            first if mark is not None else round(first + (last - first) * (number - before) / (after - before))
        )
    return filled
