"""Videos at another rate or pace."""
