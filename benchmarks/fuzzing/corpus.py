"""What fuzzing and people found, made by code: each once ended a process, kept it busy or gave pixels that lie."""

from __future__ import annotations

from fuzzing.seeds import seeds

__all__ = ["corpus"]


def corpus() -> dict[str, tuple[bytes, str]]:
    """Name, file, and what decoding it comes to: see `fuzzing.worker.judged`."""
    pictures = seeds()
    plain, progressive = pictures["JPEG:420"], pictures["JPEG:progressive"]
    frame = plain.index(b"\xff\xc0")
    scan = b"\xff\xda\0\x08\1\1\0\1\1\x21"
    exif = b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)
    return {
        "lossless, which has no smaller size": (pictures["JPEG:lossless"], "taken"),
        "a thousand scans": (progressive[:-2] + scan * 1000 + b"\xff\xd9", "LimitError"),
        "nothing but fill": (progressive[:-2] + b"\xff" * 10**6, "DamagedImageError"),
        "an EXIF block in 60 parts": (plain[:2] + exif * 60 + plain[2:], "taken"),
        "arithmetic coding": (plain.replace(b"\xff\xc0", b"\xff\xc9", 1), "UnsupportedImageError"),
        "a second, larger frame": (
            plain[: frame + 5] + b"\x03\x20\x03\x20" + plain[frame + 9 : frame + 19] + plain[frame:],
            "DamagedImageError",
        ),
    }
