"""Pictures with a secret in one side channel each: it comes out nowhere, in no form."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import RED, finder
from leaks.carrier import Carrier, encoded
from leaks.carriers import CARRIERS
from leaks.search import SECRET, finds
from numpy.typing import NDArray
from PIL import Image

from censor import Censor
from censor.choices import EFFECTS
from censor.media.encoding import encode
from detect.errors import DetectError
from detect.pictures.formats import SUFFIXES
from detect.pictures.still import decode

FORMATS = sorted(set(SUFFIXES.values()))
RGB = NDArray[np.uint8]
EACH = pytest.mark.parametrize("carrier", CARRIERS, ids=lambda carrier: carrier.name)


@pytest.fixture(scope="module")
def hiding() -> Censor:
    return Censor(policy="boxes", detector=finder())


def censored(hiding: Censor, carrier: Carrier, pixels: RGB, formats: list[str]) -> dict[str, bytes]:
    """Everything that comes out of the library for a carrier: pixels and files, or the words of a refusal."""
    try:
        done = hiding.apply(carrier.make(pixels))
    except DetectError as error:
        if not carrier.refusable:
            raise
        return {"error": str(error).encode()}
    files = {kind: encode(done.picture, format=kind) for kind in formats}
    return {"image": done.image.tobytes(), "words": repr((done.verdict, done.redactions)).encode(), **files}


@EACH
def test_a_carrier_holds_its_secrets(carrier: Carrier, photo: RGB) -> None:
    data = carrier.make(photo)
    assert carrier.secrets
    assert [secret for secret in carrier.secrets if not finds(data, [secret])] == []


@EACH
def test_the_secret_does_not_come_out(hiding: Censor, carrier: Carrier, photo: RGB) -> None:
    formats = sorted({SUFFIXES[carrier.suffix], "JPEG", "PNG"})
    out = censored(hiding, carrier, photo, formats)
    assert {name: found for name, data in out.items() if (found := finds(data, carrier.secrets))} == {}


@pytest.mark.slow
@EACH
def test_the_secret_does_not_come_out_in_any_format(hiding: Censor, carrier: Carrier, photo: RGB) -> None:
    out = censored(hiding, carrier, photo, FORMATS)
    assert {name: found for name, data in out.items() if (found := finds(data, carrier.secrets))} == {}


@EACH
def test_an_error_does_not_quote_the_secret(carrier: Carrier, photo: RGB) -> None:
    """Cut short somewhere, or with some bits turned over: it may still be whole."""
    data = carrier.make(photo)
    at = data.find(SECRET) if SECRET in data else len(data) // 2
    for broken in (data[: at + len(SECRET)], data[:at] + bytes(reversed(data[at:])), data[: len(data) // 3]):
        assert finds(words_about(broken).encode(), carrier.secrets) == []


def words_about(data: bytes) -> str:
    try:
        return f"none, {decode(data).pixels.shape}"
    except DetectError as error:
        return str(error)


def test_most_carriers_come_out(hiding: Censor, photo: RGB) -> None:
    """Otherwise all of this would say nothing."""
    taken = [carrier for carrier in CARRIERS if "error" not in censored(hiding, carrier, photo, [])]
    assert len(taken) > 0.8 * len(CARRIERS)
    assert {carrier.suffix for carrier in taken} == {carrier.suffix for carrier in CARRIERS}


def run_command(folder: Path, *arguments: object) -> bytes:
    """The command's words on both streams."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CENSOR_")}
    command = [sys.executable, "-m", "censor", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    ).stdout


