"""Evaluation of masks: clicks with their true masks, and masks that follow things."""
