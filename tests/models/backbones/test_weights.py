"""Weights' files: where they are looked for, that nothing else is taken for them, and what is said without them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gen_inbetween.evaluation.metrics import open_metric
from gen_inbetween.evaluation.metrics.backbones import inception
from gen_inbetween.models.backbones import weights
from gen_inbetween.models.backbones.weights import MissingWeights, WeightsFile
from gen_inbetween.runtime.hashing import file_sha256


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No weights on this machine and no network; the folder that a download would go to."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "own"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "own"


def made_up_file(content: bytes, path: Path, **changes: str) -> WeightsFile:
    path.write_bytes(content)
    file = WeightsFile(
        "A net", ("net.pth", "other-name.pth"), "http://127.0.0.1:9/net.pth", file_sha256(path), 1, "fd_x"
    )
    path.unlink()
    return replace(file, **changes)


def test_weights_are_looked_for_in_order(nowhere, tmp_path):
    file = made_up_file(b"weights", tmp_path / "made")
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    for folder, name in ((hub, "other-name.pth"), (nowhere, "net.pth"), (tmp_path, "given.pth")):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"weights")
    assert file.resolve(tmp_path / "given.pth") == tmp_path / "given.pth"
    assert file.resolve() == nowhere / "net.pth"
    (nowhere / "net.pth").unlink()
    assert file.resolve() == hub / "other-name.pth"


def test_missing_weights_say_what_to_put_where(nowhere, tmp_path):
    with pytest.raises(MissingWeights) as caught:
        open_metric("fid_inception[inner,299]")
    message = str(caught.value)
    assert message.startswith("fid_inception[inner,299]: FID's InceptionV3 needs the file pt_inception-2015-12-05")
    for part in (
        inception.FILE.sha256,
        inception.FILE.url,
        str(nowhere),
        "HF_HUB_OFFLINE",
        "fd_efficientnet_lite0[inner",
    ):
        assert part in message
    for name, instead in (
        ("fvd_i3d[all,224]", "fd_clip_efficientnet_lite0[all,224]"),
        ("fvd_videomae[all,224]", "fd_clip_dinov2s[all,224]"),
        ("lpips_vgg[inner]", "pd_efficientnet_lite0[inner]"),
    ):
        with pytest.raises(MissingWeights, match="sha256") as caught:
            open_metric(name)
        assert instead in str(caught.value)
    with pytest.raises(MissingWeights, match="there is no file .*absent.pth"):
        inception.FILE.resolve(tmp_path / "absent.pth")


def test_another_content_is_refused(nowhere, tmp_path):
    (tmp_path / "cut.pth").write_bytes(b"<html>404</html>")
    with pytest.raises(MissingWeights, match="is another file .16 bytes, sha256 "):
        inception.FILE.resolve(tmp_path / "cut.pth")


@pytest.fixture
def host() -> Iterator[tuple[str, dict[str, bytes]]]:
    """An HTTP server on this machine: its address, and what it serves by path."""
    served: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", served
    server.shutdown()
    server.server_close()


def test_a_download_is_kept_only_if_it_is_the_file(nowhere, tmp_path, monkeypatch, host):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    address, served = host
    file = made_up_file(b"weights", tmp_path / "made", url=f"{address}/net.pth")
    with pytest.raises(MissingWeights, match="404"):
        file.resolve()
    served["/net.pth"] = b"<html>please log in</html>"
    with pytest.raises(MissingWeights, match="the address gave another file: invalid hash value"):
        file.resolve()
    assert list(nowhere.glob("*")) == []
    served["/net.pth"] = b"weights"
    assert file.resolve().read_bytes() == b"weights" and file.resolve() == nowhere / "net.pth"
    served.clear()
    assert file.resolve() == nowhere / "net.pth"  # asks nobody again


def test_a_host_out_of_reach_is_said(nowhere, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(MissingWeights, match="fetching it failed: .*refused"):
        made_up_file(b"weights", tmp_path / "made").resolve()
