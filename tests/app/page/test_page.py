"""The page as a server: what it gives out and what not; no browser."""

from __future__ import annotations

import http.client
import re
from pathlib import Path

import httpx
import pytest
from page_cases import pair_of_pictures, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(folder):
    with served(folder, max_mb=1) as where:
        yield where


def status_of_path(address, path):
    """The status of a request whose path goes over the wire as it is written, dots and all."""
    host, _, port = address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", path)
    return connection.getresponse().status


def test_the_browser_is_told_to_fetch_nothing_from_elsewhere(address):
    policy = httpx.get(address, timeout=60).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "http" not in policy


def test_the_page_names_no_other_host_to_fetch_from(address):
    text = httpx.get(address, timeout=180).text
    fetched = re.findall(r'(?:src|href)="(https?://[^"]+)"', text)
    assert [url for url in fetched if not url.startswith(address)] == []


@pytest.mark.parametrize("path", ["/etc/passwd", "pyproject.toml", __file__])
def test_only_its_own_files_are_served(address, path):
    assert httpx.get(f"{address}/gradio_api/file={path}", timeout=180).status_code in (403, 404)


@pytest.mark.parametrize(
    "path",
    [
        "{files}/../.inbetween-folder.json",
        "{files}/../../page.txt",
        "{files}/%2e%2e/.inbetween-folder.json",
        "{files}/..%2f.inbetween-folder.json",
        "{files}/link.txt",
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "file:///etc/passwd",
        "/proc/self/environ",
    ],
)
def test_no_way_leads_out_of_the_folder(address, folder, path):
    (folder.parent / "page.txt").write_text("secret")
    link = folder / "files" / "link.txt"
    if not link.is_symlink():
        link.symlink_to(folder.parent / "page.txt")
    for route in ("file=", "file/"):
        where = f"/gradio_api/{route}{path.format(files=folder / 'files')}"
        assert status_of_path(address, where) in (400, 403, 404, 405), where


@pytest.mark.parametrize("route", ["proxy=http://127.0.0.1:1/", "stream/a/b/c/playlist.m3u8", "monitoring"])
def test_nothing_else_of_gradio_gives_anything_out(address, route):
    assert status_of_path(address, f"/gradio_api/{route}") >= 400


@pytest.mark.parametrize(
    "path", ["/static/..%2f..%2froutes.py", "/assets/..%2f..%2f..%2froutes.py", "/static/../../routes.py"]
)
def test_the_parts_of_gradio_itself_stay_where_they_are(address, path):
    assert status_of_path(address, path) >= 400


def test_an_upload_lands_in_the_folder_whatever_it_is_called(address, folder):
    files = {"files": ("../../../escaped.png", b"0")}
    (path,) = httpx.post(f"{address}/gradio_api/upload", files=files, timeout=60).json()
    assert Path(path).resolve().is_relative_to(folder / "files")


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


def test_a_proxy_of_the_network_is_not_asked_for_the_page(tmp_path, monkeypatch):
    """It ended in "localhost is not accessible, a shareable link must be created", as on a machine that is busy."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    with served(tmp_path / "page") as address:
        assert httpx.get(address, timeout=180, trust_env=False).status_code == 200


def test_a_password_keeps_strangers_out(tmp_path):
    with served(tmp_path / "page", auth=("ann", "secret")) as address:
        assert httpx.get(f"{address}/config", timeout=180).status_code == 401
        assert httpx.post(f"{address}/gradio_api/upload", files={"files": b"0"}, timeout=180).status_code == 401
