"""Weights of interpolators: recognised, converted, opened."""
