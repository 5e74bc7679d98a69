"""Weights of interpolators: files, detection, conversion."""
