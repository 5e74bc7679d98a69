"""A training step on SVD's UNet at full size, on tensors that hold nothing: every dtype and shape, with gradients."""

from __future__ import annotations

import torch
import training_memory
from diffusers import UNetSpatioTemporalConditionModel
from rehearsal import place, training_clip
from torch._subclasses.fake_tensor import FakeTensorMode

from gen_inbetween.diffusion.motion import FullUpdate, add_backward_motion
from gen_inbetween.memory.cross_attention import install_constant_cross_attention
from gen_inbetween.memory.footprint import build
from gen_inbetween.models.configs import SVD_XT
from gen_inbetween.training.loss import backward_motion_loss
from gen_inbetween.training.settings import Optimizer
from gen_inbetween.training.setup import open_optimizer


def test_a_step_of_training():
    """14 frames of 512x320, bfloat16, recomputed activations, AdamW on the update in float32."""
    half = training_memory.HALF
    unet = build(UNetSpatioTemporalConditionModel, SVD_XT.unet, half)
    with torch.device("meta"):
        add_backward_motion(unet)
    install_constant_cross_attention(unet)
    training_memory.KEPT["ours"](unet.train())
    with FakeTensorMode():
        place(unet, "cpu", half)
        for module in unet.modules():
            if isinstance(module, FullUpdate):
                place(module, "cpu", torch.float32)
        learning = [weight for weight in unet.parameters() if weight.requires_grad]
        optimizer, schedule = open_optimizer(learning, Optimizer(), torch.device("cpu"))
        clip, keyframes = training_clip("cpu", half)
        with training_memory.Autocast():
            loss = backward_motion_loss(unet, clip, keyframes, torch.ones(1))
        loss.backward()
        assert loss.dtype == torch.float32 and len(learning) == 32
        assert all(weight.grad.dtype == torch.float32 and weight.grad.shape == weight.shape for weight in learning)
        optimizer.step()
        schedule.step()
