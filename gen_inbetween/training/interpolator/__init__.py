"""Training of interpolators."""
