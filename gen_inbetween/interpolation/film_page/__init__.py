"""HTML report of one film."""
