"""Motion editing: each object along its own curve."""
