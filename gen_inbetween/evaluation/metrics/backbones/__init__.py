"""Pretrained feature extractors of the metrics."""
