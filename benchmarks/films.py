"""How close to a film its encoding is, and how large: what `censor` does by default, and the curve around it.

Nothing is hidden: what is compared is what the encoder makes of frames that nobody touched, plane by plane as decoded.

    python benchmarks/films.py FILM... [--steps 9]
"""

from __future__ import annotations

import argparse
import io
import math
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from censor.media.film import Film, open_film
from censor.media.film_encoders import quiet
from censor.media.film_kinds import CODECS
from detect.pictures.yuv import plane_arrays


def written(film: Film) -> bytes:
    """The film anew, none of its frames touched."""
    out = io.BytesIO()
    with quiet(film.recipe().codec):
        film.write((part.untouched() for part in film.parts()), out, format=film.format)
    return out.getvalue()


def psnr(one: bytes, other: bytes) -> float:
    """DB between all samples of all planes of two films, as 8-bit numbers."""
    errors, samples = 0.0, 0
    with av.open(io.BytesIO(one), "r") as first, av.open(io.BytesIO(other), "r") as second:
        for before, after in zip(first.decode(video=0), second.decode(video=0), strict=True):
            scale = 1 << (before.format.components[0].bits - 8)
            for ours, theirs in zip(plane_arrays(before), plane_arrays(after), strict=True):
                errors += float((((ours.astype(np.float64) - theirs) / scale) ** 2).sum())
                samples += ours.size
    return 10 * math.log10(255**2 / max(errors / samples, 1e-6))


def bytes_of_pictures(data: bytes) -> int:
    """Of the first stream of pictures alone."""
    with av.open(io.BytesIO(data), "r") as container:
        return sum(packet.size for packet in container.demux(video=0))


def report(path: Path, steps: int) -> None:
    """A line for the default, and one for each fixed number of the encoder around its own."""
    data = path.read_bytes()
    film = open_film(data)
    codec = film.recipe().codec
    print(f"\n{path.name}: {film.info.width} x {film.info.height}, {film.info.pixel_format}, {codec.name}")
    print("| crf | PSNR, dB | bytes of pictures, of the source's | of the file |")
    print("|---|---|---|---|")
    out = written(film)
    print(_row("chosen", data, out))
    for crf in range(max(1, codec.crf - steps), codec.crf + steps + 1, 3):
        fixed = replace(film, codec=replace(CODECS[codec.name], crf=crf), trying=False)
        print(_row(str(crf), data, written(fixed)))


def _row(name: str, data: bytes, out: bytes) -> str:
    pictures = bytes_of_pictures(out) / bytes_of_pictures(data)
    return f"| {name} | {psnr(data, out):.1f} | {pictures:.2f} | {len(out) / len(data):.2f} |"


def main() -> None:
    """Print a table for each film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--steps", type=int, default=9, help="how far around the encoder's own number")
    given = parser.parse_args()
    for path in given.films:
        report(path, given.steps)


if __name__ == "__main__":
    main()
