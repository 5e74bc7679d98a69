"""Networks of the interpolators."""
