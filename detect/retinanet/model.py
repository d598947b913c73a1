"""RetinaNet out of torchvision's parts, with its training and its answers kept apart."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import batched_nms, clip_boxes_to_image
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

from detect.retinanet.backbones import Norm, build_body, load_body
from detect.retinanet.losses import BoxLoss, decode_deltas, retinanet_losses
from detect.runtime.retinanet import AnchorGrid

__all__ = ["Outputs", "Predictions", "Pyramid", "RetinaNet", "find_boxes", "load_backbone"]


class Outputs(NamedTuple):
    """What the network answers at its N anchors: logits (B, N, classes) and deltas (B, N, 4)."""

    logits: Tensor
    deltas: Tensor


class Predictions(NamedTuple):
    """One picture's boxes in pixels of the network's input: (N, 4), (N,), (N,), best score first."""

    xyxy: Tensor
    scores: Tensor
    labels: Tensor


class Pyramid(nn.Module):
    """A backbone and the feature pyramid P3 to P7 on its maps.

    Attributes:
        body: (B, 3, H, W) to maps at strides of 8, 16 and 32.
        fpn: Those to maps of as many channels each, and two more.
    """

    def __init__(self, name: str, *, norm: Norm, channels: int) -> None:
        """Build it untrained; see `RetinaNet` for the arguments."""
        super().__init__()
        self.body, widths = build_body(name, norm=norm)
        self.fpn = FeaturePyramidNetwork(list(widths), channels, extra_blocks=LastLevelP6P7(channels, channels))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """P3 to P7 of normalised pictures, the finest first."""
        maps = self.body(images)
        levels: dict[str, Tensor] = self.fpn(OrderedDict(zip("012", maps, strict=True)))
        return levels


class RetinaNet(nn.Module):
    """A backbone, feature pyramid P3 to P7 and two small convolutional heads.

    The `state_dict` is that of `torchvision.models.detection.RetinaNet` built of the same parts, key by key.

    Source:
        Lin et al., Focal Loss for Dense Object Detection (arXiv:1708.02002). P6 is made of P5 rather than of C5, and
        there is no weight on either loss, both as in torchvision.
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str = "resnet101",
        norm: Norm = "batch",
        head_norm: bool = True,
        channels: int = 256,
        box_loss: BoxLoss = "l1",
        grid: AnchorGrid | None = None,
    ) -> None:
        """Build an untrained network.

        Args:
            classes: Labels to tell apart; there is no label for the background.
            backbone: A network of torchvision's by its name, or of timm's, with ``timm/`` in front.
            norm: Of the backbone. ``frozen`` statistics belong to a pretrained backbone: from scratch they are the
                identity, and a deep network never learns. ``own`` is that of a network without BatchNorm.
            head_norm: Group normalisation in both heads, which learns faster, from scratch most of all.
            channels: Of every level of the pyramid and of the heads, a multiple of 32 from 64 on; fewer cost less.
            box_loss: See `retinanet_losses`.
            grid: Anchors; None for `AnchorGrid.standard`.

        Raises:
            ValueError: There is no such network, it has no maps at strides of 8, 16 and 32, or no such normalisation.
        """
        super().__init__()
        self.grid = grid or AnchorGrid.standard()
        self.box_loss: BoxLoss = box_loss
        self.backbone = Pyramid(backbone, norm=norm, channels=channels)
        head_layer = partial(nn.GroupNorm, 32) if head_norm else None
        self.head = RetinaNetHead(channels, self.grid.per_cell, classes, norm_layer=head_layer)

    def forward(self, images: Tensor) -> Outputs:
        """Answers for normalised pictures (B, 3, H, W), H and W multiples of 32."""
        answers = self.head(list(self.backbone(images).values()))
        return Outputs(answers["cls_logits"], answers["bbox_regression"])

    def anchors(self, images: Tensor) -> Tensor:
        """The anchors (N, 4) of a batch of pictures, on the same device."""
        return _anchors_on(self.grid, images.shape[-2], images.shape[-1], images.device)

    def losses(self, outputs: Outputs, anchors: Tensor, boxes: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss parts of what `forward` answered; see `retinanet_losses`."""
        return retinanet_losses(outputs.logits, outputs.deltas, anchors, boxes, labels, box_loss=self.box_loss)

    @torch.no_grad()
    def predict(
        self,
        images: Tensor,
        *,
        min_score: float = 0.05,
        iou_threshold: float = 0.5,
        top_k: int = 3000,
        max_detections: int = 300,
    ) -> list[Predictions]:
        """Find boxes in normalised pictures.

        Args:
            images: (B, 3, H, W); see `forward`.
            min_score: In [0, 1]; boxes that score less are dropped.
            iou_threshold: In [0, 1]. Of two boxes of one label that overlap by more, the better is kept.
            top_k: Pairs of anchor and label considered, the best ones of all levels; torchvision takes 1,000 of each.
            max_detections: At most this many boxes a picture.

        Returns:
            One entry a picture, boxes cut to the input.
        """
        height, width = images.shape[-2:]
        found, picture = find_boxes(
            self(images), self.anchors(images), min_score=min_score, iou_threshold=iou_threshold, top_k=top_k,
            inside=(height, width),
        )  # fmt: skip
        counts = picture.bincount(minlength=len(images)).tolist()
        parts = zip(*(torch.split(values, counts) for values in found), strict=True)
        return [Predictions(*(values[:max_detections] for values in part)) for part in parts]


@torch.no_grad()
def find_boxes(
    outputs: Outputs,
    anchors: Tensor,
    *,
    min_score: float,
    iou_threshold: float,
    top_k: int,
    inside: tuple[int, int] | None = None,
) -> tuple[Predictions, Tensor]:
    """Decode and suppress a whole batch, on the device where it lies.

    Args:
        outputs: What the network answered.
        anchors: (N, 4).
        min_score: See `RetinaNet.predict`, as for the next two.
        iou_threshold: Of suppression.
        top_k: Pairs of anchor and label considered.
        inside: Rows and columns that boxes are cut to before suppression, as torchvision does it; None leaves them
            whole, as `detect.runtime.retinanet` does it.

    Returns:
        The boxes kept, picture by picture and best score first, and the position of each one's picture.
    """
    logits, deltas = (output.float() for output in outputs)
    classes = logits.shape[-1]
    flat = logits.flatten(1)
    best, pair = flat.topk(min(top_k, flat.shape[1]), dim=1)  # (B, top_k); only these go through the sigmoid
    scores, anchor, label = best.sigmoid(), pair // classes, pair % classes
    boxes = decode_deltas(deltas.gather(1, anchor[..., None].expand(-1, -1, 4)), anchors[anchor])
    if inside is not None:
        boxes = clip_boxes_to_image(boxes, inside)
    # All pictures at once: the host waits for the device a few times a batch, not a few times a picture.
    picture, place = (scores >= min_score).nonzero(as_tuple=True)
    found = Predictions(boxes[picture, place], scores[picture, place], label[picture, place])
    if len(picture):
        # torchvision puts each group's boxes where no other's are, by multiples of the greatest coordinate. That needs
        # coordinates of 0 or more, and with boxes far outside, more digits than float32 has.
        apart = found.xyxy.double() - found.xyxy.min()
        keep = batched_nms(apart, found.scores.double(), picture * classes + found.labels, iou_threshold)
        keep = keep[picture[keep].argsort(stable=True)]  # by picture, best score first
        found, picture = Predictions(*(values[keep] for values in found)), picture[keep]
    return found, picture


@lru_cache(maxsize=32)
def _anchors_on(grid: AnchorGrid, height: int, width: int, device: torch.device) -> Tensor:
    return torch.from_numpy(grid.boxes(height, width).copy()).to(device)


def load_backbone(model: RetinaNet, source: str, *, backbone: str) -> None:
    """Fill the backbone with trained weights; see `load_body`."""
    load_body(model.backbone, source, name=backbone)
