"""The service as a client sees it: clips, events, cancelling, limits; over a real connection."""

from __future__ import annotations

import json
import socket
import struct
import time
import zlib
from functools import partial
from urllib.parse import urlsplit

import pytest
from cases import picture

pytest.importorskip("fastapi")
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from service_cases import LONG, NEAREST, ask, events_of, listening, pair, png, wait_for

from gen_inbetween.app.service.settings import ServiceSettings, check_clip_size, read_clip_settings
from gen_inbetween.media.clip import Clip
from gen_inbetween.runtime.hashing import image_sha256


@pytest.fixture(scope="module")
def service(tmp_path_factory, tiny_folder):
    folder = tmp_path_factory.mktemp("service")
    settings = {"models": ("pocket-2", str(tiny_folder)), "queue": 2, "max_steps": 1000, "max_mb": 1, "workers": 1}
    with listening(folder / "jobs", **settings) as client:
        yield client


@pytest.fixture
def long(tiny_folder):
    return {"model": str(tiny_folder), **LONG}


def test_two_pictures_become_a_clip_with_its_manifest(service, tmp_path):
    answer = service.post(
        "/v1/jobs", files=pair(3), data={"settings": json.dumps(NEAREST | {"interpolator": "blend"}), "ending": "webp"}
    )
    job = answer.json()
    assert answer.status_code == 202 and answer.headers["location"].endswith(f"/v1/jobs/{job['id']}")
    assert [event["state"] for event in events_of(service, job)][-1] == "done"
    clip = service.get(f"/v1/jobs/{job['id']}/clip")
    assert clip.headers["content-type"] == "image/webp"
    (tmp_path / "clip.webp").write_bytes(clip.content)
    opened = Clip.open(tmp_path / "clip.webp")
    assert len(opened) == 5 and opened.size == (48, 32)
    manifest = service.get(f"/v1/jobs/{job['id']}/manifest").json()
    assert manifest["interpolator"]["name"] == "blend"
    assert manifest["frames"]["frame0"] == {"path": None, "sha256": image_sha256(picture(3))}  # no folder of ours
    assert opened.manifest["frames_sha256"] == manifest["frames_sha256"]


def test_events_count_the_steps_of_a_model(service, tiny_folder):
    settings = {"model": str(tiny_folder), "method": "svd", "num_inference_steps": 4, "width": 48, "height": 32}
    events = events_of(service, ask(service, settings))
    assert (events[-1]["state"], events[-1]["step"], events[-1]["steps"]) == ("done", 4, 4)
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)


def test_a_running_job_is_cancelled_within_a_step_and_the_next_one_is_made(service, long):
    job, after = ask(service, long), ask(service)
    wait_for(service, job, "running")
    while not service.get(f"/v1/jobs/{job['id']}").json()["step"]:
        time.sleep(0.02)
    asked = service.delete(f"/v1/jobs/{job['id']}").json()
    ended = wait_for(service, job, "cancelled")
    assert 0 < ended["step"] <= asked["step"] + 1 < 1000
    assert service.get(f"/v1/jobs/{job['id']}/clip").status_code == 410
    assert wait_for(service, after, "done", "failed")["error"] is None
    assert service.delete(f"/v1/jobs/{after['id']}").json()["state"] == "done"  # too late: it stays


def test_a_full_queue_refuses_and_cancelled_jobs_make_room(service, long):
    running = ask(service, long)
    wait_for(service, running, "running")
    waiting = [ask(service), ask(service, seed=5)]
    refused = service.post("/v1/jobs", files=pair(), data={"settings": json.dumps(NEAREST)})
    assert refused.status_code == 503 and refused.headers["retry-after"]
    assert service.get("/health").json() == {"ok": True, "queued": 2, "running": 1}
    assert service.delete(f"/v1/jobs/{waiting[0]['id']}").json()["state"] == "cancelled"
    again = ask(service)
    service.delete(f"/v1/jobs/{running['id']}")
    assert wait_for(service, again, "done", "failed")["state"] == "done"


