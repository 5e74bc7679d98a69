"""Rows of a list of pairs: columns, files they name, states."""

from __future__ import annotations

import os
import posixpath
from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np

from gen_inbetween.diffusion.options import INTERPOLATE
from gen_inbetween.runtime.lists import Row
from gen_inbetween.runtime.remote.stores import key_of, local_or_address

OWN_KEYS = ("frame0", "frame1", "keyframes", "out")
COLUMNS, INSTEAD = ("frame0", "frame1"), ("keyframes",)  # by one of them the header of a CSV is known
FILES = ("still", "draft")  # settings that name files, relative to the list as keyframes are
PICTURES = (*COLUMNS, *FILES)
MADE, SKIPPED, FAILED = "made", "skipped", "failed"


class Overlap:
    """Looks for outputs of a list that are pictures of it, or folders of frames that hold another of its outputs.

    64 bits of each name are kept, and no file is looked at.
    """

    def __init__(self, pairs: str, out: str) -> None:
        address = local_or_address(pairs)[1]
        self.pairs, self.out = pairs, local_or_address(out)[1] or out
        self.folder = os.path.dirname(pairs) if address is None else address.rpartition("/")[0]
        self.read, self.written, self.folders = array("Q"), array("Q"), array("Q")
        self._last = ""  # the folder whose own are noted: most rows write into one

    def add(self, row: Row) -> None:
        """Note what one row names; the list itself is read, too."""
        if isinstance(row, str):
            return
        self.read.extend(int(key_of(full_name(name, self.folder))) for name in names_in(row) if name != INTERPOLATE)
        if isinstance(row.get("out"), str):
            place = full_name(row["out"], self.out)
            self.written.append(int(key_of(place)))
            if self._last != (folder := posixpath.dirname(place)):
                self._last = folder
                while folder != posixpath.dirname(folder):
                    self.folders.append(int(key_of(folder)))
                    folder = posixpath.dirname(folder)

    def check(self) -> None:
        """ValueError: there are such outputs; no row is made then."""
        if count := len(np.intersect1d(np.asarray(self.written), np.asarray(self.folders))):
            raise ValueError(
                f"{self.pairs}: {count} of its outputs would be folders that other outputs stand inside of; a folder "
                "is replaced as a whole when its clip is made again: name other outputs"
            )
        if count := len(np.intersect1d(np.asarray(self.read), np.asarray(self.written))):
            raise ValueError(
                f"{self.pairs}: {count} of its outputs would replace pictures that its rows are made from: name other "
                "outputs, or another folder for them"
            )


def full_name(name: str, folder: str) -> str:
    """A name in a folder as one path or address; links are not followed.

    >>> full_name("./b/../a.png", "s3://bucket/in"), full_name("s3://bucket/in/a.png", "/home/ann")
    ('s3://bucket/in/a.png', 's3://bucket/in/a.png')
    """
    address = local_or_address(name)[1]
    if address is None and local_or_address(folder)[1] is None:
        return os.path.abspath(os.path.join(folder, name))
    scheme, _, place = (address or f"{folder}/{name}").partition("://")
    return f"{scheme}://{posixpath.normpath(place)}"


def names_in(row: Mapping[str, Any]) -> list[str]:
    """What a row names as files."""
    entries = row["keyframes"] if isinstance(row.get("keyframes"), list) else ()
    listed = [entry.get("image") if isinstance(entry, dict) else entry for entry in entries]
    return [name for name in [*(row.get(key) for key in PICTURES), *listed] if isinstance(name, str)]
