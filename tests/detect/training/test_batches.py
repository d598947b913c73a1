"""Which pictures each step sees, and what the network is given of them."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from detect.training.batches import Batches
from detect.training.normalization import normalize


def test_normalize_by_hand() -> None:
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    assert normalize(images, [0.5, 0.5, 0.1], [0.5, 0.25, 0.1]).flatten().tolist() == pytest.approx([-1, 2, 1])


def test_batches_show_every_picture_once_an_epoch_and_go_on_where_they_stopped() -> None:
    whole = list(Batches(10, batch_size=4, steps=10, seed=1))
    keys = [key for batch in whole for key in batch]
    assert Counter(keys) == Counter((epoch, index) for epoch in range(4) for index in range(10))
    assert [index for _, index in keys[:10]] != [index for _, index in keys[10:20]]
    assert list(Batches(10, batch_size=4, steps=10, seed=1, start=6)) == whole[6:]
    assert list(Batches(10, batch_size=4, steps=10, seed=2)) != whole


def test_processes_and_parts_share_the_same_batches() -> None:
    whole = list(Batches(10, batch_size=4, steps=5, seed=1))
    shares = [list(Batches(10, batch_size=4, steps=5, seed=1, rank=rank, processes=2)) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(batch) for batch in whole]
    parts = list(Batches(10, batch_size=4, steps=5, seed=1, parts=2))
    assert [a + b for a, b in zip(parts[::2], parts[1::2], strict=True)] == whole
    with pytest.raises(ValueError, match="cannot be shared"):
        Batches(10, batch_size=4, steps=5, seed=1, processes=3)
