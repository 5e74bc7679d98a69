"""Measurements of interpolators: quality by gap, limits, speed, memory."""
