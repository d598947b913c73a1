"""The network of He and Sun for a constrained time cost, which Yahoo calls MS_CTC."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["PyramidPooling", "ms_ctc"]


class PyramidPooling(nn.Module):
    """The maxima of a square map over ever coarser grids, side by side: (B, C, n, n) to (B, C * cells).

    Source:
        He et al., Spatial Pyramid Pooling (arXiv:1406.4729), § 2.2. Of its grids of 6, 3, 2 and 1 cells a side those
        are taken that divide the map.
    """

    def __init__(self, channels: int, side: int) -> None:
        """Take maps of so many channels and cells a side."""
        super().__init__()
        grids = [grid for grid in (6, 3, 2, 1) if side % grid == 0]
        self.pools = nn.ModuleList(nn.MaxPool2d(side // grid) for grid in grids)
        self.width = channels * sum(grid**2 for grid in grids)

    def forward(self, cells: Tensor) -> Tensor:
        """Pool."""
        return torch.cat([pool(cells).flatten(1) for pool in self.pools], dim=1)


def ms_ctc() -> nn.Sequential:
    """The network up to its last feature map, which has 256 channels and, for 224 pixels, six cells a side.

    Source:
        He and Sun, Convolutional Neural Networks at Constrained Time Cost (arXiv:1412.1710), table 1, model J, with the
        strides of its pools in the layers that follow ("delayed subsampling" there): J'. Padded so that the maps of the
        three stages are 36, 18 and 6 cells a side, as there.
    """
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2), nn.ReLU()]
    channels = 64
    stages = (((3, 3), [128] * 4), ((2, 2), [256] * 4), ((3, 3), [2304, 256]))
    for (pool, stride), widths in stages:
        layers.append(nn.MaxPool2d(pool, 1))
        for number, width in enumerate(widths):
            if number == 0:
                layers += [nn.Conv2d(channels, width, 2, stride, 1), nn.ReLU()]
            else:
                layers += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, width, 2), nn.ReLU()]
            channels = width
    body = nn.Sequential(*layers)
    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")  # without it sixteen layers pass nothing on
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return body
