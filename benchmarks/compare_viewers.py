"""Whether what is judged is what viewers show: files of every kind, in Chromium or another reader and in `decode`.

    make compare                            many hundred fixed files
    make compare ARGS="--seconds 600"       and random ones for ten minutes more
    make compare ARGS="--seed 7 --keep DIR" other random ones; files that differ are kept

A file passes if one of the readings that are judged is what the viewer shows, or if it is refused. The exit code is 1
if any shows what nobody judges. Needs Chromium, ImageMagick, libvips, avifenc and libheif's examples (Debian: chromium
imagemagick libvips-tools libavif-bin libheif-examples).
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import sync_playwright
from viewer_changes import random_case
from viewer_files import Case, fixed_cases

from detect.errors import ImageError
from detect.pictures.alpha import over
from detect.pictures.animation import animated, decode_frames
from detect.pictures.color import settled_srgb, to_srgb
from detect.pictures.still import Picture, decode

MEAN, OUTLIERS, LEVELS = 3.0, 0.02, 24
"""A reading is what a viewer shows if the mean difference is at most the first, of 255, and at most the second part of
all values differ by more than the third: decoders round, and smooth chrominance, in their own ways."""

RGB = NDArray[np.uint8]
TOOLS = ("convert", "vips", "avifenc", "heif-convert")
"""What viewers and coders are called that are no browser."""


class Chromium:
    """Renders one picture after the other on a white page, on a screen of sRGB."""

    def __enter__(self) -> Self:
        self._play = sync_playwright().start()
        self._browser = self._play.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--force-color-profile=srgb"]
        )
        self._page = self._browser.new_page(viewport={"width": 320, "height": 320})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        self._play.stop()

    def show(self, case: Case) -> RGB | None:
        """RGB as on the screen; None if it shows nothing, or nothing but white."""
        url = f"data:{case.mime};base64,{base64.b64encode(case.data).decode()}"
        self._page.set_content("<body style='margin:0;background:#fff'><img id=shown style='display:block'>")
        size = self._page.evaluate(
            """async url => {
                const image = document.getElementById('shown');
                image.src = url;
                try { await image.decode() } catch (error) { return null }
                return [image.naturalWidth, image.naturalHeight] }""",
            url,
        )
        if size is None or not 0 < size[0] <= 320 or not 0 < size[1] <= 320:
            return None
        data = self._page.screenshot(clip={"x": 0, "y": 0, "width": size[0], "height": size[1]})
        shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        return None if (shown == 255).all() else shown  # the page: some files that it cannot decode it does not refuse


def by_command(case: Case, folder: Path) -> list[RGB]:
    """What other readers make of a file: those of them that read it."""
    source, target = folder / f"in.{case.family}", folder / "out.png"
    source.write_bytes(case.data)
    commands = {
        "tiff": [
            [
                "convert",
                f"{source}[0]",
                "-auto-orient",
                "-background",
                "white",
                "-flatten",
                "-depth",
                "8",
                f"PNG24:{target}",
            ],
            ["vips", "colourspace", f"{source}[autorotate]", str(target), "srgb"],
        ],
        "heic": [["heif-convert", str(source), str(target)]],
    }[case.family]
    shown = []
    for command in commands:
        target.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        if done.returncode == 0 and target.exists():
            image: Image.Image = Image.open(target)
            if image.mode == "RGB" and (icc := image.info.get("icc_profile")):  # which is for the next reader to apply
                image = to_srgb(image, icc) or image
            deep = image.mode.startswith("I")
            pixels = np.asarray(image) // 257 if deep else np.asarray(image.convert("RGBA"))
            shown.append(np.repeat(pixels[..., None], 3, axis=2).astype(np.uint8) if deep else over(pixels, 255))
    return shown


def readings(picture: Picture) -> Iterator[RGB]:
    """All that is judged of a picture, that first which is written."""
    pixels = picture.pixels if picture.icc is None else settled_srgb(picture.pixels, picture.icc)
    for each in (pixels, *(reading.pixels for reading in picture.readings)):
        yield over(each, 255) if each.shape[2] == 4 else each
        if each.shape[2] == 4:
            yield each[..., :3]
            # Chromium takes the alpha of an AVIF for one of narrow range, which is a matter of contrast alone.
            yield over(np.dstack([each[..., :3], _narrow(each[..., 3:])]), 255)
    if picture.beneath is not None:
        yield picture.beneath


def _narrow(values: RGB) -> RGB:
    """What becomes of values of full range that are taken for narrow."""
    return np.clip((values.astype(float) - 16) * 255 / 219, 0, 255).astype(np.uint8)


def first_shown(case: Case) -> list[RGB]:
    """All that is judged of a picture, or of the first of several frames."""
    if not animated(case.data):
        return list(readings(decode(case.data)))
    picture = next(decode_frames(case.data, case.name).frames).picture
    found = list(readings(picture))
    if case.family == "avis":  # Chromium takes each for one of narrow range, which is a matter of contrast alone.
        pixels = picture.pixels.copy()
        pixels[..., :3] = _narrow(pixels[..., :3])
        found += readings(replace(picture, pixels=pixels))
    return found


def alike(one: RGB, other: RGB) -> bool:
    """Whether two pictures show the same."""
    if one.shape != other.shape:
        return False
    off = np.abs(one.astype(int) - other)
    return bool(off.mean() <= MEAN and (off > LEVELS).mean() <= OUTLIERS)


def outcome(case: Case, chromium: Chromium, folder: Path) -> str:
    """How a file fared: "written" and "judged" are by which reading it is that the viewer shows."""
    try:
        ours = first_shown(case)
    except ImageError:
        return "refused"
    if case.mime:
        picture = chromium.show(case)
        shown = [] if picture is None else [picture]
    else:
        shown = by_command(case, folder)
    if not shown:
        return "shown by none"
    if any(alike(each, ours[0]) for each in shown):
        return "written"
    return "judged" if any(alike(each, one) for each in shown for one in ours[1:]) else "DIFFERS"


def main() -> int:
    """Print a table, and what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0, help="of random files behind the fixed ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="a family: png, jpeg, webp, avif, avis, gif, bmp, tiff or heic")
    parser.add_argument("--verbose", action="store_true", help="a line for each fixed file")
    parser.add_argument("--keep", type=Path, help="a folder for files that differ")
    arguments = parser.parse_args()
    if missing := [each for each in TOOLS if shutil.which(each) is None]:
        parser.error(f"{', '.join(missing)}: not installed; these are Debian's packages that are named above")
    warnings.simplefilter("ignore")  # Pillow's, of broken tags
    table: dict[str, Counter[str]] = {}
    different: list[str] = []

    def look(case: Case, *, loud: bool) -> None:
        found = outcome(case, chromium, Path(folder))
        table.setdefault(case.family, Counter())[found] += 1
        if found == "DIFFERS":
            different.append(case.name)
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                (arguments.keep / f"{len(different):03}.{case.family}").write_bytes(case.data)
        if loud or found == "DIFFERS":
            print(f"{case.family:5} {found:13} {case.name}", flush=True)

    with tempfile.TemporaryDirectory() as folder, Chromium() as chromium:
        for case in fixed_cases(arguments.only):
            look(case, loud=arguments.verbose)
        rng = np.random.default_rng(arguments.seed)
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            look(random_case(rng, arguments.only), loud=False)
    columns = ("written", "judged", "refused", "shown by none", "DIFFERS")
    print("\n" + "".join(f"{each:>15}" for each in ("", *columns)))
    for family, counts in sorted(table.items()):
        print(f"{family:>15}" + "".join(f"{counts[each]:>15}" for each in columns))
    print(f"\n{sum(map(Counter.total, table.values()))} files, {len(different)} show what nobody judges")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
