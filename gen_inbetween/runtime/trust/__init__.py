"""Files from strangers: what they may hold, checked first."""
