"""Generative inbetweening with Stable Video Diffusion: three ideas, a pipeline, samplers."""
