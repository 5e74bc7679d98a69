"""Evaluation reports: tables, plots, statistics."""
