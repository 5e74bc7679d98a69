"""Several seeds: each judged by its faults, the best kept with all that was found, and made again from its manifest."""

from __future__ import annotations

import numpy as np
import pytest
from cases import picture
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.generation.best_of import APART, WEIGHTS, Candidate, apart, badness, judge, scored
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.replay import replay
from gen_inbetween.interpolation.faults.faults import find_faults

SIZE = (32, 32)


@pytest.fixture
def keyframes(tmp_path):
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for seed, path in enumerate(paths):
        picture(seed, SIZE).save(path)
    return paths


def test_the_best_seed_is_kept_and_all_are_written_down(tiny_folder, keyframes, tmp_path):
    settings = {"model": tiny_folder, "method": "trf", "num_inference_steps": 1, "progress": False}
    clip = inbetween(*keyframes, **settings, seed=5, best_of=3)
    record = clip.manifest["best_of"]
    candidates = record["candidates"]
    assert [each["seed"] for each in candidates] == [5, 6, 7] and len(clip.others) == 2
    best = min(candidates, key=lambda each: each["score"])
    assert record["kept"] == best["seed"] == clip.manifest["settings"]["seed"]
    assert set(best["faults"]) == set(WEIGHTS)
    assert best["badness"] == pytest.approx(badness(best["faults"]), abs=1e-5)
    assert best["score"] == pytest.approx(best["badness"] + APART * best["apart"], abs=1e-5) and best["apart"] > 0
    alone = inbetween(*keyframes, **settings, seed=best["seed"])
    assert alone.manifest["latents_sha256"] == clip.manifest["latents_sha256"] and not alone.others
    clip.save(tmp_path / "clip.png")
    again = replay(tmp_path / "clip.png.inbetween.json", progress=False)
    assert again.manifest["replay"]["latents_equal"] and len(again.others) == 0
    seeds = {other.manifest["settings"]["seed"] for other in clip.others}
    assert seeds == {5, 6, 7} - {best["seed"]}


def test_faults_are_seen_where_they_are():
    true = make_clip(3, kind="car", num_objects=1, speed=2.0).frames
    ends = true[0], true[-1]
    crossfade = np.stack([(true[0] * (1 - t) + true[-1] * t) for t in np.linspace(0, 1, len(true))]).astype(np.uint8)
    back = np.concatenate([true[::2], true[::-2]])[: len(true)]
    rng = np.random.default_rng(0)
    trembling = np.clip(true + rng.normal(0, 12, (len(true), 1, 1, 1)), 0, 255).astype(np.uint8)
    frozen = np.repeat(true[:1], len(true), 0)
    frozen[-1] = true[-1]
    good = find_faults(true, ends)
    assert find_faults(crossfade, ends)["ghosting"] > good["ghosting"] + 0.1
    assert find_faults(back, (true[0], true[0]))["bounce"] > good["bounce"] + 0.3
    assert find_faults(trembling, ends)["flicker"] > good["flicker"] + 5
    assert find_faults(frozen, ends)["freeze"] > 0.8 and good["freeze"] == 0
    assert find_faults(true, (true[-1], true[0]))["endpoint_error"] > 1 > good["endpoint_error"]
    worse = [badness(find_faults(each, ends)) for each in (crossfade, back, trembling, frozen)]
    assert badness(good) < min(worse)


def test_a_fault_that_does_not_apply_is_null_and_costs_nothing():
    still = [Image.new("RGB", SIZE, (90, 90, 90))] * 6
    candidate = judge(still, (still[0], still[-1]), seed=1, unet_passes=4)
    assert candidate.faults["bounce"] is None and candidate.faults["freeze"] is None
    assert candidate.badness == pytest.approx(badness(candidate.faults))


