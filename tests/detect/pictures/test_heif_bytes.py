"""AVIF and HEIC byte by byte: no change brings down more than an error, and a small file takes little memory."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from encoding import Encode
from heif_files import File, ispe, read
from numpy.typing import NDArray
from PIL import Image

from detect.errors import ImageError
from detect.pictures.bmff import top_boxes
from detect.pictures.heif import check_items


@pytest.fixture(scope="module")
def square(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(astronaut[80:144, 200:264])


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_no_byte_of_the_boxes_makes_anything_but_an_error_or_the_picture(
    square: NDArray[np.uint8], encoded: Encode, kind: str
) -> None:
    data = encoded(square, kind)
    end = data.index(b"mdat")
    generator, errors = np.random.default_rng(1), 0
    for at in generator.integers(8, end, 200):
        changed = bytearray(data)
        changed[at] = generator.integers(256)
        try:
            check_items(bytes(changed), kind, "p", 10_000)
        except ImageError:
            errors += 1
    assert 0 < errors < 200


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """A frame of 2,400 x 2,400 behind 100 x 100: what refusing it takes, beside what decoding the frame takes."""
    stream = io.BytesIO()
    Image.new("L", (2400, 2400)).save(stream, "AVIF", speed=10)
    file = read(stream.getvalue())
    (tmp_path / "large.avif").write_bytes(file.build())
    file.parts[1].put(ispe(100, 100))
    (tmp_path / "small.avif").write_bytes(file.build())
    assert (tmp_path / "small.avif").stat().st_size < 100_000
    program = (
        "import sys\nfrom pathlib import Path\nfrom detect.pictures.still import decode\n"
        "from detect.pictures import av1, heif\nfrom PIL import AvifImagePlugin\n"
        # Not ru_maxrss, which begins with the peak of the process that forked.
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\nbefore = peak()\n"
        "said = 'taken'\ntry: decode(sys.argv[1])\nexcept Exception as error: said = type(error).__name__\n"
        "print(said, peak() - before)"
    )
    taken = {}
    for name in ("small", "large"):
        command = [sys.executable, "-c", program, str(tmp_path / f"{name}.avif")]
        said, kibibytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        taken[name, said] = int(kibibytes)
    assert taken["small", "DamagedImageError"] < 10_000
    assert taken["large", "taken"] > 22_500  # the frame and its RGB


def test_a_file_built_here_is_a_file() -> None:
    file = File(b"", {}, [])
    assert [found.kind for found in top_boxes(file.build())] == [b"meta", b"mdat"]
