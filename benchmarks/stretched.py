"""Folders of pictures as the scripts beside this one name them, and pictures that were squashed to be stored."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from detect.detections import RGBImage
from detect.pictures.formats import SUFFIXES
from detect.pictures.rgb import read_rgb

__all__ = ["SHIPPED", "PictureFolder", "picture_folder", "stretch"]

SHIPPED = "skimage"
"""Names the photographs that scikit-image ships, where a folder is asked for."""

_PHOTOGRAPHS = ("astronaut", "camera", "chelsea", "coffee", "coins", "hubble_deep_field", "rocket")


@dataclass(frozen=True, kw_only=True)
class PictureFolder:
    """Where pictures lie.

    Attributes:
        name: As it was given.
        path: The folder; None for the shipped photographs.
        shape: Columns and rows in proportion to which its pictures are stretched; None leaves them as they are.
    """

    name: str
    path: Path | None
    shape: tuple[int, int] | None

    def pictures(self) -> Iterator[tuple[str, Path | RGBImage]]:
        """Names, and files or pixels, in the order of the names.

        Raises:
            FileNotFoundError: There is no picture.
            ImageError, ReadError: One that is to be stretched cannot be decoded.
        """
        if self.path is None:
            import skimage.data

            for name in _PHOTOGRAPHS:
                pixels = np.asarray(getattr(skimage.data, name)())
                yield name, pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            return
        files = sorted(path for path in self.path.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise FileNotFoundError(f"{self.path}: no picture in this folder")
        for file in files:
            name = str(file.relative_to(self.path))
            yield name, file if self.shape is None else stretch(read_rgb(file), self.shape)


def picture_folder(text: str) -> PictureFolder:
    """``FOLDER``, ``FOLDER@16:9`` for pictures that were squashed, or ``skimage``: a type for argparse.

    Raises:
        ArgumentTypeError: There is no such folder.
    """
    match = re.fullmatch(r"(.+?)(?:@([1-9]\d*):([1-9]\d*))?", text)
    path, *sides = match.groups() if match else (text, None, None)
    shape = (int(sides[0]), int(sides[1])) if sides[0] and sides[1] else None
    if path == SHIPPED:
        return PictureFolder(name=text, path=None, shape=None)
    if not Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"{path}: no such folder")
    return PictureFolder(name=text, path=Path(path), shape=shape)


def stretch(pixels: RGBImage, shape: tuple[int, int]) -> RGBImage:
    """A picture with as many rows, and columns in proportion to `shape`, which is (columns, rows)."""
    rows = pixels.shape[0]
    size = (round(rows * shape[0] / shape[1]), rows)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
