import pytest

from censor.media.film_kinds import CODECS, FILMS, film_in, film_named, named_format, suffix_of

MP4 = b"\0\0\0\x18ftyp"


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (MP4 + b"isom\0\0\2\0isomiso2", "MP4"),
        (MP4 + b"qt  \0\0\2\0qt      ", "MOV"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webmB\x87\x81\x02", "WEBM"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroskaB\x87\x81\x02", "MKV"),
        (b"RIFF\0\0\1\0AVI LIST", "AVI"),
        (b"".join(b"G@\0\x10" + bytes(184) for _ in range(5)), "TS"),
        (b"".join(b"\0\0\0\0G@\0\x10" + bytes(184) for _ in range(5)), None),  # Blu-ray's
        (MP4 + b"avif\0\0\0\0avifmif1", None),
        (MP4 + b"M4A \0\0\0\0M4A ", None),
        (MP4 + b"mjp2\0\0\0\0mjp2", None),
        (b"FLV\x01\x05\0\0\0\x09", None),
        (b"#EXTM3U\n", None),
        (b"ffconcat version 1.0\n", None),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"", None),
    ],
)
def test_a_film_is_told_by_its_first_bytes(start: bytes, name: str | None) -> None:
    kind = film_in(start)
    assert (kind and kind.name) == name


def test_suffixes_and_names_go_together() -> None:
    for name, kind in FILMS.items():
        assert kind.name == name
        assert film_named(f"a{suffix_of(name)}") == named_format(f"A{suffix_of(name).upper()}") == name
    assert film_named("a.jpg") is None
    assert (named_format("a.jpg"), named_format("a.txt"), suffix_of("JPEG")) == ("JPEG", None, ".jpg")


def test_every_container_is_written_in_codecs_that_are_known() -> None:
    assert all(set(kind.codecs) <= set(CODECS) for kind in FILMS.values())


def test_quality_goes_along_the_encoders_scale() -> None:
    h264 = CODECS["h264"]
    assert [h264.settings(quality)["crf"] for quality in (100, 50, 1)] == ["0", "26", "50"]
    assert h264.settings(None)["crf"] == str(h264.crf)
