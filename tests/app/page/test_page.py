"""The page as a server: what it gives out and what not; no browser."""

from __future__ import annotations

import re

import httpx
import pytest
from page_cases import pair_of_pictures, served


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with served(tmp_path_factory.mktemp("page"), max_mb=1) as where:
        yield where


def test_the_page_names_no_other_host_to_fetch_from(address):
    text = httpx.get(address, timeout=180).text
    fetched = re.findall(r'(?:src|href)="(https?://[^"]+)"', text)
    assert [url for url in fetched if not url.startswith(address)] == []


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", __file__])
def test_only_its_own_files_are_served(address, path):
    assert httpx.get(f"{address}/gradio_api/file={path}", timeout=180).status_code in (403, 404)


def test_an_upload_has_a_limit(address):
    answer = httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.png", b"0" * 2_000_000)}, timeout=180)
    assert answer.status_code == 413


def test_a_path_that_was_not_uploaded_is_not_opened(address, tmp_path):
    """A hand-made request that names a file of the machine, in the place of an upload."""
    secret = pair_of_pictures(tmp_path)[0]
    config = httpx.get(f"{address}/config", timeout=180).json()
    run = next(each for each in config["dependencies"] if each["api_name"] == "run")
    data = [{"path": str(secret), "meta": {"_type": "gradio.FileData"}}] * 2 + [None] * (len(run["inputs"]) - 2)
    body = {"fn_index": run["id"], "session_hash": "stranger", "data": data}
    assert httpx.post(f"{address}/gradio_api/queue/join", json=body, timeout=180).status_code == 200
    with httpx.stream("GET", f"{address}/gradio_api/queue/data?session_hash=stranger", timeout=180) as events:
        last = next(line for line in events.iter_lines() if "process_completed" in line)
    assert '"success":false' in last.replace(" ", "")


def test_a_password_keeps_strangers_out(tmp_path):
    with served(tmp_path / "page", auth=("ann", "secret")) as address:
        assert httpx.get(f"{address}/config", timeout=180).status_code == 401
        assert httpx.post(f"{address}/gradio_api/upload", files={"files": b"0"}, timeout=180).status_code == 401
