"""The main path as a generator: its steps, its previews, the clip of any other run, and how it is stopped."""

from __future__ import annotations

import threading

import pytest
from cases import picture

from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.stream import Progress, stream

FRAMES = picture(1, (32, 32)), picture(2, (32, 32))


@pytest.fixture
def settings(tiny_pipe):
    return {"pipeline": tiny_pipe(motion="full"), "num_inference_steps": 4, "renoise_steps": 0, "seed": 3}


def streams():
    return [thread for thread in threading.enumerate() if thread.name == "inbetween"]


def test_steps_previews_and_the_clip(settings):
    events = list(stream(*FRAMES, preview_every=3, **settings))
    assert [(event.step, event.steps) for event in events] == [(1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]
    assert [event.preview is not None for event in events] == [False, False, True, True, False]
    assert events[2].preview.size == (6 * 16, 16)  # frames of the latents' size, side by side
    clip = inbetween(*FRAMES, progress=False, **settings)
    assert events[-1].clip.manifest["latents_sha256"] == clip.manifest["latents_sha256"]
    assert "callback" not in events[-1].clip.manifest and [event.clip for event in events[:-1]] == [None] * 4
    assert not streams()


def test_closing_it_stops_the_run(settings):
    events = stream(*FRAMES, preview_every=0, **settings | {"num_inference_steps": 50})
    assert next(events) == Progress(1, 50)
    events.close()
    assert not streams()
    clip = inbetween(*FRAMES, progress=False, **settings)  # the pipeline is whole
    assert clip.manifest["unet_passes"] == 16


def test_leaving_the_loop_stops_it_too(settings):
    for event in stream(*FRAMES, **settings | {"num_inference_steps": 50}):
        if event.step == 2:
            break
    del event
    import gc

    gc.collect()
    assert not streams()


def test_errors_come_out_where_they_belong(settings):
    with pytest.raises(ValueError, match="preview_every as a whole number"):
        stream(*FRAMES, preview_every=-1)
    with pytest.raises(TypeError, match="makes use of the callback itself"):
        stream(*FRAMES, callback_on_step_end=print)
    events = stream(*FRAMES, **settings | {"width": 33})
    with pytest.raises(ValueError, match="width 33"):
        next(events)
    assert not streams()


def test_an_interpolated_clip_counts_its_frames_and_stops_at_one():
    settings = {"method": "interpolate", "interpolator": "blend"}
    events = list(stream(*FRAMES, num_frames=4, **settings))
    assert [(event.step, event.steps, event.preview) for event in events] == [(1, 2, None), (2, 2, None), (2, 2, None)]
    assert len(events[-1].clip) == 4
    many = stream(*FRAMES, num_frames=100_000, **settings)
    assert next(many).step == 1
    many.close()
    assert not streams()


@pytest.mark.parametrize("hopeless", [False, True])
def test_several_seeds_are_counted_as_one_run(settings, hopeless, monkeypatch):
    looks = iter([5.0, 3.0, 9.0] if hopeless else [3.0, 5.0])  # the second seed is broken off halfway, or made
    monkeypatch.setattr("gen_inbetween.generation.best_of.badness", lambda faults: next(looks))
    events = list(stream(*FRAMES, preview_every=4, best_of=2, stop_hopeless=hopeless, **settings))
    done = [1, 2, 3, 4, 5, 6] + [7, 8] * (not hopeless)
    assert [event.step for event in events] == [*done, done[-1]] and {event.steps for event in events} == {8}
    assert [event.preview is not None for event in events[:4]] == [False, False, False, True]
    made = events[-1].clip.manifest
    assert made["best_of"]["kept"] == made["settings"]["seed"] == 3 and "callback" not in made
    alone = inbetween(*FRAMES, progress=False, **settings)
    assert alone.manifest["latents_sha256"] == made["latents_sha256"]
