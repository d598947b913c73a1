"""Against torchvision's RetinaNet: the same weights, pictures and targets give the same losses and detections."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet as TorchvisionRetinaNet
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from detect import boxes as box_maths
from detect.retinanet.backbones import Norm
from detect.retinanet.losses import CROWD, PADDING, BoxLoss, assign, decode_deltas, encode_deltas, retinanet_losses
from detect.retinanet.model import Outputs, RetinaNet
from detect.runtime.retinanet import AnchorGrid, decode_retinanet

SIZE = 128
CLASSES = 3


def torchvision_twin(*, head_norm: bool, box_loss: BoxLoss = "l1", min_score: float = 0.05) -> TorchvisionRetinaNet:
    """torchvision's own network with the parts that ours has."""
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    head = RetinaNetHead(256, 9, CLASSES, norm_layer=partial(nn.GroupNorm, 32) if head_norm else None)
    head.regression_head._loss_type = box_loss
    return TorchvisionRetinaNet(
        backbone, CLASSES, min_size=SIZE, max_size=SIZE, head=head, score_thresh=min_score, image_mean=[0] * 3,
        image_std=[1] * 3,
    )  # fmt: skip


def targets(seed: int, *, pictures: int = 3, rows: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded boxes and labels; the last picture has none."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(pictures, rows, 2, generator=generator) * 80
    side = 6 + torch.rand(pictures, rows, 2, generator=generator) ** 2 * 60
    boxes = torch.cat([corner, (corner + side).clamp(max=SIZE)], dim=-1)
    labels = torch.randint(0, CLASSES, (pictures, rows), generator=generator)
    labels[0, 5:] = PADDING
    labels[-1] = PADDING
    boxes[labels == PADDING] = torch.tensor([0.0, 0, 1, 1])
    return boxes, labels


def unpadded(boxes: torch.Tensor, labels: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    return [{"boxes": b[n >= 0], "labels": n[n >= 0]} for b, n in zip(boxes, labels, strict=True)]


@pytest.mark.parametrize("box_loss", ["l1", "giou"])
@pytest.mark.parametrize("head_norm", [True, False])
def test_losses_are_those_of_torchvision(box_loss: BoxLoss, head_norm: bool) -> None:
    torch.manual_seed(1)
    theirs = torchvision_twin(head_norm=head_norm, box_loss=box_loss).train()
    ours = RetinaNet(classes=CLASSES, backbone="resnet18", head_norm=head_norm, box_loss=box_loss).train()
    ours.load_state_dict(theirs.state_dict())
    pictures = torch.rand(3, 3, SIZE, SIZE)
    boxes, labels = targets(2)

    expected = theirs(list(pictures), unpadded(boxes, labels))
    found = ours.losses(ours(pictures), ours.anchors(pictures), boxes, labels)

    assert set(found) == set(expected)
    for part, loss in expected.items():
        torch.testing.assert_close(found[part], loss, rtol=1e-5, atol=1e-6)


def test_gradients_are_those_of_torchvision() -> None:
    torch.manual_seed(4)
    theirs, ours = torchvision_twin(head_norm=True), RetinaNet(classes=CLASSES, backbone="resnet18")
    ours.load_state_dict(theirs.state_dict())
    pictures, (boxes, labels) = torch.rand(2, 3, SIZE, SIZE), targets(3, pictures=2)
    sum(theirs(list(pictures), unpadded(boxes, labels)).values()).backward()
    torch.stack([*ours.losses(ours(pictures), ours.anchors(pictures), boxes, labels).values()]).sum().backward()  # type: ignore[no-untyped-call]
    grads = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, grads[name].grad, rtol=1e-3, atol=1e-5, msg=name)


def test_detections_are_those_of_torchvision() -> None:
    torch.manual_seed(5)
    theirs, ours = torchvision_twin(head_norm=False, min_score=0.6), RetinaNet(
        classes=CLASSES, backbone="resnet18", head_norm=False
    )  # fmt: skip
    nn.init.normal_(theirs.head.classification_head.cls_logits.weight, std=0.5)  # else all scores are the prior
    nn.init.zeros_(theirs.head.classification_head.cls_logits.bias)
    nn.init.normal_(theirs.head.regression_head.bbox_reg.weight, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    theirs.eval()
    ours.eval()
    pictures = torch.rand(2, 3, SIZE, SIZE)
    expected = theirs(list(pictures))
    found = ours.predict(pictures, min_score=0.6, top_k=10_000)
    for one, other in zip(found, expected, strict=True):
        assert len(one.scores) > 3
        torch.testing.assert_close(one.xyxy, other["boxes"], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(one.scores, other["scores"])
        assert torch.equal(one.labels, other["labels"])


@pytest.mark.parametrize("norm", ["batch", "group", "frozen"])
def test_keys_load_both_ways(norm: Norm) -> None:
    ours = RetinaNet(classes=CLASSES, backbone="resnet18", norm=norm)
    other = RetinaNet(classes=CLASSES, backbone="resnet18", norm=norm)
    other.load_state_dict(ours.state_dict())
    if norm == "batch":
        torchvision_twin(head_norm=True).load_state_dict(ours.state_dict())


@pytest.mark.parametrize(("height", "width"), [(128, 128), (256, 384)])
def test_anchors_are_those_of_torchvision(height: int, width: int) -> None:
    grid = AnchorGrid.standard()
    theirs = AnchorGenerator(tuple(tuple(int(s) for s in level) for level in grid.sizes), (grid.ratios,) * 5)
    features = [torch.zeros(1, 1, -(-height // s), -(-width // s)) for s in grid.strides]
    expected = theirs(ImageList(torch.zeros(1, 3, height, width), [(height, width)]), features)[0]
    assert np.array_equal(grid.boxes(height, width), expected.numpy())


def test_a_level_keeps_its_stride_where_the_side_is_no_multiple_of_it() -> None:
    last_row = AnchorGrid.standard().boxes(320, 320)[-9:]  # P7 has 3 x 3 cells: 320 / 128, rounded up
    assert np.allclose((last_row[:, :2] + last_row[:, 2:]) / 2, 256, atol=0.5)


def test_assignment_by_hand() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 22], [20, 0, 30, 10], [40, 0, 50, 10], [41, 0, 51, 10]])
    boxes = torch.tensor([[[0.0, 0, 10, 10], [26, 0, 36, 10], [0, 0, 1, 1], [38, 0, 60, 12]]])
    labels = torch.tensor([[1, 0, PADDING, CROWD]])
    found = assign(anchors, boxes, labels)
    # 1: its box; 2: IoU .4545, in between; 3: IoU .25, but nobody does better; 4 and 5: inside the crowd.
    assert found.foreground.tolist() == [[True, False, True, False, False]]
    assert found.counted.tolist() == [[True, False, True, False, False]]
    assert found.labels[0, [0, 2]].tolist() == [1, 0]
    assert found.boxes[0, 2].tolist() == [26, 0, 36, 10]


def test_a_picture_without_boxes_is_all_background_and_its_loss_is_finite() -> None:
    anchors = torch.from_numpy(AnchorGrid.standard().boxes(64, 64).copy())
    boxes, labels = torch.tensor([[[0.0, 0, 1, 1]]]), torch.tensor([[PADDING]])
    found = assign(anchors, boxes, labels)
    assert not found.foreground.any()
    assert found.counted.all()
    losses = retinanet_losses(torch.zeros(1, len(anchors), 2), torch.zeros(1, len(anchors), 4), anchors, boxes, labels)
    assert losses["bbox_regression"] == 0
    assert torch.isfinite(losses["classification"])


def test_deltas_round_trip() -> None:
    anchors = torch.from_numpy(AnchorGrid.standard().boxes(64, 64).copy())
    boxes = anchors + torch.rand(len(anchors), 4, generator=torch.Generator().manual_seed(0)) * 4
    torch.testing.assert_close(decode_deltas(encode_deltas(boxes, anchors), anchors), boxes, rtol=1e-5, atol=1e-3)


def test_numpy_decodes_as_torch_does() -> None:
    torch.manual_seed(9)
    model = RetinaNet(classes=CLASSES, backbone="resnet18").eval()
    nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.05)
    nn.init.zeros_(model.head.classification_head.cls_logits.bias)
    picture = torch.rand(1, 3, 96, 160)
    expected = model.predict(picture, min_score=0.6, iou_threshold=0.45, top_k=1000)[0]
    with torch.no_grad():
        logits, deltas = (output[0].numpy() for output in model(picture))
    found = decode_retinanet(logits, deltas, model.grid.boxes(96, 160), min_score=0.6, top_k=1000)
    clipped = box_maths.clip(found.xyxy, width=160, height=96)
    keep = box_maths.nms(clipped, found.scores, found.labels, iou_threshold=0.45)
    assert len(keep) == len(expected.scores) > 3
    np.testing.assert_allclose(clipped[keep], expected.xyxy.numpy(), atol=1e-3)
    np.testing.assert_allclose(found.scores[keep], expected.scores.numpy(), atol=1e-6)
    assert np.array_equal(found.labels[keep], expected.labels.numpy())


@pytest.mark.parametrize("box_loss", ["l1", "giou"])
def test_losses_compile_into_one_graph(box_loss: BoxLoss) -> None:
    anchors = torch.from_numpy(AnchorGrid.standard().boxes(SIZE, SIZE).copy())
    boxes, labels = targets(6)
    logits, deltas = torch.randn(3, len(anchors), CLASSES), torch.randn(3, len(anchors), 4) * 0.1
    explained = torch._dynamo.explain(partial(retinanet_losses, box_loss=box_loss))(
        logits, deltas, anchors, boxes, labels
    )
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)


def test_forward_compiles_into_one_graph() -> None:
    model = RetinaNet(classes=CLASSES, backbone="resnet18")
    explained = torch._dynamo.explain(model)(torch.rand(1, 3, 64, 64))
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)
    assert isinstance(model(torch.rand(1, 3, 64, 64)), Outputs)
