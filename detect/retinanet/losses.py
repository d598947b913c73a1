"""What RetinaNet learns from: which anchor answers for which box, and how wrong it was.

Everything here works on whole batches of fixed shapes and never looks at a value, so that a GPU is never waited for and
`torch.compile` builds one graph. Boxes are ``xyxy`` in pixels of the network's input.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import l1_loss
from torchvision.ops import sigmoid_focal_loss

from detect.runtime.retinanet import MAX_LOG_RATIO

__all__ = ["CROWD", "PADDING", "Assignment", "BoxLoss", "assign", "decode_deltas", "encode_deltas", "retinanet_losses"]

PADDING = -1
"""The label of a row that only fills up the batch; its box is ``0, 0, 1, 1``."""
CROWD = -2
"""The label of a crowd's box: what lies inside is neither to be found nor to be held against the network."""

BoxLoss = Literal["l1", "giou"]


class Assignment(NamedTuple):
    """What each anchor has to answer.

    Attributes:
        boxes: The box each anchor is nearest to, float32 (B, N, 4); meaningful where `foreground` holds.
        labels: That box's label, int64 (B, N).
        foreground: The anchor answers for the box, bool (B, N).
        counted: The anchor takes part in the classification loss, bool (B, N).
    """

    boxes: Tensor
    labels: Tensor
    foreground: Tensor
    counted: Tensor


@torch.no_grad()
def assign(
    anchors: Tensor, boxes: Tensor, labels: Tensor, *, foreground_iou: float = 0.5, background_iou: float = 0.4
) -> Assignment:
    """Match anchors to boxes.

    An anchor answers for the box it overlaps most, if their IoU reaches `foreground_iou` or if no anchor overlaps some
    box more than this one does; below `background_iou` it is background; between the two it does not count.

    Args:
        anchors: (N, 4).
        boxes: (B, M, 4), padded with boxes that have an area.
        labels: int64 (B, M), `PADDING` or `CROWD` where there is nothing to be found.
        foreground_iou: In (0, 1].
        background_iou: In [0, foreground_iou].

    Source:
        arXiv:1708.02002, section 4.1, with torchvision's `Matcher(allow_low_quality_matches=True)`. Unlike there, a
        box that no anchor overlaps at all makes no anchor foreground.
    """
    low = torch.maximum(boxes[:, :, None, :2], anchors[None, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], anchors[None, None, :, 2:])
    sides = (high - low).clamp(min=0)
    inter = sides[..., 0] * sides[..., 1]  # (B, M, N)
    anchor_area = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
    box_area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    iou = inter / (box_area[..., None] + anchor_area - inter)
    iou = torch.where((labels >= 0)[..., None], iou, -1.0)

    best_iou, best_box = iou.max(dim=1)  # (B, N)
    best_of_box = iou.amax(dim=2, keepdim=True)  # (B, M, 1)
    only_hope = ((iou == best_of_box) & (best_of_box > 0)).any(dim=1)
    foreground = (best_iou >= foreground_iou) | only_hope
    in_crowd = ((labels == CROWD)[..., None] & (inter >= 0.5 * anchor_area)).any(dim=1)
    background = (best_iou < background_iou) & ~in_crowd
    return Assignment(
        boxes=boxes.gather(1, best_box[..., None].expand(-1, -1, 4)),
        labels=labels.gather(1, best_box),
        foreground=foreground,
        counted=foreground | background,
    )


def encode_deltas(boxes: Tensor, anchors: Tensor) -> Tensor:
    """What the network should answer at `anchors` (N, 4) for `boxes` (..., N, 4); see `decode_deltas`."""
    anchor_side = anchors[..., 2:] - anchors[..., :2]
    side = boxes[..., 2:] - boxes[..., :2]
    offset = (boxes[..., :2] + side / 2 - anchors[..., :2] - anchor_side / 2) / anchor_side
    return torch.cat([offset, torch.log(side / anchor_side)], dim=-1)


def decode_deltas(deltas: Tensor, anchors: Tensor) -> Tensor:
    """The boxes (..., N, 4) that `deltas` (..., N, 4) mean at `anchors` (N, 4).

    Source:
        arXiv:1506.01497, equation 2; `detect.runtime.retinanet.decode_retinanet` does the same in numpy.
    """
    anchor_side = anchors[..., 2:] - anchors[..., :2]
    center = anchors[..., :2] + anchor_side / 2 + deltas[..., :2] * anchor_side
    side = anchor_side * torch.exp(deltas[..., 2:].clamp(max=MAX_LOG_RATIO))
    return torch.cat([center - side / 2, center + side / 2], dim=-1)


def retinanet_losses(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    boxes: Tensor,
    labels: Tensor,
    *,
    box_loss: BoxLoss = "l1",
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> dict[str, Tensor]:
    """Focal loss and box loss of a batch.

    Each picture's sums are divided by its own number of foreground anchors, then averaged over the pictures, so that
    the mean over the shares of a batch is the loss of the whole batch.

    Args:
        logits: (B, N, classes).
        deltas: (B, N, 4).
        anchors: (N, 4).
        boxes: (B, M, 4); see `assign`.
        labels: (B, M); see `assign`.
        box_loss: L1 between deltas, or generalised IoU between boxes.
        alpha: Weight of a positive; a negative's is ``1 - alpha``.
        gamma: How much an easy answer's loss is reduced.

    Returns:
        Scalars ``classification`` and ``bbox_regression``.

    Source:
        arXiv:1708.02002, equation 5; normalised by picture as torchvision does it, where the paper counts the
        foreground of the whole batch. Generalised IoU: Rezatofighi et al. (arXiv:1902.09630).
    """
    logits, deltas = logits.float(), deltas.float()
    target = assign(anchors, boxes, labels)
    foreground = target.foreground
    count = foreground.sum(dim=1).clamp(min=1)  # (B,)

    classes = torch.arange(logits.shape[-1], device=logits.device)
    wanted = (foreground[..., None] & (target.labels[..., None] == classes)).to(logits.dtype)  # (B, N, classes)
    focal = sigmoid_focal_loss(logits, wanted, alpha=alpha, gamma=gamma) * target.counted[..., None]

    if box_loss == "l1":
        distance = l1_loss(deltas, encode_deltas(target.boxes, anchors), reduction="none").sum(dim=-1)
    else:
        distance = _giou_loss(decode_deltas(deltas, anchors), target.boxes)
    return {
        "classification": (focal.sum(dim=(1, 2)) / count).mean(),
        "bbox_regression": ((distance * foreground).sum(dim=1) / count).mean(),
    }


def _giou_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """1 - GIoU of paired boxes (..., 4); torchvision's picks some boxes out by value."""
    low, high = torch.maximum(found[..., :2], wanted[..., :2]), torch.minimum(found[..., 2:], wanted[..., 2:])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    union = (found[..., 2:] - found[..., :2]).prod(dim=-1) + (wanted[..., 2:] - wanted[..., :2]).prod(dim=-1) - inter
    low, high = torch.minimum(found[..., :2], wanted[..., :2]), torch.maximum(found[..., 2:], wanted[..., 2:])
    hull = (high - low).prod(dim=-1)
    eps = 1e-7  # as torchvision's
    return 1 - inter / (union + eps) + (hull - union) / (hull + eps)
