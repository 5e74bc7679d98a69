"""Generative inbetweening with Stable Video Diffusion: three ideas, a pipeline, samplers."""

from __future__ import annotations

from gen_inbetween.runtime.messages import silence_torchvision_notice

silence_torchvision_notice()  # here, before any module of this room imports diffusers, and that transformers
