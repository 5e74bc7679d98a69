"""Modes of the decoder, importable without torch."""

from __future__ import annotations

from typing import Literal

DecodeMode = Literal["streamed", "all", "chunked", "preview"]
DEFAULT_CHUNK_SIZE = 8  # frames decoded at once in "chunked"; about a third of the memory of SVD-XT's 25