def all_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_command(folder: Path, carriers: list[Carrier], pixels: RGB) -> None:
    """`censor` and `censor check` over a folder of carriers, each also cut short: nothing in files, reports, words."""
    (folder / "in").mkdir()
    for number, carrier in enumerate(carriers):
        data = carrier.make(pixels)
        (folder / "in" / f"{number}{carrier.suffix}").write_bytes(data)
        (folder / "in" / f"{number}-cut{carrier.suffix}").write_bytes(data[: len(data) * 2 // 3])
    hide = run_command(folder, "in", "-o", "out", "--policy", "faces", "-v", "--json", "hide.jsonl")
    check = run_command(folder, "check", "in", "-v", "--json", "check.jsonl")
    secrets = {secret for carrier in carriers for secret in carrier.secrets}
    came = {"hide": hide, "check": check}
    came |= {name: data for name, data in all_of(folder).items() if not name.startswith("in/")}
    assert len(came) > len(carriers) * 0.7
    assert {name: found for name, data in came.items() if (found := finds(data, secrets))} == {}


def test_the_secret_does_not_come_out_of_the_command(photo: RGB, tmp_path: Path) -> None:
    check_command(tmp_path, CARRIERS[::9], photo)


@pytest.mark.slow
def test_no_secret_comes_out_of_the_command(photo: RGB, tmp_path: Path) -> None:
    check_command(tmp_path, CARRIERS, photo)


def near_red(data: bytes) -> int:
    """Pixels that are nearly red, whatever their alpha, and entries of a palette that are."""
    with Image.open(io.BytesIO(data)) as image:
        palette = np.frombuffer(bytes(image.getpalette() or b""), np.uint8).reshape(-1, 3)
        shown = np.asarray(image if image.mode in ("RGB", "RGBA") else image.convert("RGBA"))[..., :3].reshape(-1, 3)
    colors = np.concatenate([shown, palette]).astype(int)
    return int((np.abs(colors - RED).max(axis=1) < 40).sum())


def rgba_over(scene: RGB) -> RGB:
    """The scene with its red wholly transparent, and some red besides."""
    alpha = np.full(scene.shape[:2], 255, np.uint8)
    alpha[30:70, 50:90] = 0
    return np.dstack([scene, alpha])


def hidden_in_palette(scene: RGB) -> Image.Image:
    """Few colours, red among them in the palette alone."""
    image = Image.fromarray(scene[:24, :40] // 64 * 64).quantize(64)
    image.putpalette((bytes(image.getpalette() or b"")[: 64 * 3] + bytes(RED) * 192)[:768])
    return image


SOURCES: dict[str, Callable[[RGB], bytes]] = {
    "opaque PNG": lambda scene: encoded(scene, "PNG"),
    "PNG with red under transparency": lambda scene: encoded(rgba_over(scene), "PNG"),
    "WebP with red under transparency": lambda scene: encoded(rgba_over(scene), "WEBP", lossless=True, exact=True),
    "TIFF with red under transparency": lambda scene: encoded(rgba_over(scene), "TIFF"),
    "PNG with red as the transparent color": lambda scene: encoded(scene, "PNG", transparency=RED),
    "PNG with red in the palette alone": lambda scene: encoded(hidden_in_palette(scene), "PNG", optimize=False),
    "GIF with red in the palette alone": lambda scene: encoded(hidden_in_palette(scene), "GIF", optimize=False),
}


def red_left(scene: RGB, source: str, effect: str, hiding: Censor, formats: list[str]) -> dict[str, int]:
    calm = np.where((scene == RED).all(axis=2)[..., None], scene, np.maximum(scene, 110))  # or noise were nearly red
    data = SOURCES[source](calm)
    assert near_red(data) >= 100
    rules = {label: replace(rule, effect=effect) for label, rule in hiding.policy.rules.items()}
    done = Censor(policy=replace(hiding.policy, rules=rules), detector=finder()).apply(data)
    return {kind: near_red(encode(done.picture, format=kind)) for kind in formats}


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("source", SOURCES)
def test_no_pixel_of_what_was_hidden_comes_out(scene: RGB, source: str, effect: str, hiding: Censor) -> None:
    assert set(red_left(scene, source, effect, hiding, ["PNG", "TIFF", "GIF"]).values()) == {0}


@pytest.mark.slow
@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("source", SOURCES)
def test_no_hidden_pixel_comes_out_in_any_format(scene: RGB, source: str, effect: str, hiding: Censor) -> None:
    formats = [kind for kind in FORMATS if kind != "HEIF"]  # which Pillow does not read
    assert set(red_left(scene, source, effect, hiding, formats).values()) == {0}


LEAKS: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda data: data + SECRET,
    "reversed": lambda data: data + SECRET[::-1],
    "UTF-16": lambda data: data + SECRET.decode().encode("utf-16-le"),
    "hexadecimal": lambda data: data + SECRET.hex().upper().encode(),
    "base64": lambda data: data + base64.b64encode(b"x" + SECRET + b"yz"),
    "deflated": lambda data: data + zlib.compress(SECRET + data),
    "deflated twice": lambda data: data + zlib.compress(b"x" + zlib.compress(SECRET) + b"x"),
    "deflated base64": lambda data: data + zlib.compress(base64.b64encode(SECRET)),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_an_encoder_that_leaks_is_found_out(hiding: Censor, photo: RGB, leak: str) -> None:
    done = hiding.apply(CARRIERS[0].make(photo))
    for kind in FORMATS:
        plain = encode(done.picture, format=kind)
        assert finds(plain) == []
        assert finds(LEAKS[leak](plain)) != []


def test_an_encoder_that_keeps_hidden_pixels_is_found_out(scene: RGB) -> None:
    for kind in ("PNG", "TIFF"):
        assert near_red(encoded(rgba_over(scene), kind)) >= 100
