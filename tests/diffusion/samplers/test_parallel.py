"""One clip on two and on four processes: the clip of one process, each process its own part of the UNet's work."""

from __future__ import annotations

import multiprocessing

import pytest
import torch
import torch.distributed as dist
from cases import picture

from gen_inbetween.diffusion.samplers.parallel import Ranks


def sample(pipe, method, options):
    return pipe(
        picture(1),
        picture(2),
        method=method,
        num_inference_steps=2,
        **options,
        output_type="latent",
        generator=torch.Generator().manual_seed(0),
    )


def work(rank, size, build, method, options, folder):
    """What each process does; forked, so that it need not import torch again."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    pipe = build(motion="full", dtype=torch.float64)
    pipe.ranks = Ranks.current()
    clips = []
    pipe.unet.register_forward_pre_hook(lambda module, arguments: clips.append(len(arguments[0])))
    out = sample(pipe, method, options)
    torch.save((out.latents, out.unet_passes, sum(clips)), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.parametrize(
    ("method", "size", "options"),
    [("gi", 2, {}), ("gi", 2, {"guidance_max_sigma": 50.0}), ("trf", 4, {}), ("vibid", 2, {})],
)
def test_several_processes_make_the_clip_of_one(tiny_pipe, tmp_path, method, size, options):
    alone = sample(tiny_pipe(motion="full", dtype=torch.float64), method, options)
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=work, args=(rank, size, tiny_pipe, method, options, tmp_path)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    for rank in range(size):
        latents, passes, clips = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(latents, alone.latents, rtol=0, atol=1e-9)
        assert passes == alone.unet_passes
        if not options:  # a step without guidance has one half, which every process computes
            assert passes == size * clips


def test_parts_and_ranks():
    assert Ranks(1, 4).split([0, 1], 2, separable=False) == [(0, [0, 1]), (1, [0, 1])]
    assert Ranks(1, 3).split([0, 1], 2, separable=True) == [(0, [0, 1]), (1, [0, 1])]
    assert Ranks.current() is None
    for rank, size in ((0, 1), (2, 2), (-1, 2)):
        with pytest.raises(ValueError, match="two processes or more"):
            Ranks(rank, size)
