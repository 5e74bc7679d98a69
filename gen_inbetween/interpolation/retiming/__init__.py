"""Retiming of clips and videos."""
