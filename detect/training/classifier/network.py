"""What every classifier here is: a body that makes a feature map, a neck that makes one row of it, a linear layer."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ["ClassifierNetwork"]


class ClassifierNetwork(nn.Module):
    """Pictures to logits.

    Where the neck is the mean over all cells, what each cell says by itself is exact: the logits are the mean of the
    cells' logits.

    Attributes:
        body: (B, 3, H, W) to (B, C, h, w), or to what the neck takes.
        neck: (B, C, h, w) to (B, D).
        fc: (B, D) to (B, K).
        has_cells: Whether what each cell says is exact.
        is_free: Whether it takes any size that is a multiple of 32, once it was trained at one.
        frozen: Whether the statistics of normalisation stay as they are while training; their scale and shift learn.
    """

    def __init__(
        self,
        body: nn.Module,
        *,
        neck: nn.Module | None,
        width: int,
        classes: int,
        dropout: float,
        is_free: bool = True,
    ) -> None:
        """Put a network together.

        Args:
            body: See the attributes.
            neck: None for the mean over all cells.
            width: D.
            classes: K.
            dropout: Share of the row that each step of training leaves out, in [0, 1).
            is_free: See the attributes.
        """
        super().__init__()
        self.body = body
        self.has_cells = neck is None
        self.is_free = is_free
        self.neck = neck if neck is not None else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(width, classes)
        self.frozen = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K) of normalised pictures (B, 3, H, W)."""
        logits: Tensor = self.fc(self.dropout(self.neck(self.body(images))))
        return logits

    def train(self, mode: bool = True) -> Self:
        """See `nn.Module.train`; frozen statistics stay frozen."""
        super().train(mode)
        if self.frozen:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
