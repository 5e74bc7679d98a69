"""Inputs of a clip, opened and checked: keyframes, still region, draft."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gen_inbetween.diffusion.options import DRAFT_STRENGTH, INTERPOLATE
from gen_inbetween.generation.timeline.keyframe import Keyframe, KeyframeError, as_keyframes, place_keyframes
from gen_inbetween.generation.timeline.timeline import Timeline
from gen_inbetween.media.image import load_image
from gen_inbetween.media.video import read_frames
from gen_inbetween.runtime.hashing import image_sha256, images_sha256, mask_sha256
from gen_inbetween.runtime.messages import warn_once

if TYPE_CHECKING:
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.generation.timeline.timeline import Mask


class DraftError(ValueError):
    """A draft that no clip can start from; the message says what was expected."""


class LoneKeyframeError(KeyframeError, TypeError):
    """One picture where two are due, as a call without its second argument."""


def read_keyframes(frame0: Any, frame1: Any) -> list[Keyframe]:
    """The two arguments of `inbetween` as keyframes: a list alone, or two pictures.

    KeyframeError: a list and another picture beside it, one picture alone.
    """
    if isinstance(frame0, list | tuple):
        if frame1 is not None:
            raise KeyframeError("expected one list of keyframes, or two pictures, got a list and a picture beside it")
        keyframes = as_keyframes(frame0)
    else:
        if frame1 is None:
            raise LoneKeyframeError(
                f"expected frame1, or a list of keyframes, got one {type(frame0).__name__} alone; a clip, an array of "
                "several pictures or a generator is to become a list; loop() takes one picture"
            )
        keyframes = as_keyframes([frame0, frame1])
    if len(keyframes) == 1:
        raise KeyframeError("expected at least two keyframes, got one; loop() makes a loop of one picture")
    return keyframes


def open_draft(draft: Any, settings: Settings) -> tuple[Image.Image, ...] | None:
    """The frames of a rough clip; None: there is none, or it is interpolated later.

    DraftError: neither "interpolate" nor a clip, or one without frames. VideoError, FrameError: it cannot be read.
    """
    if draft is None or (isinstance(draft, str) and draft == INTERPOLATE):
        return None
    if isinstance(draft, str | os.PathLike):
        if not Path(draft).exists():
            raise DraftError(f"no draft at {draft}: expected a video, a folder of frames, or {INTERPOLATE!r}")
        draft, _ = read_frames(draft)
    draft = list(draft) if isinstance(draft, Iterable) else draft
    if not isinstance(draft, list) or not draft:
        raise DraftError(f"expected a draft as a path, {INTERPOLATE!r} or a list of frames, got {draft!r}")
    return tuple(load_image(frame, background=settings.background) for frame in draft)


def start_from_draft(settings: Settings, draft: Sequence[Image.Image] | None) -> Settings:
    """The settings with the draft's strength, and its length where nobody says another.

    DraftError: a strength without a draft, or a draft beside start_sigma.
    """
    if draft is None and settings.draft is None:
        if settings.draft_strength is not None:
            raise DraftError(f"draft_strength {settings.draft_strength:g}: expected a draft with it, got none")
        return settings
    if settings.method == INTERPOLATE:
        raise DraftError("a draft is where sampling starts, and method interpolate samples nothing: leave one away")
    if settings.start_sigma is not None:
        raise DraftError("expected a draft or start_sigma, got both: each says where the steps begin")
    count = settings.num_frames if settings.num_frames or draft is None else len(draft)
    return replace(settings, num_frames=count, draft_strength=settings.draft_strength or DRAFT_STRENGTH)


def lay_timeline(
    keyframes: Sequence[Keyframe],
    pictures: Sequence[Image.Image],
    settings: Settings,
    usual: int,
    *,
    still: Mask | None,
    draft: Sequence[Image.Image] | None,
) -> Timeline:
    """Everything in its place.

    usual: frames of a clip between two keyframes that nobody gave a length.

    Raises:
        KeyframeError: as `place_keyframes`. DraftError: a draft of another length.
    """
    if len(keyframes) == 2 and not settings.loop and all(keyframe.position is None for keyframe in keyframes):
        count = settings.num_frames or usual  # whether the method does so many is its own to say
        positions = [0, count - 1]
    else:
        placing: dict[str, Any] = {"fps": settings.fps, "usual": usual, "loop": settings.loop}
        positions, count = place_keyframes(keyframes, settings.num_frames, **placing)
    if draft is not None and len(draft) != count:
        raise DraftError(
            f"the draft has {len(draft)} frames, the clip {count}: expected as many; say num_frames={len(draft)}, or "
            f"retime the draft (inbetween retime DRAFT --num-frames {count})"
        )
    sizes = dict.fromkeys(picture.size for picture in pictures)
    if len(sizes) > 1:
        shown = ", ".join(f"{width}x{height}" for width, height in sizes)
        if len(pictures) > 2:  # of two it goes without saying, as ever
            warn_once(f"keyframes of several sizes ({shown}): all are fitted to the first one's aspect")
    return Timeline(
        tuple(pictures),
        tuple(positions),
        count,
        tuple(float(keyframe.strength) for keyframe in keyframes),
        loop=settings.loop,
        still=still,
        draft=tuple(draft or ()),
    )


def record_inputs(
    keyframes: Sequence[Keyframe],
    pictures: Sequence[Image.Image],
    still: Any,
    region: Mask | None,
    settings: Settings,
    draft: Sequence[Image.Image] | None,
) -> dict[str, dict[str, Any]]:
    """What the clip is made of, as a manifest names it: where each is (None: given in memory), and its hash."""
    record = {
        f"frame{number}": {"path": path_of(keyframe.image), "sha256": image_sha256(picture)}
        for number, (keyframe, picture) in enumerate(zip(keyframes, pictures, strict=True))
    }
    if region is not None:
        record["still"] = {"path": path_of(still), "sha256": mask_sha256(region == np.float32(1))}
    if draft is not None:
        record["draft"] = {"path": path_of(settings.draft), "sha256": images_sha256(draft)}
    return record


def path_of(source: Any) -> str | None:
    """Where a file is, from any working folder; None: it was given in memory."""
    return str(Path(source).resolve()) if isinstance(source, str | os.PathLike) else None


def warn_of_identical(record: dict[str, dict[str, Any]], keyframes: int, loop: bool) -> None:
    """Say which neighbours are one picture: between them there is no motion to find."""
    hashes = [record[f"frame{number}"]["sha256"] for number in range(keyframes)]
    following = [*hashes[1:], *(hashes[:1] if loop else [])]
    same = [number for number, (each, other) in enumerate(zip(hashes, following, strict=False)) if each == other]
    if not same:
        return
    if keyframes == 2 and not loop:
        warnings.warn("the two keyframes are identical: there is no motion to find between them", stacklevel=4)
        return
    pairs = ", ".join(f"{number + 1} and {(number + 1) % keyframes + 1}" for number in same)
    warnings.warn(f"keyframes {pairs} are identical: there is no motion to find between them", stacklevel=4)
