"""Two keyframes in, the clip between them out, as a diffusers pipeline."""

from __future__ import annotations

from diffusers import StableVideoDiffusionPipeline


class InbetweenPipeline(StableVideoDiffusionPipeline):
    """Generative inbetweening on Stable Video Diffusion."""
