"""Evaluation: frozen lists of pairs, methods, metrics, statistics and reports."""
