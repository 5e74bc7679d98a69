"""Generative inbetweening: two keyframes in, a natural video between them out.

    clip = gen_inbetween.inbetween("first.png", "last.png", seed=3)
    clip.save("clip.mp4")

Rooms, each importing only those before it:

    runtime        configuration, files, hashes, manifests, the hub, devices; knows nothing of pictures
    media          images, videos and animations, read and written
    diffusion      the three ideas (attention, motion, fusion), the pipeline and the samplers
    data           clips to train on and to measure with
    models         the named models, and the bundled `pocket-2`
    interpolation  frames by optical flow: interpolators, retiming, motion editing
    stylize        painted keyframes, learnt and spread over a film
    memory         what a run needs, and how it is made to fit
    generation     `inbetween()`: from two keyframes to a clip and its manifest
    training       of the backward motion, and of interpolators
    evaluation     lists of pairs, metrics, reports
    app            the page in a browser, and the service over HTTP
    cli            the `inbetween` command
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import lazy_loader

if TYPE_CHECKING:
    from gen_inbetween.diffusion.checkpoints import load_motion, save_motion
    from gen_inbetween.diffusion.methods import METHODS
    from gen_inbetween.diffusion.motion_files import MissingMotionError, MotionError
    from gen_inbetween.diffusion.options import SamplerOptions
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline
    from gen_inbetween.generation.generate import inbetween
    from gen_inbetween.generation.joins import bridge, loop, retake
    from gen_inbetween.generation.replay import replay
    from gen_inbetween.generation.settings import Settings
    from gen_inbetween.generation.timeline.keyframe import Keyframe
    from gen_inbetween.interpolation.interpolator import InterpolatorError
    from gen_inbetween.media.clip import Clip
    from gen_inbetween.media.image import FrameError
    from gen_inbetween.media.source import VideoError
    from gen_inbetween.memory.options import MemoryOptions
    from gen_inbetween.memory.plan import plan
    from gen_inbetween.models.loading import open_pipeline
    from gen_inbetween.models.registry import MODELS
    from gen_inbetween.runtime.config import ConfigError
    from gen_inbetween.runtime.files import OutputError
    from gen_inbetween.runtime.hub import ModelError
    from gen_inbetween.runtime.manifest import ManifestError

__all__ = [
    "METHODS",
    "MODELS",
    "Clip",
    "ConfigError",
    "FrameError",
    "InbetweenPipeline",
    "InterpolatorError",
    "Keyframe",
    "ManifestError",
    "MemoryOptions",
    "MissingMotionError",
    "ModelError",
    "MotionError",
    "OutputError",
    "SamplerOptions",
    "Settings",
    "VideoError",
    "bridge",
    "inbetween",
    "load_motion",
    "loop",
    "open_pipeline",
    "plan",
    "replay",
    "retake",
    "save_motion",
]

# Imported when first asked for (PEP 562): torch and diffusers take seconds, which `inbetween --help` should not.
_load, _, _ = lazy_loader.attach(
    __name__,
    submodules={"interpolation"},
    submod_attrs={
        "diffusion.checkpoints": ["load_motion", "save_motion"],
        "diffusion.methods": ["METHODS"],
        "diffusion.motion_files": ["MissingMotionError", "MotionError"],
        "diffusion.options": ["SamplerOptions"],
        "diffusion.pipeline": ["InbetweenPipeline"],
        "generation.generate": ["inbetween"],
        "generation.joins": ["bridge", "loop", "retake"],
        "generation.replay": ["replay"],
        "generation.settings": ["Settings"],
        "generation.timeline.keyframe": ["Keyframe"],
        "interpolation.interpolator": ["InterpolatorError"],
        "media.clip": ["Clip"],
        "media.image": ["FrameError"],
        "media.source": ["VideoError"],
        "memory.options": ["MemoryOptions"],
        "memory.plan": ["plan"],
        "models.loading": ["open_pipeline"],
        "models.registry": ["MODELS"],
        "runtime.config": ["ConfigError"],
        "runtime.files": ["OutputError"],
        "runtime.hub": ["ModelError"],
        "runtime.manifest": ["ManifestError"],
    },
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    return _load(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__", "interpolation"])
