"""Evaluation reports: statistics, tables, plots, pictures, HTML."""
