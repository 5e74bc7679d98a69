"""A clip again, from its manifest: the same keyframes, weights, settings and memory levers, so the same clip."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from PIL import Image

from gen_inbetween.diffusion.methods import FLOW, METHODS
from gen_inbetween.generation.generate import make_clip
from gen_inbetween.generation.settings import Settings
from gen_inbetween.interpolation.registry import INTERPOLATORS
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame, load_image
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.hashing import image_sha256

log = logging.getLogger("gen_inbetween")


def replay(
    path: str | os.PathLike[str],
    *,
    frame0: Frame | None = None,
    frame1: Frame | None = None,
    interpolator: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Clip:
    """Make a clip of `inbetween` or of `flow.interpolate_pair` again from its manifest.

    Args:
        path: the JSON file beside a clip.
        frame0, frame1: the keyframes, where they are no longer at the paths the manifest names or never were files.
        interpolator: of a clip by flow, where its file of weights is now; it must be the same file.

    Returns:
        The clip; `clip.manifest["replay"]` says whether it is that of the first run, bit for bit: "latents_equal", or
        of a clip by flow, which has no latents, "frames_equal". Other package versions or another device may change
        them; other versions are said in the log.

    Raises:
        ManifestError: no manifest, one of something else than these clips, keyframes that are missing or have changed,
            or other weights.
    """
    made = manifests.read(path)
    what = compared(made, path)
    for difference in manifests.version_drift(made):
        log.warning("made with another version: %s", difference)
    settings = settings_of(made, path, interpolator)
    frames = tuple(
        _again(name, made["frames"][name], frame, settings) for name, frame in (("frame0", frame0), ("frame1", frame1))
    )
    sources, opened = (frames[0][0], frames[1][0]), (frames[0][1], frames[1][1])
    clip = make_clip(sources, opened, settings, progress, expected=made)
    same = clip.manifest[f"{what}_sha256"] == made[f"{what}_sha256"]
    clip.manifest["replay"] = {"of": str(path), f"{what}_equal": same}
    clip.manifest["settings"]["fps"] = clip.fps = made["settings"]["fps"]
    return clip


def compared(made: dict[str, Any], path: str | os.PathLike[str]) -> str:
    """What of this manifest's clip is held against the new one's: its "latents", or its "frames" where flow made it.

    ManifestError: the manifest is of another kind of work, or has no hash of either.
    """
    method = made.get("settings", {}).get("method")
    what = "frames" if method == FLOW else "latents"
    if method not in (*METHODS, FLOW):
        raise manifests.ManifestError(
            f"{path}: made by {method or 'another command'}; replay makes clips of `inbetween run` and `inbetween "
            "batch` again, and of flow.interpolate_pair: run the other command again"
        )
    if f"{what}_sha256" not in made:
        raise manifests.ManifestError(f"{path}: no hash of the clip's {what} in it, so nothing to compare them with")
    return what


def settings_of(made: dict[str, Any], path: str | os.PathLike[str], interpolator: Any) -> Settings:
    """The settings of a manifest. `interpolate_pair` writes few, and any rate, which for flow is but a label.

    ManifestError: weights that the manifest knows by the name of their file alone.
    """
    settings = dict(made["settings"])
    if settings["method"] == FLOW:
        named = settings.get("interpolator") or made["interpolator"]["name"]
        if interpolator is None and named not in INTERPOLATORS and not Path(named).exists():
            raise manifests.ManifestError(
                f"the weights {named} are not here: say where they are (interpolator=, or --interpolator FILE)"
            )
        settings |= {"interpolator": str(interpolator or named), "fps": Settings.fps}
    elif interpolator is not None:
        raise manifests.ManifestError(f"{path}: made by {settings['method']}, which has no interpolator: leave it away")
    return from_mapping(Settings, settings, where=str(path))


def _again(name: str, made: dict[str, Any], given: Frame | None, settings: Settings) -> tuple[Frame, Image.Image]:
    """A keyframe of an earlier run, opened, and held against the hash of what was used then."""
    known = made.get("path")
    if given is None and known is None:
        raise manifests.ManifestError(
            f"{name} was given in memory, not as a file: pass it again ({name}=, or --{name} FILE)"
        )
    frame: Frame = str(known) if given is None else given
    if given is None and not Path(str(known)).is_file():
        raise manifests.ManifestError(f"{name} is no longer at {frame}: say where it is ({name}=, or --{name} FILE)")
    image = load_image(frame, background=settings.background)
    if image_sha256(image) != made["sha256"]:
        raise manifests.ManifestError(f"{name} has changed since: {frame} is not the picture the clip was made from")
    return frame, image
