"""Masks by SAM, a tiny one of random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    SamConfig,
    SamImageProcessor,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

from gen_inbetween.interpolation.editing.masks import MaskError
from gen_inbetween.interpolation.editing.sam import masks_from_sam
from gen_inbetween.runtime.hub import ModelError


def picture(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Noisy grass with a red disc of two shades and a blue square: uint8 (H, W, 3), and their masks (2, H, W)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] * (120 / height)
    disc, square = np.hypot(x - 45, y - 60) < 22, (abs(x - 115) < 16) & (abs(y - 50) < 16)
    colours = np.full((height, width, 3), (70, 110, 60), float)
    colours[disc] = (200, 40, 40)
    colours[disc & (y < 55)] = (160, 20, 60)
    colours[square] = (40, 60, 200)
    return (colours + rng.normal(0, 8, colours.shape)).clip(0, 255).astype(np.uint8), np.stack([disc, square])


@pytest.fixture(scope="module")
def sam_folder(tmp_path_factory):
    """A random SAM of 22 thousand parameters for pictures of 64 pixels."""
    torch.manual_seed(0)
    vision = SamVisionConfig(
        hidden_size=16,
        output_channels=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=8,
        mlp_dim=32,
        window_size=4,
        global_attn_indexes=[1],
        num_pos_feats=8,
    )
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=64, patch_size=8, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(
        hidden_size=16, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16, iou_head_depth=2
    )
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    folder = tmp_path_factory.mktemp("sam")
    SamModel(config).save_pretrained(folder)
    sides, small = {"height": 64, "width": 64}, {"height": 16, "width": 16}
    processor = SamImageProcessor(
        size={"longest_edge": 64}, mask_size={"longest_edge": 16}, pad_size=sides, mask_pad_size=small
    )
    SamProcessor(processor).save_pretrained(folder)
    return folder


def asked_at_once(folder, image, **prompts):
    """What SAM says in one pass over picture and prompts, of the object's masks the one it thinks best."""
    processor = SamProcessor.from_pretrained(folder)
    inputs = processor(image, return_tensors="pt", **prompts)
    inputs = {name: value.float() if value.dtype == torch.float64 else value for name, value in inputs.items()}
    with torch.no_grad():
        said = SamModel.from_pretrained(folder)(**inputs)
    masks = processor.post_process_masks(said.pred_masks, inputs["original_sizes"], inputs["reshaped_input_sizes"])
    return masks[0][0][int(said.iou_scores[0, 0].argmax())].numpy()


def test_sam_is_asked_for_each_object_in_pixels_of_the_picture(sam_folder):
    image, _ = picture()
    found = masks_from_sam(image, [(45, 60), [(115, 50), (110, 45)]], negative=[(5, 5)], model=sam_folder)
    assert found.shape == (2, 120, 160) and found.dtype == bool
    one = asked_at_once(sam_folder, image, input_points=[[[[45, 60], [5, 5]]]], input_labels=[[[1, 0]]])
    two = asked_at_once(sam_folder, image, input_points=[[[[115, 50], [110, 45], [5, 5]]]], input_labels=[[[1, 1, 0]]])
    assert (found[0] == one).all() and (found[1] == two).all() and (one != two).any()
    boxed = masks_from_sam(image, boxes=[(20, 30, 70, 90)], model=sam_folder)
    assert (boxed[0] == asked_at_once(sam_folder, image, input_boxes=[[[20.0, 30.0, 70.0, 90.0]]])).all()


def test_sam_without_weights_says_what_to_get_and_where_to_put_it(monkeypatch, tmp_path, sam_folder):
    image, _ = picture()
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="hf download facebook/sam-vit-base.*masks_from_clicks"):
        masks_from_sam(image, [(45, 60)], model="nobody/has-this-sam")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty holds no SAM"):
        masks_from_sam(image, [(45, 60)], model=tmp_path / "empty")
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(sam_folder.parent))
    assert masks_from_sam(image, [(45, 60)], model=f"somebody/{sam_folder.name}").any()


def test_prompts_that_cannot_be():
    image, _ = picture()
    with pytest.raises(MaskError, match="expected points or boxes"):
        masks_from_sam(image)
    with pytest.raises(MaskError, match="as many points as boxes"):
        masks_from_sam(image, [(45, 60), (5, 5)], boxes=[(20, 30, 70, 90)])
    with pytest.raises(MaskError, match="within 160x120 pixels"):
        masks_from_sam(image, boxes=[(70, 30, 20, 90)])
    with pytest.raises(MaskError, match="point .* is outside"):
        masks_from_sam(image, [(45, 600)])
