"""Clips made again from their manifests, and compared bit for bit."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.generation.earlier import EarlierClip
from gen_inbetween.generation.generate import Own, generate_clip
from gen_inbetween.generation.settings import DEFAULTS, Settings, settings_of_manifest
from gen_inbetween.generation.timeline.keyframe import Keyframe
from gen_inbetween.interpolation.registry import INTERPOLATORS
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import Frame
from gen_inbetween.runtime import manifest as manifests
from gen_inbetween.runtime.config import from_mapping
from gen_inbetween.runtime.manifest import ManifestError
from gen_inbetween.runtime.trust.limits import shorten

if TYPE_CHECKING:
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline
    from gen_inbetween.interpolation.editing.masks import Mask

log = logging.getLogger("gen_inbetween")


def replay(
    path: str | os.PathLike[str],
    *,
    frame0: Frame | None = None,
    frame1: Frame | None = None,
    keyframes: Sequence[Frame] | None = None,
    still: Mask | None = None,
    draft: Clip | Sequence[Frame] | str | os.PathLike[str] | None = None,
    interpolator: str | os.PathLike[str] | None = None,
    pipeline: InbetweenPipeline | None = None,
    progress: bool = True,
) -> Clip:
    """Make a clip of `inbetween` or of `interpolate_pair` again from its manifest.

    Args:
        path: a clip, which has its manifest inside (a file, or a folder of frames), or the JSON file beside it.
        frame0, frame1: the keyframes, where they are no longer at the paths the manifest names or never were files.
        keyframes: all of them, in order, of a clip through several. still, draft: where they are now, in the same case.
        interpolator: of an interpolated clip, where its file of weights is now; it must be the same file.
        pipeline: of a clip that was made with a pipeline of the caller's own, that pipeline.

    Returns:
        The clip; `clip.manifest["replay"]` says whether it is that of the first run, bit for bit: "latents_equal", or
        of an interpolated clip, which has no latents, "frames_equal". Other package versions or another device may
        change them; other versions are said in the log.

    Raises:
        ManifestError: no manifest, one of something else than these clips, keyframes that are missing or have changed,
            or other weights.
    """
    manifest = manifests.read(path)
    earlier = EarlierClip(str(path), manifest)
    earlier.check()
    for difference in manifests.version_drift(manifest):  # said first: a later version has settings of its own
        log.warning("made with another version: %s", difference)
    settings = settings_of(earlier, interpolator, pipeline)
    names = earlier.keyframes
    if keyframes is not None and len(keyframes) != len(names):
        raise ManifestError(f"expected {len(names)} keyframes, as the clip was made from, got {len(keyframes)}")
    moved: dict[str, Any] = {"frame0": frame0, "frame1": frame1} | dict(zip(names, keyframes or (), strict=False))
    sources = [
        Keyframe(
            earlier.find_keyframe(name, moved.get(name)),
            manifest["frames"][name].get("position"),
            manifest["frames"][name].get("strength", 1.0),
        )
        for name in names
    ]
    for name, other in (("still", still), ("draft", draft)):
        if other is not None and name not in manifest["frames"]:
            raise ManifestError(f"{path}: made without a {name} of its own: leave it away")
    own = Own(
        pipeline,
        still=earlier.find_keyframe("still", still) if "still" in manifest["frames"] else None,
        draft=earlier.find_keyframe("draft", draft) if "draft" in manifest["frames"] else None,
    )
    return generate_clip(sources, None, settings, own=own, progress=progress, earlier=earlier)


def settings_of(
    earlier: EarlierClip, interpolator: str | os.PathLike[str] | None, pipeline: InbetweenPipeline | None
) -> Settings:
    """The settings of an earlier clip.

    ManifestError: weights that the manifest knows by the name of their file alone, or that were given in memory; a
        callback or an interruption, which the settings know nothing of.
    """
    interpolated = earlier.compared == "frames"
    earlier.check()
    settings = settings_of_manifest(earlier.manifest) | {"fps": DEFAULTS["fps"] if interpolated else earlier.fps}
    settings |= {"still": None} | ({} if settings.get("draft") == INTERPOLATE else {"draft": None})  # found by path
    if interpolated:
        name = settings.get("interpolator") or earlier.manifest["interpolator"]["name"]
        if interpolator is None and name not in INTERPOLATORS and not os.path.exists(name):
            raise ManifestError(
                f"the weights {shorten(name, 300)} are not here: say where they are (interpolator=, or "
                "--interpolator FILE)"
            )
        return from_mapping(Settings, {**settings, "interpolator": str(interpolator or name)}, where=earlier.path)
    if interpolator is not None:
        raise ManifestError(f"{earlier.path}: made by {settings['method']}, which has no interpolator: leave it away")
    unheard = {"callback": "a callback of the caller's own was at work", "interrupted": "it was broken off"}
    for part, what in unheard.items():
        if earlier.manifest.get(part):
            raise ManifestError(f"{earlier.path}: {what}, so the settings alone do not make this clip again")
    if settings.get("seed") is None:
        raise ManifestError(f"{earlier.path}: its noise was drawn by a generator that was given, which is gone")
    if earlier.manifest["model"]["sha256"] is None:
        if pipeline is None:
            raise ManifestError(f"{earlier.path}: made with a pipeline that was given: pass it again (pipeline=)")
        settings |= {name: DEFAULTS[name] for name in ("model", "motion", "device", "dtype")}
    return from_mapping(Settings, settings, where=earlier.path)