BAD = {
    "a word for a picture": ({"frame0": ("a.png", b"hello")}, {}, 422, "frame0: expected a whole PNG"),
    "half a picture": ({"frame0": ("a.png", png(0)[:-200])}, {}, 422, "frame0: expected a whole PNG"),
    "no second": ({"frame1": None}, {}, 422, "expected a file frame1 or an address frame1_url, neither"),
    "both": ({}, {"frame0_url": "https://x.org/a.png"}, 422, "not both"),
    "a stranger's host": ({"frame0": None}, {"frame0_url": "https://x.org/a.png"}, 422, "not an origin"),
    "no JSON": ({}, {"settings": "{"}, 422, "not JSON"),
    "a list": ({}, {"settings": "[]"}, 422, "settings: expected an object, got list"),
    "a setting twice": ({}, {"settings": '{"seed": 3, "seed": 4}'}, 422, "settings: it says 'seed' a second time"),
    "nesting": ({}, {"settings": "[" * 100_000}, 422, "not JSON"),
    "a misspelling": ({}, {"settings": '{"sede": 3}'}, 422, "did you mean 'seed'"),
    "a range": ({}, {"settings": '{"seed": -3}'}, 422, "seed"),
    "a file of ours": ({}, {"settings": '{"still": "/etc/passwd"}'}, 422, "set by whoever runs the service"),
    "a path as a model": ({}, {"settings": '{"model": "/etc"}'}, 422, "expected model as one of pocket-2"),
    "a path as weights": ({}, {"settings": '{"interpolator": "/etc/passwd"}'}, 422, "expected interpolator"),
    "steps": ({}, {"settings": '{"num_inference_steps": 5000}'}, 422, "at most 1000"),
    "repeats": ({}, {"settings": '{"method": "trf", "renoise_steps": 1000000000}'}, 422, "renoise_steps as a"),
    "frames": ({}, {"settings": '{"method": "interpolate", "num_frames": 900000}'}, 422, "megapixels"),
    "digits": ({}, {"settings": '{"num_frames": 1%s}' % ("0" * 400)}, 422, "less than"),
    "sides": ({}, {"settings": '{"method": "interpolate", "width": 16000}'}, 422, "megapixels"),
    "an ending": ({}, {"ending": "../x"}, 422, "expected ending as one of"),
    "too large": ({"frame0": ("a.png", bytes(2_000_000))}, {}, 413, "at most 1 MB"),
    "a file without a name": ({"frame0": ("", png(0))}, {}, 422, "frame0: expected a file with a name, got text\"}"),
    "a setting beside settings": ({}, {"seed": "3"}, 422, "'seed' is no field of this form; it belongs into settings"),
    "a third picture": ({"frame2": ("c.png", png(2))}, {}, 422, "'frame2' is no field of this form; it has frame0"),
    "settings twice": ({}, {"settings": ["{}", '{"seed": 3}']}, 422, "settings is there 2 times"),
    "a picture of a few pixels": ({"frame0": ("a.png", png(0, (8, 8)))}, {}, 422, "at least 16 x 16 pixels, got 8 x 8"),
    "weights that are not here": (
        {}, {"settings": '{"method": "interpolate", "interpolator": "film"}'}, 422,
        '{"detail":"interpolator film: its weights are not on this service"}',
    ),
    "half of a pair of settings": ({}, {"settings": '{"stop_hopeless": true}'}, 422, "say best_of too"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_is_refused_in_a_sentence(service, case, monkeypatch, tmp_path):
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    files, data, status, words = BAD[case]
    sent = {name: content for name, content in {**pair(), **files}.items() if content is not None}
    answer = service.post("/v1/jobs", files=sent, data={"settings": json.dumps(NEAREST), **data})
    assert answer.status_code == status and words in answer.text
    assert "gen_inbetween/" not in answer.text


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(service):
    content = png(0)
    header = b"IHDR" + struct.pack(">II", 9000, 9000) + content[24:29]
    large = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    answer = service.post("/v1/jobs", files={**pair(), "frame0": ("a.png", large)})
    assert answer.status_code == 422 and "9000x9000" in answer.text


def test_pictures_beyond_any_limit_or_with_long_texts(service):
    def with_chunk(kind, data, content, at):
        chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        return content[:at] + chunk + content[at:]

    content = png(0)
    bomb = with_chunk(b"IHDR", struct.pack(">II", 60000, 60000) + content[24:29], content[:8] + content[33:], 8)
    answer = service.post("/v1/jobs", files={**pair(), "frame0": ("a.png", bomb)})
    assert (answer.status_code, answer.json()["detail"]) == (422, "frame0 has more than 40 million pixels")
    told = with_chunk(b"zTXt", b"history\0\0" + zlib.compress(bytes(3_000_000)), content, 33)  # as Photoshop writes
    data = {"settings": json.dumps(NEAREST)}
    job = service.post("/v1/jobs", files={**pair(), "frame0": ("a.png", told)}, data=data).json()
    assert wait_for(service, job, "done", "failed")["state"] == "done"


def test_pictures_for_a_model_may_be_larger_than_its_clip():
    service = ServiceSettings(models=("svd-xt", "auto"), max_clip_megapixels=1)
    read = partial(read_clip_settings, service=service)
    photo = (4000, 3000)
    check_clip_size(read({}), photo, service)  # 25 frames of 1024 x 576
    check_clip_size(read({"method": "auto"}), photo, service)
    for values in ({"method": "interpolate"}, {"width": 4000}):
        with pytest.raises(ValueError, match="25 frames of 4000x3000 are 300 megapixels"):
            check_clip_size(read(values), photo, service)


def test_ranges_and_heads_of_a_clip(service):
    job = ask(service)
    wait_for(service, job, "done")
    where = f"/v1/jobs/{job['id']}/clip"
    whole = service.get(where)
    head = service.head(where)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole.content)))
    part = service.get(where, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, whole.content[4:8])
    for said in ("lines=1-2", "bytes=7-4", "bytes=x", "bytes=0-1,4-5"):  # passed over: no range, or one too many
        answer = service.get(where, headers={"Range": said})
        assert (answer.status_code, answer.content) == (200, whole.content), said
    for said in (f"bytes={len(whole.content)}-", "bytes=-0"):
        answer = service.get(where, headers={"Range": said})
        assert answer.status_code == 416 and answer.headers["content-range"] == f"bytes */{len(whole.content)}"
        assert answer.json() == {"detail": f"the file has {len(whole.content)} bytes"}


