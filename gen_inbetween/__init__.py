"""Generative inbetweening: two keyframes in, a natural video between them out."""
