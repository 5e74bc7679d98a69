"""Generative inbetweening: two keyframes in, a natural video between them out.

Rooms, each importing only those before it:

    runtime        configuration, files, hashes, manifests, the hub, devices; knows nothing of pictures
    media          images, videos and animations, read and written
    diffusion      the three ideas (attention, motion, fusion), the pipeline and the samplers
    data           clips to train on and to measure with
    models         the named models, and the bundled `pocket`
    interpolation  frames by optical flow: interpolators, retiming, motion editing
    memory         what a run needs, and how it is made to fit
    generation     `inbetween()`: from two keyframes to a clip and its manifest
    training       of the backward motion, and of interpolators
    evaluation     lists of pairs, metrics, reports
    cli            the `inbetween` command
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from gen_inbetween.diffusion.checkpoints import load_motion, save_motion
    from gen_inbetween.diffusion.pipeline import InbetweenPipeline
    from gen_inbetween.generation.generate import inbetween
    from gen_inbetween.generation.replay import replay
    from gen_inbetween.media.clip import Clip

__all__ = ["Clip", "InbetweenPipeline", "inbetween", "load_motion", "replay", "save_motion"]

# Imported when first asked for (PEP 562): torch and diffusers take seconds, which `inbetween --help` should not.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules={"interpolation"},
    submod_attrs={
        "diffusion.checkpoints": ["load_motion", "save_motion"],
        "diffusion.pipeline": ["InbetweenPipeline"],
        "generation.generate": ["inbetween"],
        "generation.replay": ["replay"],
        "media.clip": ["Clip"],
    },
)
