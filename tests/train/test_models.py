"""The network: what it is made of, that all of it learns, and what it says to wrong settings."""

from __future__ import annotations

import itertools

import pytest
import timm
import torch

from fer_prep.errors import UsageError
from fer_train.data.inputs import INPUTS, Input, example_shape
from fer_train.models import network_class
from fer_train.models.backbone import Backbone
from fer_train.models.encoder import TokenEncoder, make_aggregation
from fer_train.models.network import ExpressionNetwork
from fer_train.models.spatial_attention import SpatialAttention
from fer_train.models.two_stream import TwoStreamNetwork

TINY = {"classes": 7, "image_size": 64, "backbone": "test_efficientnet", "token_width": 32, "encoder_heads": 4}
"""timm's own miniature models keep these tests short."""


def make_network(**settings) -> TwoStreamNetwork:
    torch.manual_seed(0)
    return TwoStreamNetwork(**{**TINY, "encoder_depth": 2, "mlp_width": 24, "attention_reduction": 8, **settings})


def make_inputs(network: TwoStreamNetwork, *, batch: int, seed: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    size = network.image_size
    return {name: torch.randn(batch, INPUTS[name].channels, size, size, generator=generator) for name in network.inputs}


OPTIONS = [
    {"inputs": inputs, "fusion": fusion, "aggregation": aggregation, "spatial_attention": attention}
    for inputs, fusion, aggregation, attention in itertools.product(
        (("rgb", "depth"), ("rgb",), ("depth",)),
        ("attention", "sum", "concat", "attention-1d"),
        ("class-token", "encoder-mean", "average"),
        ("lanet", "cbam", "none"),
    )
    if not (fusion == "attention-1d" and attention != "lanet")  # no spatial attention in it
    and not (fusion == "attention" and attention == "none" and len(inputs) > 1)  # would look at one input alone
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_every_parameter_receives_a_gradient_in_every_combination(options):
    network = make_network(**options, depth_channels=1 if options["aggregation"] == "average" else 3)
    # enough places that each of the S maps is the largest somewhere
    output = network(make_inputs(network, batch=14))
    torch.nn.functional.cross_entropy(output.logits, torch.arange(14) % 7).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    assert without == []
    for mask in output.masks.values():
        assert bool((mask > 0).all() and (mask < 1).all())
    assert output.logits.shape == (14, 7)
    assert output.features.shape == (14, network.feature_width)


@pytest.mark.slow
def test_the_thesis_network_has_the_published_shapes_and_sizes():
    network = TwoStreamNetwork(classes=7, image_size=260)
    # torchvision and timm agree on 9.11 M for the whole B2; without classifier (1408 × 1000 + 1000) and head
    # convolution (352 × 1408, and 2 × 1408 of its batch normalisation) the trunk has
    trunk = sum(p.numel() for p in timm.create_model("efficientnet_b2").parameters()) - 1_409_000 - 495_616 - 2_816
    assert sum(p.numel() for p in network.backbone("rgb").parameters()) == trunk == 7_202_562
    assert (network.backbone("rgb").channels, *network.grid) == (352, 9, 9)
    with torch.no_grad():
        assert network.backbone("depth")(torch.zeros(1, 3, 260, 260)).shape == (1, 352, 9, 9)
        masks = network.eval()({"rgb": torch.zeros(1, 3, 260, 260), "depth": torch.zeros(1, 1, 260, 260)}).masks
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == {"rgb": (1, 1, 9, 9), "depth": (1, 1, 9, 9)}
    one_lanet = 352 * 22 + 2 * 22 + 22 + 2
    assert sum(p.numel() for p in network.fusion.parameters()) == 2 * 4 * one_lanet


@pytest.mark.parametrize(
    ("backbone", "size", "channels", "grid"),
    [
        ("resnet10t", 112, 512, (4, 4)),
        ("mobilenetv3_small_050", 96, 288, (3, 3)),  # before its head convolution as well
        ("convnext_atto", 64, 320, (2, 2)),
        ("vit_tiny_patch16_224", 96, 192, (6, 6)),  # made for 224², adapts its positions
    ],
)
def test_any_timm_backbone_gives_its_last_feature_map(backbone, size, channels, grid):
    made = Backbone(backbone, image_size=size, in_channels=1)
    assert (made.channels, made.grid) == (channels, grid)


def test_parameter_groups_are_a_partition():
    network = make_network()
    groups = network.parameter_groups()
    assert set(groups) == {"backbone", "fusion"}
    ids = [id(p) for group in groups.values() for p in group]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    assert {id(p) for p in groups["backbone"]} == {id(p) for p in network.backbones.parameters()}


def test_attention_fusion_is_the_rgb_map_under_the_mean_of_the_masks():
    network = make_network().eval()
    inputs = make_inputs(network, batch=2)
    with torch.no_grad():
        features = {name: network.backbone(name)(image) for name, image in inputs.items()}
        fused, masks = network.fusion(features)
    expected = features["rgb"] * (masks["rgb"] + masks["depth"]) / 2
    torch.testing.assert_close(fused, expected)


def test_the_sum_of_equation_3_3_has_no_masks():
    network = make_network(fusion="sum", spatial_attention="none", aggregation="average").eval()
    inputs = make_inputs(network, batch=2)
    with torch.no_grad():
        features = {name: network.backbone(name)(image) for name, image in inputs.items()}
        fused, masks = network.fusion(features)
    assert masks == {}
    assert list(network.fusion.parameters()) == []
    torch.testing.assert_close(fused, features["rgb"] + features["depth"])


def test_a_class_token_is_read_and_the_mean_is_not():
    """What one place says reaches the mean directly, and the class token only through the layers."""
    torch.manual_seed(0)
    for name, direct in (("class-token", False), ("encoder-mean", True), ("average", True)):
        aggregation = make_aggregation(name, tokens=4, width=8, depth=0, heads=2, dropout=0.0)
        tokens = torch.randn(1, 4, 8)
        changed = tokens.clone()
        changed[0, 2] += 1.0
        assert torch.equal(aggregation(tokens), aggregation(changed)) != direct


def test_spatial_attention_is_the_largest_of_its_maps():
    attention = SpatialAttention(16, maps=3, reduction=4).eval()
    features = torch.randn(2, 16, 5, 5)
    each = [single(features) for single in attention.maps]
    expected = torch.maximum(torch.maximum(each[0], each[1]), each[2])
    torch.testing.assert_close(attention(features), expected)


def test_sum_and_concat_use_both_streams_alike():
    for fusion in ("sum", "concat"):
        network = make_network(fusion=fusion).eval()
        maps = {"rgb": torch.randn(1, 32, 2, 2), "depth": torch.zeros(1, 32, 2, 2)}
        maps = {name: value[:, :1].expand(-1, network.backbone("rgb").channels, -1, -1) for name, value in maps.items()}
        fused, masks = network.fusion(maps)
        torch.testing.assert_close(fused[:, : network.backbone("rgb").channels], maps["rgb"] * masks["rgb"])


def test_the_encoder_knows_places_and_the_average_does_not():
    tokens = torch.randn(2, 6, 16)
    turned = tokens.flip(1)
    encoder = TokenEncoder(tokens=6, width=16, depth=1, heads=2, dropout=0.0, class_token=False).eval()
    assert not torch.allclose(encoder(tokens), encoder(turned), atol=1e-4)
    with torch.no_grad():
        encoder.positions.zero_()
    torch.testing.assert_close(encoder(tokens), encoder(turned), atol=1e-5, rtol=1e-4)


def test_encoder_layers_start_different():
    first, second = TokenEncoder(tokens=4, width=16, depth=2, heads=2, dropout=0.0, class_token=False).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


@pytest.mark.parametrize("options", [{}, {"inputs": ("depth",), "depth_channels": 1}], ids=["rgbd", "depth"])
def test_one_batch_can_be_overfitted(options):
    network = make_network(dropout=0.0, **options)
    inputs = make_inputs(network, batch=14)
    labels = torch.arange(14) % 7
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network(inputs).logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def test_a_network_needs_its_inputs_and_no_others():
    network = make_network(inputs=("rgb",)).eval()
    inputs = make_inputs(network, batch=1)
    assert list(network.backbones) == ["rgb"]
    assert network(inputs | {"depth": torch.zeros(1)}).logits.shape == (1, 7)
    with pytest.raises(UsageError, match="looks at rgb, depth; depth is missing"):
        make_network().eval()(inputs)


@pytest.mark.parametrize("fusion", ["attention", "sum", "concat", "attention-1d"])
def test_a_third_input_is_one_more_stream(fusion, monkeypatch):
    slope = Input(stored=("depth",), channels=2, compute=lambda images: images["depth"])
    monkeypatch.setitem(INPUTS, "slope", slope)
    network = make_network(inputs=("rgb", "depth", "slope"), fusion=fusion)
    output = network(make_inputs(network, batch=14))
    torch.nn.functional.cross_entropy(output.logits, torch.arange(14) % 7).backward()
    assert list(output.masks) == ["rgb", "depth", "slope"]
    gradients = [p.grad for p in network.backbone("slope").parameters()]
    assert all(gradient is not None and bool(gradient.abs().max() > 0) for gradient in gradients)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "eficientnet_b2"}, "nearest: efficientnet_b2"),
        ({"image_size": 16}, "too small"),
        ({"inputs": ("rgb-d",)}, "legal: rgb, depth"),
        ({"fusion": "max"}, "legal: attention, sum, concat, attention-1d"),
        ({"aggregation": "max"}, "legal: class-token, encoder-mean, average"),
        ({"spatial_attention": "se"}, "legal: lanet, cbam, none"),
        ({"attention_maps": 0}, "at least 1"),
        ({"depth_channels": 2}, "must be 1 or 3"),
        ({"token_width": 30}, "multiple of encoder_heads"),
        ({"classes": 1}, "at least two classes"),
        ({"pretrained": True, "backbone": "efficientnet_b8"}, "no pretrained weights"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(UsageError, match=message):
        make_network(**settings)


def test_offline_pretrained_weights_fail_with_a_way_out(monkeypatch):
    def no_network(*arguments, **settings):
        raise FileNotFoundError("cannot find the requested files in the local cache")

    monkeypatch.setattr(timm, "create_model", no_network)
    with pytest.raises(UsageError, match="cannot fetch the pretrained weights of 'resnet18'") as raised:
        make_network(backbone="resnet18", pretrained=True)
    assert "--weights" in raised.value.hint


def test_a_picture_of_another_size_is_refused():
    network = make_network()
    with pytest.raises(UsageError, match=r"expected rgb images .*\(3, 64, 64\); found \(3, 80, 80\)"):
        network({"rgb": torch.zeros(1, 3, 80, 80), "depth": torch.zeros(1, 1, 64, 64)})


def make_other(name: str, **settings) -> ExpressionNetwork:
    torch.manual_seed(0)
    return network_class(name)(classes=7, image_size=32, **settings)


OTHERS = [
    ("pointnet", ("points",)),
    ("pointnet", ("bare-points",)),
    ("voxnet", ("voxels",)),
    ("voxnet", ("colour-voxels",)),
]


@pytest.mark.parametrize(("name", "inputs"), OTHERS)
def test_networks_of_points_and_voxels_learn_with_all_they_have(name, inputs):
    network = make_other(name, inputs=inputs, dropout=0.0)
    torch.manual_seed(1)
    given = {each: torch.randn(14, *example_shape(each, image_size=32)) for each in inputs}
    labels = torch.arange(14) % 7
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(30):
        output = network(given)
        loss = torch.nn.functional.cross_entropy(output.logits, labels)
        optimiser.zero_grad()
        loss.backward()
        if not step:
            without = [each for each, p in network.named_parameters() if p.grad is None or not bool(p.grad.any())]
            assert without == []
            assert output.features.shape == (14, network.feature_width)
        optimiser.step()
    assert loss.item() < 0.1


def test_the_order_of_points_does_not_matter_and_a_point_twice_counts_once():
    network = make_other("pointnet").eval()
    points = torch.randn(2, 9, 50)
    expected = network({"points": points}).logits
    shuffled = points[:, :, torch.randperm(50)]
    torch.testing.assert_close(network({"points": shuffled}).logits, expected)
    torch.testing.assert_close(network({"points": torch.cat([points, shuffled], dim=2)}).logits, expected)


@pytest.mark.parametrize("side", [8, 16, 32, 48])
def test_any_number_of_voxels_will_do(side):
    network = make_other("voxnet").eval()
    assert network({"voxels": torch.zeros(1, 1, side, side, side)}).logits.shape == (1, 7)


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("pointnet", ("rgb",), r"takes points \(points, bare-points\); rgb are pictures"),
        ("voxnet", ("points",), r"takes voxels \(voxels, colour-voxels\); points are points"),
        ("two-stream", ("rgb", "voxels"), "takes pictures .*; voxels are voxels"),
    ],
)
def test_a_network_refuses_inputs_of_another_kind(name, inputs, message):
    with pytest.raises(UsageError, match=message):
        make_other(name, inputs=inputs)
