"""Published picture networks of more than one room, and their weights' files."""
