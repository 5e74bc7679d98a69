"""Measurements of interpolators: by gap, speed, memory."""
