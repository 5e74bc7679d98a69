"""What is raised of videos that cannot be read or written."""

from __future__ import annotations


class VideoError(ValueError):
    """A video cannot be read or written as asked; the message names the file."""
