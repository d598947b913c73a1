"""What is left of a JPEG's block tells the rest of it, so that none is hidden in part."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from encoding import oriented
from fakes import Scripted
from numpy.typing import NDArray
from PIL import Image

from censor import Censor, Policy, Rule
from censor.evidence import Evidence
from censor.redact import Frame, Redaction, paint, plan
from detect.detections import Detections
from detect.pictures.still import Picture, decode

LABEL = "FEMALE_BREAST_EXPOSED"
BOX = (21, 22, 75, 62)  # in the middle of blocks, however large they are
ZIGZAG = [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0)]


def policy(**values: object) -> Policy:
    given: dict[str, object] = {"censor_at": 0.5, "nsfw_at": 0.5, "shape": "box", "expand": 0.0, **values}
    return Policy(name="test", rules={LABEL: Rule(**given)})  # type: ignore[arg-type]


def jpeg(*, quality: int = 75, subsampling: str = "444") -> bytes:
    """Soft hills in three colours: blocks of a few coefficients, as skin has them."""
    y, x = np.mgrid[0:90, 0:110]
    rng = np.random.default_rng(3)
    planes = []
    for _ in range(3):
        hills = sum(
            rng.uniform(-60, 60) * np.exp(-((x - rng.uniform(0, 110)) ** 2 + (y - rng.uniform(0, 90)) ** 2) / 300)
            for _ in range(14)
        )
        planes.append(128 + hills)
    pixels = np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8)
    return bytes(simplejpeg.encode_jpeg(pixels, quality=quality, colorsubsampling=subsampling))


def redactions(picture: Picture, *, aware: bool, rules: Policy) -> list[Redaction]:
    found = Detections(np.array([BOX], np.float32), np.array([0.9]), np.array([0]), (LABEL,))
    blocks = picture.blocks if aware else None
    return plan(Evidence(boxes=found), rules, Frame(width=picture.width, height=picture.height, blocks=blocks))


def basis() -> NDArray[np.float64]:
    """Pixels of the first coefficients, (8, 8, 10) (ITU-T T.81, A.3.3)."""
    at = np.arange(8)
    cosines = [np.cos((2 * at + 1) * k * np.pi / 16) * (np.sqrt(0.125) if k == 0 else 0.5) for k in range(8)]
    return np.stack([np.outer(cosines[v], cosines[u]) for v, u in ZIGZAG], axis=2)


def guessed(block: NDArray[np.uint8], visible: NDArray[np.bool_], table: NDArray[np.int64]) -> NDArray[np.float64]:
    """A grey block of which some pixels are seen, from those alone: whole multiples of the table that fit them best."""
    steps = np.array([table[v, u] for v, u in ZIGZAG])
    known = block[visible].astype(float) - 128
    fit, *_ = np.linalg.lstsq(basis()[visible] * steps, known, rcond=None)
    return np.clip(np.round(basis() @ (np.round(fit) * steps) + 128), 0, 255)


def given_back(before: NDArray[np.uint8], after: NDArray[np.uint8], hidden: NDArray[np.bool_], data: bytes) -> int:
    """How many blocks of a grey JPEG, hidden in part, a guess from the rest gives back to the last grey."""
    with Image.open(io.BytesIO(data)) as image:
        table = np.array(image.quantization[0]).reshape(8, 8)  # type: ignore[attr-defined]
    count = 0
    for top in range(0, before.shape[0] - 7, 8):
        for left in range(0, before.shape[1] - 7, 8):
            part = np.s_[top : top + 8, left : left + 8]
            visible = ~hidden[part]
            if visible.any() and not visible.all():
                guess = guessed(after[part][..., 0], visible, table)
                count += bool(np.abs(guess - before[part][..., 0])[~visible].max() <= 1)
    return count


def test_half_a_block_gives_the_other_half_back_unless_both_are_hidden() -> None:
    grey = simplejpeg.decode_jpeg(jpeg(), colorspace="GRAY")
    data = simplejpeg.encode_jpeg(grey, quality=75, colorspace="GRAY", colorsubsampling="Gray")
    picture = decode(data)
    stolen = {}
    for aware in (False, True):
        after = picture.pixels.copy()
        found = redactions(picture, aware=aware, rules=policy(effect="solid"))
        paint(after, found, policy())
        hidden = np.zeros(after.shape[:2], np.bool_)
        found[0].region.mark(hidden)
        stolen[aware] = given_back(picture.pixels, after, hidden, data)
    assert stolen[False] > 10  # the attack works
    assert stolen[True] == 0


@pytest.mark.parametrize("subsampling", ["444", "422", "440", "420"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("shape", ["box", "rounded", "ellipse"])
def test_no_block_of_a_jpeg_is_hidden_in_part(shape: str, orientation: int, subsampling: str) -> None:
    data = oriented(jpeg(subsampling=subsampling), orientation)
    before = decode(data)
    assert before.blocks is not None
    answers = [[(LABEL, 0.9, BOX)], []]
    after = Censor(policy=policy(effect="solid", shape=shape), detector=Scripted([LABEL], *answers)).apply(data)
    hidden = (after.image == 0).all(axis=2)
    assert hidden[BOX[1] : BOX[3], BOX[0] : BOX[2]].all()
    assert (after.image[~hidden] == before.pixels[~hidden]).all()
    assert 0.1 < hidden.mean() < 0.9
    grid = before.blocks
    rows = (np.arange(before.height) - grid.y) // grid.height + 1
    columns = (np.arange(before.width) - grid.x) // grid.width + 1
    for row in np.unique(rows):
        for column in np.unique(columns):
            block = hidden[np.ix_(rows == row, columns == column)]
            assert block.all() or not block.any()


def test_pixels_without_blocks_keep_their_shape() -> None:
    pixels = decode(jpeg()).pixels
    answers = [[(LABEL, 0.9, BOX)], []]
    after = Censor(policy=policy(effect="solid"), detector=Scripted([LABEL], *answers)).apply(pixels)
    hidden = (after.image == 0).all(axis=2)
    assert hidden.sum() == (BOX[2] - BOX[0]) * (BOX[3] - BOX[1])
