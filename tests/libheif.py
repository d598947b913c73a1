"""HEIF sequences by libheif, as pillow-heif carries it: another's reader and writer. Its Python has no way to them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RGB_COLORS, INTERLEAVED_RGB, INTERLEAVED_RGBA, INTERLEAVED = 1, 10, 11, 10
HEVC, IMAGE_SEQUENCE, END_OF_SEQUENCE = 1, int.from_bytes(b"pict"), 13
INTRA_ONLY, LOW_DELAY, UNRESTRICTED = range(3)


class _Error(ctypes.Structure):
    _fields_ = (("code", ctypes.c_int), ("subcode", ctypes.c_int), ("message", ctypes.c_char_p))


class _Options(ctypes.Structure):
    """heif_sequence_encoding_options; what comes between version and structure is left as libheif made it."""

    _fields_ = (
        ("version", ctypes.c_uint8),
        ("profile", ctypes.c_void_p),
        ("conversion", ctypes.c_uint8 * 16),
        ("structure", ctypes.c_int),
        ("least", ctypes.c_int),
        ("most", ctypes.c_int),
    )


def _library() -> Any:
    files = distribution("pillow_heif").files or []
    found = next((each for each in files if Path(each).name.startswith("libheif-")), None)
    if found is None:
        raise FileNotFoundError("pillow-heif without a libheif of its own")
    library = ctypes.CDLL(str(found.locate()))
    for name in (
        "heif_context_alloc", "heif_context_get_track", "heif_image_get_plane", "heif_image_get_plane_readonly",
        "heif_sequence_encoding_options_alloc", "heif_track_options_alloc",
    ):  # fmt: skip
        getattr(library, name).restype = ctypes.c_void_p
    return library


def _checked(error: _Error) -> int:
    if error.code not in (0, END_OF_SEQUENCE):
        raise ValueError(f"libheif: {(error.message or b'').decode()} ({error.code}.{error.subcode})")
    return int(error.code)


@contextmanager
def _context(library: Any) -> Iterator[ctypes.c_void_p]:
    context = ctypes.c_void_p(library.heif_context_alloc())
    try:
        yield context
    finally:
        library.heif_context_free(context)


def read_sequence(data: bytes, most: int = 100) -> list[tuple[NDArray[np.uint8], int]]:
    """The frames of the first track, RGBA, and the ticks that each is shown for; again and again, where it is to be."""
    library = _library()
    for name in ("heif_context_read_from_memory_without_copy", "heif_track_decode_next_image"):
        getattr(library, name).restype = _Error
    found: list[tuple[NDArray[np.uint8], int]] = []
    with _context(library) as context:
        _checked(library.heif_context_read_from_memory_without_copy(context, data, ctypes.c_size_t(len(data)), None))
        track = ctypes.c_void_p(library.heif_context_get_track(context, 0))
        while len(found) < most:
            image = ctypes.c_void_p()
            done = _checked(
                library.heif_track_decode_next_image(track, ctypes.byref(image), RGB_COLORS, INTERLEAVED_RGBA, None)
            )
            if done == END_OF_SEQUENCE:
                break
            found.append((_pixels(library, image), int(library.heif_image_get_duration(image))))
            library.heif_image_release(image)
        library.heif_track_release(track)
    return found


def _pixels(library: Any, image: ctypes.c_void_p) -> NDArray[np.uint8]:
    width, height = (getattr(library, f"heif_image_get_{each}")(image, INTERLEAVED) for each in ("width", "height"))
    stride = ctypes.c_int()
    plane = library.heif_image_get_plane_readonly(image, INTERLEAVED, ctypes.byref(stride))
    rows = np.frombuffer(ctypes.string_at(plane, stride.value * height), np.uint8).reshape(height, stride.value)
    return rows[:, : 4 * width].reshape(height, width, 4).copy()


def write_sequence(
    frames: Sequence[NDArray[np.uint8]],
    ticks: Sequence[int],
    path: Path,
    *,
    structure: int = LOW_DELAY,
    plays: int = 1,
    chroma: str = "420",
) -> bytes:
    """RGB or RGBA frames as a sequence of HEVC, in milliseconds, hardly any of their colours lost."""
    library = _library()
    for name in (
        "heif_context_get_encoder_for_format", "heif_context_add_visual_sequence_track", "heif_image_create",
        "heif_image_add_plane", "heif_track_encode_sequence_image", "heif_track_encode_end_of_sequence",
        "heif_context_write_to_file", "heif_encoder_set_lossy_quality", "heif_encoder_set_parameter_string",
    ):  # fmt: skip
        getattr(library, name).restype = _Error
    height, width, channels = frames[0].shape
    with _context(library) as context:
        encoder, track = ctypes.c_void_p(), ctypes.c_void_p()
        _checked(library.heif_context_get_encoder_for_format(context, HEVC, ctypes.byref(encoder)))
        _checked(library.heif_encoder_set_lossy_quality(encoder, 100))
        _checked(library.heif_encoder_set_parameter_string(encoder, b"chroma", chroma.encode()))
        library.heif_context_set_number_of_sequence_repetitions(context, plays)
        options = ctypes.cast(library.heif_sequence_encoding_options_alloc(), ctypes.POINTER(_Options))
        options.contents.structure = structure
        timing = ctypes.c_void_p(library.heif_track_options_alloc())
        library.heif_track_options_set_timescale(timing, 1000)
        _checked(
            library.heif_context_add_visual_sequence_track(
                context, width, height, IMAGE_SEQUENCE, timing, options, ctypes.byref(track)
            )
        )
        for frame, each in zip(frames, ticks, strict=True):
            image = ctypes.c_void_p()
            layout = INTERLEAVED_RGB if channels == 3 else INTERLEAVED_RGBA
            _checked(library.heif_image_create(width, height, RGB_COLORS, layout, ctypes.byref(image)))
            _checked(library.heif_image_add_plane(image, INTERLEAVED, width, height, 8))
            stride = ctypes.c_int()
            plane = library.heif_image_get_plane(image, INTERLEAVED, ctypes.byref(stride))
            for row in range(height):
                source = np.ascontiguousarray(frame[row]).ctypes.data
                ctypes.memmove(plane + row * stride.value, source, channels * width)
            library.heif_image_set_duration(image, each)
            _checked(library.heif_track_encode_sequence_image(track, image, encoder, options))
            library.heif_image_release(image)
        _checked(library.heif_track_encode_end_of_sequence(track, encoder))
        _checked(library.heif_context_write_to_file(context, str(path).encode()))
        library.heif_track_release(track)
        library.heif_encoder_release(encoder)
    return path.read_bytes()
