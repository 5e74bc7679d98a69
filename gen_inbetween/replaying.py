"""A clip again, from its manifest: the same frames, weights, settings and memory levers, so the same latents."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from PIL import Image

from . import manifest as manifests
from .clip import Clip
from .config import from_mapping
from .frames import Frame, open_frame
from .generation import make_clip
from .settings import Settings

log = logging.getLogger("gen_inbetween")


def replay(
    path: str | os.PathLike[str], *, frame0: Frame | None = None, frame1: Frame | None = None, progress: bool = True
) -> Clip:
    """Make a clip again from its manifest.

    Args:
        path: the JSON file beside a clip.
        frame0, frame1: the keyframes, where they are no longer at the paths the manifest names or never were files.

    Returns:
        The clip; `clip.manifest["replay"]["latents_equal"]` says whether its latents are those of the first run, bit
        for bit. Other package versions or another device may change them; other versions are said in the log.

    Raises:
        ManifestError: no manifest, keyframes that are missing or have changed, or other model or motion weights.
    """
    made = manifests.read(path)
    for difference in manifests.version_drift(made):
        log.warning("made with another version: %s", difference)
    settings = from_mapping(Settings, made["settings"], where=str(path))
    frames = tuple(
        _again(name, made["frames"][name], frame, settings) for name, frame in (("frame0", frame0), ("frame1", frame1))
    )
    sources, opened = (frames[0][0], frames[1][0]), (frames[0][1], frames[1][1])
    clip = make_clip(sources, opened, settings, progress, expected=made)
    assert clip.manifest
    same = clip.manifest["latents_sha256"] == made["latents_sha256"]
    clip.manifest["replay"] = {"of": str(path), "latents_equal": same}
    return clip


def _again(name: str, made: dict[str, Any], given: Frame | None, settings: Settings) -> tuple[Frame, Image.Image]:
    """A keyframe of an earlier run, opened, and held against the hash of what was used then."""
    if given is None and made["path"] is None:
        raise manifests.ManifestError(
            f"{name} was given in memory, not as a file: pass it again ({name}=, or --{name} FILE)"
        )
    frame: Frame = made["path"] if given is None else given
    if given is None and not Path(made["path"]).is_file():
        raise manifests.ManifestError(f"{name} is no longer at {frame}: say where it is ({name}=, or --{name} FILE)")
    image = open_frame(frame, background=settings.background)
    if manifests.image_sha256(image) != made["sha256"]:
        raise manifests.ManifestError(f"{name} has changed since: {frame} is not the picture the clip was made from")
    return frame, image
