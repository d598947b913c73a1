"""ResNet-50 with half the filters in every stage, which open_nsfw is."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

__all__ = ["thin_resnet50"]


class _Bottleneck(nn.Module):
    """Reduces, looks, expands, and adds what came in. Its stride is that of the first layer, as in the paper."""

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or channels != 4 * width:
            projection = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(4 * width))

    def forward(self, images: Tensor) -> Tensor:
        hidden = torch.relu(self.bn1(self.conv1(images)))
        hidden = torch.relu(self.bn2(self.conv2(hidden)))
        return torch.relu(self.bn3(self.conv3(hidden)) + self.downsample(images))


def thin_resnet50() -> nn.Sequential:
    """The network up to its last feature map, (B, 1024, H / 32, W / 32); its layers have torchvision's names.

    Source:
        He et al., Deep Residual Learning (arXiv:1512.03385), table 1, 50 layers, and its stride in the first layer of a
        block; half the filters of every stage, but all 64 of the first layer, as in Yahoo's open_nsfw
        (``resnet_50_1by2``). The pooling adds a row and a column behind the last, as Caffe does.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
    layers["bn1"], layers["relu"] = nn.BatchNorm2d(64), nn.ReLU()
    layers["maxpool"] = nn.MaxPool2d(3, 2, ceil_mode=True)
    channels = 64
    for stage, (width, depth) in enumerate(((32, 3), (64, 4), (128, 6), (256, 3))):
        strides = [1 if stage == 0 else 2] + [1] * (depth - 1)
        blocks = []
        for stride in strides:
            blocks.append(_Bottleneck(channels, width, stride=stride))
            channels = 4 * width
        layers[f"layer{stage + 1}"] = nn.Sequential(*blocks)
    body = nn.Sequential(layers)
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, _Bottleneck):
            nn.init.zeros_(module.bn3.weight)  # from scratch, a block begins as the identity
    return body
