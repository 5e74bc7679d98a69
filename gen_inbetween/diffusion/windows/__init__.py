"""Long clips by overlapping windows: their layout, and their denoiser."""
