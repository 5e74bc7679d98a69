"""Runs side by side in one process: threads and tasks that share a model get what each gets alone."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from cases import fused, make_case, picture
from interpolation_cases import frames, network_interpolator

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.diffusion.motion import set_direction, sole_use
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.sample import shared_by
from gen_inbetween.interpolation import load_interpolator
from gen_inbetween.models.loading import close_pipelines, open_pipeline

RUNS = [
    {"method": method, "seed": seed, "num_inference_steps": 1, "num_frames": 4}
    for method, seed in (("gi", 0), ("trf", 1), ("svd", 0), ("gi", 1))
]


@pytest.fixture(scope="module")
def alone(tiny_pipe, tiny_folder, tmp_path_factory):
    """(how to make a run's clip, the clips made one after the other)."""
    motion = tmp_path_factory.mktemp("motion") / "motion.safetensors"
    save_motion(tiny_pipe(motion="full").unet, motion, {"base_model": "tiny"})

    def make(run):
        clip = inbetween(picture(1), picture(2), model=tiny_folder, motion=motion, progress=False, **run)
        return clip.manifest["latents_sha256"], clip.manifest["unet_passes"], [frame.tobytes() for frame in clip]

    return make, [make(run) for run in RUNS]


def test_threads_that_share_a_pipeline_make_the_clips_that_each_makes_alone(alone):
    make, wanted = alone
    with ThreadPoolExecutor(len(RUNS)) as threads:
        assert list(threads.map(make, RUNS)) == wanted


def test_tasks_that_share_a_pipeline_make_the_clips_that_each_makes_alone(alone):
    make, wanted = alone

    async def together():
        return await asyncio.gather(*(asyncio.to_thread(make, run) for run in RUNS[:2]))

    assert asyncio.run(together()) == wanted[:2]


def test_passes_of_two_tasks_in_turn_are_those_of_each_alone(tiny_pipe):
    """Two runs on one UNet, step about, in one thread: forward and fused motion do not mix."""
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    x, keyframes = make_case(5)
    sigmas = torch.tensor([9.0, 3.0, 1.0], dtype=torch.float64)

    async def walk(rotate):
        clip, denoise = x, fused(unet, keyframes, "linear", rotate=rotate)
        for sigma in sigmas:
            clip = denoise(clip, sigma).guided
            await asyncio.sleep(0)
        return clip

    async def side_by_side():
        return await asyncio.gather(walk(True), walk(False))

    with torch.no_grad():
        wanted = [asyncio.run(walk(rotate)) for rotate in (True, False)]
        assert all(map(torch.equal, asyncio.run(side_by_side()), wanted))


def test_a_motion_is_not_changed_under_a_run(tiny_pipe, tmp_path):
    pipe = tiny_pipe(motion="full")
    save_motion(pipe.unet, tmp_path / "other.safetensors", {"base_model": "tiny"})
    scales, threads = [], []

    def change(pipe, step, timestep, tensors):
        if not threads:
            threads.append(threading.Thread(target=setattr, args=(pipe, "motion_scale", 0.0)))
            threads[0].start()
            threads[0].join(0.05)
        scales.append(pipe.motion_scale)
        return tensors

    pipe(picture(1), picture(2), num_inference_steps=2, renoise_steps=0, callback_on_step_end=change)
    threads[0].join(10)
    assert (scales, pipe.motion_scale) == ([1.0, 1.0], 0.0)


def test_threads_open_a_model_once(tiny_folder):
    close_pipelines()
    with ThreadPoolExecutor(3) as threads:
        pipes = list(threads.map(lambda _: open_pipeline(tiny_folder, device="cpu"), range(3)))
    assert pipes[0] is pipes[1] is pipes[2]


@pytest.mark.parametrize("name", ["dis-splat", "dis", "tiny-di", 1, 5])
def test_threads_that_share_an_interpolator_or_a_pair_get_the_frames_that_each_gets_alone(name):
    """The pairs keep what their times share; nothing of one pair may reach another, or be seen half-made."""
    interpolator = load_interpolator(name, device="cpu") if isinstance(name, str) else network_interpolator(name)
    pictures = frames(4, height=32, width=48)
    pairs = list(zip(pictures, pictures[1:], strict=False))
    times = (0.25, 0.5, 0.75)
    wanted = [[interpolator.pair(*pair).at(t) for t in times] for pair in pairs]
    with ThreadPoolExecutor(6) as threads:
        apart = list(threads.map(lambda pair: [interpolator(*pair, t) for t in times], pairs))
        shared = [interpolator.pair(*pair) for pair in pairs for _ in range(2)]
        jobs = [[threads.submit(pair.at, t) for t in times] for pair in shared]
        together = [[job.result() for job in row] for row in jobs]
    for rows, expected in ((apart, wanted), (together, [row for row in wanted for _ in range(2)])):
        assert all(torch.equal(*each) for row in zip(rows, expected, strict=True) for each in zip(*row, strict=True))


def test_a_direction_left_by_another_is_not_taken_over(tiny_pipe):
    """The training sets a direction for longer than a pass; a denoiser states its own at each."""
    unet = tiny_pipe(motion="full", dtype=torch.float64).unet
    x, keyframes = make_case(5)
    denoise = fused(unet, keyframes)
    with torch.no_grad():
        wanted = denoise(x, torch.tensor(3.0, dtype=torch.float64)).guided
        set_direction(unet, "forward", keep_attention=True)
        assert torch.equal(denoise(x, torch.tensor(3.0, dtype=torch.float64)).guided, wanted)


def test_processes_that_share_one_run_share_no_other_of_its_pipeline(tiny_pipe):
    pipe = tiny_pipe()
    seen, threads = [], []

    def look():
        with sole_use(pipe.unet), shared_by(pipe, None):
            seen.append(pipe.ranks)

    with sole_use(pipe.unet), shared_by(pipe, ranks := object()):
        threads.append(threading.Thread(target=look))
        threads[0].start()
        assert pipe.ranks is ranks and not seen
    threads[0].join()
    assert seen == [None] and pipe.ranks is None
