"""The nodes, a file per kind, and what they share."""
