"""DIS: its flow, its frames, one estimate for a pair."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from interpolation_cases import clip_tensor, psnr

from gen_inbetween.interpolation import carried_interpolator, load_interpolator
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.warping import warp


def test_classical_flow_beats_the_blend_on_moving_things():
    dis, blend = load_interpolator("dis"), load_interpolator("blend")
    gains = []
    for seed in range(8):
        clip, _ = clip_tensor(seed)
        pair = clip[:1], clip[4:]
        for k in (1, 2):
            truth = clip[k : k + 1]
            gains.append(psnr(dis(*pair, k / 4), truth) - psnr(blend(*pair, k / 4), truth))
    assert np.mean(gains) > 3  # measured: 4.0 dB, and all of them gain
    assert np.mean([gain > 0 for gain in gains]) >= 0.8


def test_classical_flow_is_near_the_exact_one():
    clip, flow = clip_tensor(1)
    moving = flow[0].norm(dim=0) > 0.5
    found = dis_flow(clip[:1], clip[1:2])[0]
    error = (found - flow[0]).norm(dim=0)[moving].median()
    assert float(error) < 0.5 < float(flow[0].norm(dim=0)[moving].median())


def test_classical_flow_gives_the_frames_at_the_ends_and_is_symmetric_in_time():
    clip, _ = clip_tensor(3)
    a, b = clip[:1], clip[2:3]
    dis = load_interpolator("dis")
    assert psnr(dis(a, b, 0.0), a) > 60 and psnr(dis(a, b, 1.0), b) > 60
    assert psnr(dis(a, b, 0.3), dis(b, a, 0.7)) > 40
    flows = dis.flows(a, b, 0.3)
    merged = flows.mask * warp(a, flows.to0) + (1 - flows.mask) * warp(b, flows.to1)
    torch.testing.assert_close(dis(a, b, 0.3), merged.clamp(0, 1))


def test_classical_flow_is_estimated_once_for_a_pair(monkeypatch):
    clip, _ = clip_tensor(3)
    calls = []
    monkeypatch.setattr(carried_interpolator, "dis_flow", lambda *given: calls.append(1) or dis_flow(*given))
    dis = load_interpolator("dis")
    pair = dis.pair(clip[:1], clip[2:3])
    together = [pair.at(t) for t in (0.2, 0.5, 0.8)]
    assert len(calls) == 2
    assert all(torch.equal(frame, dis(pair.a, pair.b, t)) for frame, t in zip(together, (0.2, 0.5, 0.8), strict=True))


def test_each_pixel_may_have_its_own_time():
    clip, _ = clip_tensor(1)
    a, b = clip[:1], clip[4:]
    halves = torch.zeros(1, 1, 64, 64)
    halves[..., 32:] = 1.0
    dis = load_interpolator("dis")
    mixed = dis(a, b, halves)
    assert psnr(mixed[..., :24], a[..., :24]) > 40 and psnr(mixed[..., 40:], b[..., 40:]) > 40


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ImportError, match="pip install opencv-python-headless"):
        load_interpolator("dis")