def test_a_clip_that_overflows_says_what_to_do(service, tiny_folder):
    settings = {"model": str(tiny_folder), "method": "svd", "num_inference_steps": 1, "noise_aug_strength": 1e38}
    failed = wait_for(service, ask(service, settings | {"width": 48, "height": 32}), "done", "failed")
    assert failed["state"] == "failed" and "clip is not finite" in failed["error"]


def test_a_folder_that_cannot_be_tidied_ends_no_service(tmp_path, monkeypatch):
    looks = []

    def expire(self, before):
        looks.append(before)
        raise FileNotFoundError("somebody else deleted it")

    monkeypatch.setattr("gen_inbetween.app.service.jobs.JobFolder.expire", expire)
    with listening(tmp_path / "jobs") as client:
        assert looks and client.get("/health").json()["ok"]


@pytest.mark.parametrize("job", ["0" * 32, "..", "%2e%2e%2f", "A" * 32, "x"])
def test_ids_that_are_none(service, job):
    assert service.get(f"/v1/jobs/{job}/clip").status_code == 404


def test_a_failed_job_says_why(service):
    job = ask(service, {"model": "pocket-2", "method": "gi", "num_frames": 3, "width": 48, "height": 33})
    failed = wait_for(service, job, "done", "failed")
    assert failed["state"] == "failed" and "multiple of 32" in failed["error"]
    assert service.get(f"/v1/jobs/{job['id']}/manifest").status_code == 410


def test_pages_of_other_sites_are_refused(service):
    assert service.post("/v1/jobs", files=pair(), headers={"Origin": "https://evil.example"}).status_code == 403
    assert service.get("/health", headers={"Origin": "http://["}).status_code == 403  # no address at all
    own = f"http://127.0.0.1:{service.base_url.port}"
    assert service.get("/health", headers={"Origin": own}).status_code == 200


def test_a_body_without_a_length_is_counted(service):
    answer = service.post("/v1/jobs", content=(bytes(100_000) for _ in range(20)), headers={"Content-Type": "x/y"})
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    begin = b'--b\r\nContent-Disposition: form-data; name="frame0"; filename="a"\r\n\r\n'
    pieces = [begin, *[bytes(100_000)] * 20]
    assert answer.status_code in (413, 422)
    assert service.post("/v1/jobs", content=iter(pieces), headers=head).status_code == 413


