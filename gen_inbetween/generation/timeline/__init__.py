"""Keyframes and their places, what is kept, where a clip starts."""
