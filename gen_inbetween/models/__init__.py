"""Named models and their configurations."""
