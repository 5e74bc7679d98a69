"""Memory of a run: predicted, and made to fit."""
