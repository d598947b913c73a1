"""Memory of the command on one large picture, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

PROGRAM = """
import sys
from censor.cli import main
try:
    main(sys.argv[1:])
finally:
    print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_12_megapixel_jpeg_takes_at_most_400_mb(astronaut: NDArray[np.uint8], tmp_path: Path) -> None:
    large = cv2.resize(astronaut[:384], (4000, 3000), interpolation=cv2.INTER_LINEAR)
    Image.fromarray(np.asarray(large)).save(tmp_path / "large.jpg", quality=90)
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        *map(str, (tmp_path / "large.jpg", "-o", tmp_path / "out.jpg")),
        "--policy",
        "faces",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"[12] regions? hidden", done.stdout)  # the second look may see a face in a mosaic
    assert int(done.stdout.split()[-1]) / 1024 < 400
