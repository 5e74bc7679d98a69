"""Training of the backward motion."""
