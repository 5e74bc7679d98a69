"""Outputs, codecs, and how they are written."""
