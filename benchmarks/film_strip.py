"""Draw the strip of the README: four frames of a film with a face, and above them what they were.

python benchmarks/film_strip.py docs/images/film-strip.jpg
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import av
import cv2
import numpy as np
from face_drawing import Pixels
from moving_faces import scenes, write
from PIL import Image

from censor import Censor

_NUMBERS = range(10, 66, 4)  # of the scene's frames
_SHOWN = (2, 5, 8, 11)  # of these


def _row(path: Path) -> Pixels:
    with av.open(str(path), "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    small = [np.asarray(cv2.resize(frames[each], (240, 132), interpolation=cv2.INTER_AREA)) for each in _SHOWN]
    framed = [np.pad(each, ((2, 2), (2, 2), (0, 0)), constant_values=255) for each in small]
    return np.asarray(np.hstack(framed), np.uint8)


def main() -> None:
    """Draw it."""
    scene = next(each for each in scenes() if each.kind == "enters and leaves")
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "in.mp4"), Path(folder, "out.mp4")
        write(str(before), (scene.frame(each).pixels for each in _NUMBERS), 12)
        Censor("faces").apply_medium(before, after)
        Image.fromarray(np.vstack([_row(before), _row(after)])).save(sys.argv[1], quality=85)


if __name__ == "__main__":
    main()
