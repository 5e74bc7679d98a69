"""Masks by SAM, a tiny one of random weights."""

from __future__ import annotations

import pytest
import torch
from click_cases import picture
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
from gen_inbetween.interpolation.editing.sam import find_sam, masks_from_sam
from gen_inbetween.runtime.hub import ModelError


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


@pytest.fixture(scope="module")
def sam2_folder(tmp_path_factory):
    """A random SAM 2 for pictures of 64 pixels."""
    pytest.importorskip("transformers", minversion="4.56")
    from transformers import (
        Sam2Config,
        Sam2HieraDetConfig,
        Sam2MaskDecoderConfig,
        Sam2Model,
        Sam2PromptEncoderConfig,
        Sam2VisionConfig,
    )

    torch.manual_seed(0)
    backbone = Sam2HieraDetConfig(
        hidden_size=8, image_size=[64, 64], blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1], window_size_per_stage=[4, 4, 4, 4], global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    vision = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8], fpn_hidden_size=16,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    prompt = Sam2PromptEncoderConfig(hidden_size=16, image_size=64, patch_size=16, mask_input_channels=4)
    decoder = Sam2MaskDecoderConfig(
        hidden_size=16, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16, iou_head_depth=2
    )
    folder = tmp_path_factory.mktemp("sam2")
    config = Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    Sam2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 64, "width": 64}}')
    return folder


def test_sam_2_is_told_by_its_configuration(sam2_folder):
    from transformers import Sam2Model

    image, _ = picture()
    found = masks_from_sam(image, [(45, 60), [(115, 50), (110, 45)]], negative=[(5, 5)], model=sam2_folder)
    boxed = masks_from_sam(image, boxes=[(20, 30, 70, 90)], model=sam2_folder)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255.0
    pixels = torch.nn.functional.interpolate(pixels, (64, 64), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    sam, pixels = Sam2Model.from_pretrained(sam2_folder), (pixels - mean) / std
    points = torch.tensor([[[[45 * 64 / 160, 60 * 64 / 120], [5 * 64 / 160, 5 * 64 / 120]]]])
    boxes = torch.tensor([[[20 * 0.4, 30 * 64 / 120, 70 * 0.4, 90 * 64 / 120]]])
    prompts = ({"input_points": points, "input_labels": torch.tensor([[[1, 0]]])}, {"input_boxes": boxes})
    for mask, prompt in zip((found[0], boxed[0]), prompts, strict=True):
        with torch.no_grad():
            said = sam(pixel_values=pixels, **prompt)
        best = said.pred_masks[0, :, int(said.iou_scores[0, 0].argmax())][None]
        assert (mask == (torch.nn.functional.interpolate(best, (120, 160), mode="bilinear") > 0)[0, 0].numpy()).all()
    assert found.shape == (2, 120, 160) and found.dtype == bool


def test_the_first_sam_that_is_here_is_taken_where_none_is_named(monkeypatch, tmp_path, sam_folder):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(tmp_path))
    with pytest.raises(ModelError, match="none of sam2.1-hiera-small, .* is on this machine"):
        find_sam()
    (tmp_path / "sam-vit-base").symlink_to(sam_folder)
    assert find_sam() == tmp_path / "sam-vit-base"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ModelError, match="other holds no SAM .* model_type 'clip', expected one of sam, sam2"):
        masks_from_sam(picture()[0], [(45, 60)], model=tmp_path / "other")
