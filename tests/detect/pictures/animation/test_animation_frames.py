import base64
import io
import shutil
import zlib
from fractions import Fraction

import numpy as np
import pytest
from animations import FORMATS, encoded, red_square, stripes
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import sync_playwright
from sequence_files import Node, entry_of, read, sequence, whole

from detect.errors import DamagedImageError, ImageError, LimitError, UnsupportedImageError
from detect.pictures.animation import animated, decode_frames, durations_of

CHROMIUM = shutil.which("chromium", path="/usr/bin")
PLACES = (0, 10, 60, 70)


def frames_of(data: bytes, **options: int) -> list[NDArray[np.uint8]]:
    return [each.picture.pixels for each in decode_frames(data, "a", **options).frames]


def with_alpha(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.shape[2] == 4 else np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def see_through() -> list[NDArray[np.uint8]]:
    """RGBA frames: a red square that moves over nothing, half of it half transparent."""
    frames = []
    for left in PLACES:
        pixels = np.zeros((64, 96, 4), np.uint8)
        pixels[20:36, left : left + 16] = (250, 10, 20, 255)
        pixels[28:36, left : left + 16, 3] = 128
        frames.append(pixels)
    return frames


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_are_whole_with_the_times_that_the_file_says(kind: str) -> None:
    truth = [red_square(left) for left in PLACES]
    data = encoded(truth, kind, duration=[100, 50, 30, 240], loop=3)
    assert animated(data)
    found = decode_frames(data, "a")
    assert (found.format, found.width, found.height, found.plays) == (kind, 96, 64, 4 if kind == "GIF" else 3)
    frames = list(found.frames)
    assert [each.seconds for each in frames] == [Fraction(ms, 1000) for ms in (100, 50, 30, 240)]
    assert [each.start for each in frames] == [0, Fraction(1, 10), Fraction(3, 20), Fraction(9, 50)]
    assert durations_of(data, "a") == [each.seconds for each in frames]
    assert all(np.array_equal(each.picture.pixels, pixels) for each, pixels in zip(frames, truth, strict=True))
    assert {each.picture.format for each in frames} == {kind}


@pytest.mark.skipif(CHROMIUM is None, reason="no browser: install Debian's chromium to see what viewers show")
def test_frames_are_those_that_chromium_shows() -> None:
    mixed = [red_square(0), red_square(50)]
    files = {
        "image/gif": [
            encoded([red_square(left) for left in PLACES], "GIF"),
            patched_gif(2),
            patched_gif(3),
            patched_gif(1),
        ],
        "image/png": [encoded(see_through(), "PNG", disposal=each, blend=1) for each in (0, 1, 2)]
        + [encoded(see_through(), "PNG", disposal=1, blend=0), encoded(mixed, "PNG")],
        "image/webp": [encoded(see_through(), "WEBP"), encoded(mixed, "WEBP", lossless=False, quality=90)],
        # Of full range Chromium takes them for narrow, which is a matter of contrast alone; turned by their track.
        "image/avif": [sequence(mixed, range="limited"), turned(sequence(mixed, range="limited"))],
    }
    script = """async ([type, text]) => {
        const data = Uint8Array.from(atob(text), each => each.charCodeAt(0));
        const decoder = new ImageDecoder({type, data, preferAnimation: true});
        await decoder.completed; await decoder.tracks.ready;
        const frames = [];
        for (let frameIndex = 0; frameIndex < decoder.tracks.selectedTrack.frameCount; frameIndex++) {
            const {image} = await decoder.decode({frameIndex});
            const canvas = new OffscreenCanvas(image.displayWidth, image.displayHeight);
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const blob = await canvas.convertToBlob({type: 'image/png'});
            const bytes = new Uint8Array(await blob.arrayBuffer());
            frames.push([image.duration, btoa(String.fromCharCode(...bytes))]);
        }
        return frames;
    }"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page()
            page.route("http://localhost/", lambda route: route.fulfill(body="<p>", content_type="text/html"))
            page.goto("http://localhost/")
            for kind, every in files.items():
                for data in every:
                    shown = page.evaluate(script, [kind, base64.b64encode(data).decode()])
                    ours = list(decode_frames(data, "a").frames)
                    assert len(shown) == len(ours)
                    for (microseconds, text), frame in zip(shown, ours, strict=True):
                        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")).astype(int)
                        assert microseconds == frame.seconds * 1_000_000
                        own = with_alpha(frame.picture.pixels).astype(int)
                        assert np.array_equal(own[..., 3], pixels[..., 3])
                        # A canvas keeps colours multiplied by alpha: at half of it, one step is two.
                        assert np.abs(own - pixels)[own[..., 3] > 0].max() <= 3
        finally:
            browser.close()


def turned(data: bytes) -> bytes:
    """A sequence that is turned, its still, too."""
    root = read(data)
    entry_of(root).inner.append(Node(b"irot", b"\1"))
    properties = root.find(b"meta", b"iprp", b"ipco").inner
    properties.append(Node(b"irot", b"\1"))
    associated = root.find(b"meta", b"iprp", b"ipma")
    body = bytearray(associated.body) + bytes([0x80 | len(properties)])
    body[10] += 1
    associated.body = bytes(body)
    return whole(root)


def patched_gif(disposal: int) -> bytes:
    """Three frames, of which the later ones are smaller than the screen, each with this disposal."""
    frames = [Image.fromarray(stripes()).quantize(64)]
    for number in range(2):
        patch = Image.new("P", (16, 16), number + 1)
        patch.putpalette([0, 0, 0, 250, 10, 20, 20, 10, 250])
        frames.append(patch)
    parts = [screen := bytearray(b"GIF89a" + (96).to_bytes(2, "little") + (64).to_bytes(2, "little") + b"\0\0\0")]
    assert screen[10] == 0
    for number, image in enumerate(frames):
        stream = io.BytesIO()
        image.save(stream, "GIF")
        single = stream.getvalue()
        colors = 3 << ((single[10] & 7) + 1)
        palette, rest = single[13 : 13 + colors], single[13 + colors :]
        at = rest.index(b",")
        where = (0, 0) if number == 0 else (8 + 30 * number, 10)
        descriptor = b"," + b"".join(each.to_bytes(2, "little") for each in (*where, *image.size))
        descriptor += bytes([0x80 | (single[10] & 7)])
        control = b"!\xf9\x04" + bytes([disposal << 2]) + (7).to_bytes(2, "little") + b"\0\0"
        parts.append(bytearray(control + descriptor + palette + rest[at + 10 : -1]))
    return b"".join(parts) + b";"


def test_a_gif_of_patches_is_disposed_of_as_it_says() -> None:
    ground = with_alpha(np.asarray(Image.fromarray(stripes()).quantize(64).convert("RGB")))
    for disposal, left_of_first in ((1, (250, 10, 20, 255)), (2, (0, 0, 0, 0)), (3, None)):
        first, second, third = (with_alpha(each) for each in frames_of(patched_gif(disposal)))
        assert np.array_equal(first, ground)
        assert (second[10:26, 38:54] == (250, 10, 20, 255)).all()
        assert (third[10:26, 68:84] == (20, 10, 250, 255)).all()
        if left_of_first is not None:
            assert (third[10:26, 38:54] == left_of_first).all()
        else:  # the first frame itself was restored to what was before it: nothing
            assert not third[10:26, 38:54].any()


def test_colors_under_full_transparency_are_there_to_be_judged_and_not_to_be_shown() -> None:
    frames = see_through()
    frames[1][40:60, 30:50] = (250, 10, 20, 0)
    data = encoded(frames, "PNG", blend=0)
    picture = [each.picture for each in decode_frames(data, "a").frames][1]
    assert picture.beneath is not None
    assert (picture.beneath[45, 40] == (250, 10, 20)).all()
    assert not picture.pixels[45, 40].any()


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_cut_short_anywhere_gives_no_whole_animation(kind: str) -> None:
    data = encoded([red_square(left) for left in PLACES], kind)
    for end in range(len(data) - 5, 40, -max(1, len(data) // 150)):  # the last checksum protects nothing
        with pytest.raises(ImageError):
            assert len(frames_of(data[:end])) < 0


def test_a_png_whose_animation_chunks_are_wrong_is_refused() -> None:
    data = encoded([red_square(left) for left in PLACES], "PNG")
    for kind in (b"acTL", b"fcTL", b"fdAT"):
        at = data.index(kind) + 8
        broken = bytearray(data)
        broken[at] ^= 1
        with pytest.raises(DamagedImageError, match=f"the checksum of its {kind.decode()} chunk is wrong"):
            frames_of(bytes(broken))
    more = bytearray(data)
    at = more.index(b"acTL")
    more[at + 4 : at + 8] = (5).to_bytes(4)
    more[at + 12 : at + 16] = zlib.crc32(bytes(more[at : at + 12])).to_bytes(4)
    with pytest.raises(DamagedImageError, match="4 frames where 5 are announced"):
        frames_of(bytes(more))


def test_a_still_that_only_some_viewers_show_is_refused() -> None:
    images = [Image.fromarray(red_square(left)) for left in PLACES]
    stream = io.BytesIO()
    images[0].save(stream, "PNG", save_all=True, append_images=images[1:], default_image=True)
    with pytest.raises(UnsupportedImageError, match="still picture is none of its animation's frames"):
        frames_of(stream.getvalue())


def test_frames_beyond_the_canvas_and_disposals_without_a_meaning_are_refused() -> None:
    data = bytearray(patched_gif(1))
    at = data.index(b"\x00\x2c\x26\x00") + 2  # the second frame's left edge, 38
    wide = bytes(data[:at]) + (90).to_bytes(2, "little") + bytes(data[at + 2 :])
    with pytest.raises(UnsupportedImageError, match="a frame of 16 x 16 at 90, 10 on a screen of 96 x 64"):
        frames_of(wide)
    with pytest.raises(UnsupportedImageError, match="disposed of in a way without a meaning, 6"):
        frames_of(patched_gif(6))


def test_caps_hold() -> None:
    data = encoded([red_square(left) for left in PLACES])
    with pytest.raises(LimitError, match="over the cap of 100"):
        decode_frames(data, "a", max_pixels=100)
    with pytest.raises(LimitError, match="more than 3 frames"):
        frames_of(data, max_frames=3)
    with pytest.raises(LimitError, match="more than 2 frames"):
        frames_of(data, max_total_pixels=3 * 96 * 64 - 1)


def test_a_still_is_no_animation() -> None:
    stream = io.BytesIO()
    Image.fromarray(stripes()).save(stream, "PNG")
    assert not animated(stream.getvalue())
    assert not animated(b"GIF89a")
    assert not animated(b"no picture")
