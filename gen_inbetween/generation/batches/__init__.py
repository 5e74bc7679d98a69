"""Batches beyond one folder: object stores, and rows over a Ray cluster."""
