"""Decoding of latents into frames, and its modes."""