def test_of_seeds_with_the_same_faults_the_one_that_agrees_with_the_others_is_best():
    greys = 100, 104, 130  # the second is the nearest to both
    clips = [[Image.new("RGB", (128, 96), (grey,) * 3)] * 4 for grey in greys]
    assert apart(clips) == pytest.approx([17, 15, 28])
    assert apart(clips[:1]) == [None]
    found = [scored(Candidate(seed, {}, 1.0, 8), far) for seed, far in enumerate(apart(clips))]
    assert min(found, key=lambda each: each.score).seed == 1 and found[1].score == pytest.approx(1 + 15 * APART)
    assert scored(Candidate(0, {}, 1.0, 8), None).score == 1


def test_frames_are_compared_at_one_size_whatever_theirs():
    rng = np.random.default_rng(0)
    small = [[Image.fromarray(rng.integers(0, 256, (64, 80, 3), np.uint8))] for _ in range(2)]
    large = [[frame.resize((320, 256), Image.Resampling.NEAREST) for frame in clip] for clip in small]
    assert apart(large) == pytest.approx(apart(small))


def test_seeds_end_where_those_of_a_generator_do(tiny_folder, keyframes):
    with pytest.raises(ValueError, match="the largest is 9223372036854775807: begin with a smaller one"):
        inbetween(*keyframes, model=tiny_folder, method="trf", progress=False, seed=2**63 - 2, best_of=3)


@pytest.mark.parametrize("given", [{"best_of": 0}, {"best_of": 2, "callback_on_step_end": print}])
def test_what_cannot_be_is_refused(tiny_folder, keyframes, given):
    with pytest.raises(ValueError, match="best_of"):
        inbetween(*keyframes, model=tiny_folder, method="trf", num_inference_steps=1, progress=False, **given)


def test_a_hopeless_seed_is_broken_off_halfway(tiny_folder, keyframes, monkeypatch, tmp_path):
    settings = {"model": tiny_folder, "method": "trf", "num_inference_steps": 4, "renoise_steps": 0, "progress": False}
    looks = iter([5.0, 3.0, 4.0, 6.0, 9.0])  # seed 5: halfway, end; seed 6: halfway, end; seed 7: halfway
    monkeypatch.setattr("gen_inbetween.generation.best_of.badness", lambda faults: next(looks))
    clip = inbetween(*keyframes, **settings, seed=5, best_of=3, stop_hopeless=True)
    found = clip.manifest["best_of"]
    assert [(each["halfway"], each["badness"]) for each in found["candidates"]] == [(5.0, 3.0), (4.0, 6.0), (9.0, None)]
    assert [each["unet_passes"] for each in found["candidates"]] == [16, 16, 8]
    assert found["kept"] == 5 and [other.manifest["settings"]["seed"] for other in clip.others] == [6]
    assert "interrupted" not in clip.manifest and "callback" not in clip.manifest
    alone = inbetween(*keyframes, **settings, seed=5)
    assert alone.manifest["latents_sha256"] == clip.manifest["latents_sha256"]
    clip.save(tmp_path / "clip.png")
    assert replay(tmp_path / "clip.png", progress=False).manifest["replay"]["latents_equal"]


def test_a_good_seed_is_held_against_the_best_so_far(tiny_folder, keyframes, monkeypatch):
    settings = {"model": tiny_folder, "method": "trf", "num_inference_steps": 2, "renoise_steps": 0, "progress": False}
    looks = iter([5.0, 300.0, 4.0, 2.0, 4.5])  # seed 1 wins, and seed 2 is held against its 4.0
    monkeypatch.setattr("gen_inbetween.generation.best_of.badness", lambda faults: next(looks))
    clip = inbetween(*keyframes, **settings, best_of=3, stop_hopeless=True)
    assert clip.manifest["best_of"]["kept"] == 1
    assert [each["badness"] for each in clip.manifest["best_of"]["candidates"]] == [300.0, 2.0, None]


def test_stopping_is_for_several_seeds(tiny_folder, keyframes):
    with pytest.raises(ValueError, match="say best_of too"):
        inbetween(*keyframes, model=tiny_folder, method="trf", stop_hopeless=True, progress=False)
