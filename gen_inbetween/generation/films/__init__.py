"""Generated frames of films."""