def test_metrics_and_the_page_of_the_interface(service):
    families = {family.name: family for family in text_string_to_metric_families(service.get("/metrics").text)}
    ended = {s.labels["state"]: s.value for s in families["inbetween_jobs_finished"].samples if "state" in s.labels}
    assert ended["done"] >= 1 and families["inbetween_jobs_queued"].samples[0].value == 0
    routes = {sample.labels["route"] for sample in families["inbetween_request_seconds"].samples if sample.labels}
    assert "/v1/jobs/{job_id}" in routes and not any(len(route) > 40 for route in routes)
    interface = service.get("/openapi.json").json()
    assert set(interface["paths"]["/v1/jobs/{job_id}"]) == {"get", "delete"}
    assert "swagger" in service.get("/docs").text


def test_methods_that_somebody_makes_up_are_counted_together(service):
    assert {service.request(f"GUESS{number}", "/health").status_code for number in range(3)} == {405}
    said = service.get("/metrics").text
    assert 'method="other",route="/health"' in said and "GUESS" not in said


def test_answers_are_as_the_interface_says(service):
    interface = service.get("/openapi.json").json()
    job = ask(service)
    wait_for(service, job, "done")
    form = {"settings": json.dumps(NEAREST)}
    for method, path, sent, status in (
        ("post", "/v1/jobs", {"files": pair(), "data": form}, 202),
        ("post", "/v1/jobs", {"files": {"frame0": pair()["frame0"]}, "data": form}, 422),
        ("post", "/v1/jobs", {"data": {"frame0": "no file"}}, 422),
        ("post", "/v1/jobs", {"content": b"[]", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ("get", "/v1/jobs/{job_id}", {}, 200),
        ("delete", "/v1/jobs/{job_id}", {}, 200),
        ("get", "/v1/jobs/{job_id}/clip", {}, 200),
        ("get", "/v1/jobs/{job_id}/clip", {"headers": {"Range": "bytes=0-3"}}, 206),
        ("get", "/v1/jobs/{job_id}/clip", {"headers": {"Range": "bytes=9999999-"}}, 416),
        ("get", "/v1/jobs/{job_id}/events", {}, 200),
        ("get", "/health", {}, 200),
        ("get", "/metrics", {}, 200),
    ):
        answer = service.request(method, path.replace("{job_id}", job["id"]), **sent)
        said = interface["paths"][path][method]["responses"][str(status)]["content"]
        kind = answer.headers["content-type"].partition(";")[0]
        assert answer.status_code == status and kind in said, (method, path)
        if kind == "application/json":
            schema = {**said[kind]["schema"], "components": interface["components"]}
            assert list(Draft202012Validator(schema).iter_errors(answer.json())) == []
    assert service.options("/v1/jobs/0").headers["allow"] == "DELETE, GET"
    assert "security" not in interface["paths"]["/v1/jobs"]["post"]


def test_a_token_is_asked_for_where_there_is_one(tmp_path):
    with listening(tmp_path / "jobs", token="secret") as client:
        assert client.post("/v1/jobs", files=pair()).status_code == 401
        assert client.get("/openapi.json").json()["paths"]["/v1/jobs"]["post"]["security"]
        client.headers["Authorization"] = "Bearer secret"
        job = ask(client)
        assert wait_for(client, job, "done", "failed")["state"] == "done"
        client.headers["Authorization"] = "Bearer wrong"
        assert client.get(f"/v1/jobs/{job['id']}/clip").status_code == 401


def test_what_takes_too_long_ends(tmp_path, long, tiny_folder):
    with listening(
        tmp_path / "jobs", models=(str(tiny_folder),), max_steps=1000, timeout=1, request_timeout=1
    ) as client:
        failed = wait_for(client, ask(client, long), "failed", "done")
        assert failed["state"] == "failed" and "longer than the 1 s" in failed["error"]
        where = urlsplit(str(client.base_url))
        with socket.create_connection((where.hostname, where.port), timeout=10) as slow:
            slow.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n")
            slow.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b")
            assert b"408" in slow.recv(1000)
