"""Batches beyond one folder: lists and clips in object stores, rows spread over a Ray cluster."""
