"""The tracks of a film in boxes: where the samples of one lie, how long each is shown, and what is said of them.

Read strictly: readers that forgive would each see something else in a file that is wrong here.

Source:
    ISO/IEC 14496-12, 8 (tracks) and 12.1 (visual ones); ISO/IEC 23008-12, 9.6.1 (how often an edit list is shown).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from detect.errors import LimitError, UnsupportedImageError
from detect.pictures.bmff import Box, Reader, boxes, top_boxes
from detect.pictures.box_places import check_places
from detect.pictures.formats import damaged

__all__ = ["Track", "tracks"]

_MOST_TRACKS = 64
_UNITY = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_ENTRY = 78  # bytes of a visual sample entry before its boxes
_MOST_PLAYS = 2**31 - 1  # more are for without end


@dataclass(frozen=True, kw_only=True)
class Track:
    """A track.

    Attributes:
        number: Its own.
        handler: What it is for: b"pict", b"auxv" or another.
        entry: The kind of its samples, such as b"av01".
        width: Columns.
        height: Rows.
        properties: The boxes of its sample entry.
        references: Kinds of references, and the numbers of the tracks that they are to.
        timescale: Ticks that a second has.
        samples: Start and end of each in the file, in the order of decoding.
        order: Their numbers, from 0, in the order shown.
        ticks: How long each is shown, in that order.
        keys: Numbers from 0 of those that are said to need no other; None if all are.
        plays: How many times all is to be shown; 0 for without end.
    """

    number: int
    handler: bytes
    entry: bytes
    width: int
    height: int
    properties: list[Box]
    references: dict[bytes, list[int]]
    timescale: int
    samples: list[tuple[int, int]]
    order: list[int]
    ticks: list[int]
    keys: list[int] | None
    plays: int

    @property
    def seconds(self) -> list[Fraction]:
        """How long each picture is shown, in the order shown."""
        return [Fraction(each, self.timescale) for each in self.ticks]

    def require_size(self, size: tuple[int, int], name: str, max_pixels: int) -> None:
        """Check the columns and rows that a sample says against those of the track, and against a cap.

        Raises:
            DamagedImageError: They are others.
            LimitError: More pixels than allowed.
        """
        width, height = size
        if width * height > max_pixels:
            raise LimitError(f"{name}: {width} x {height} coded pixels are over the cap of {max_pixels:,}")
        if (width, height) != (self.width, self.height):
            raise damaged(name, f"{width} x {height} coded pixels where {self.width} x {self.height} are announced")


def tracks(data: bytes, *, handlers: frozenset[bytes], name: str, most: int) -> tuple[list[Track], list[bytes]]:
    """Read the tracks of a file that are for one of some purposes.

    Args:
        data: The file.
        handlers: What those are for that are read.
        name: What errors call it.
        most: Cap on the samples of each.

    Returns:
        The tracks, in the file's order; and what those are for that were not read.

    Raises:
        LimitError: More samples, or more tracks than any file has.
        UnsupportedImageError: What readers show in different ways: fragments, a turned or switched-off track, an edit
            list that shows something else than all, samples in several forms or in other files, tables where only some
            readers look for them.
        ValueError: Anything that is missing, given twice, out of bounds, or of an unknown version.
    """
    top = top_boxes(data)
    movie = _only([box for box in top if box.kind == b"moov"], "moov")
    inner = boxes(data, movie.start, movie.end)
    if any(box.kind == b"moof" for box in top) or any(box.kind == b"mvex" for box in inner):
        raise UnsupportedImageError(f"{name}: a sequence in fragments; export it again")
    check_places(data, top, name)
    scale = _movie_scale(data, _find(inner, b"mvhd"), name)
    own = [box for box in inner if box.kind == b"trak"]
    if len(own) > _MOST_TRACKS:
        raise LimitError(f"{name}: more than {_MOST_TRACKS} tracks")
    read, others = [], []
    for box in own:
        parts = boxes(data, box.start, box.end)
        media = _find(parts, b"mdia")
        handler = data[(start := _find(boxes(data, media.start, media.end), b"hdlr").start) + 8 : start + 12]
        if handler in handlers:
            read.append(_Trak(data, parts, handler, scale, name).read(most))
        else:
            others.append(handler)
    return read, others


def _find(found: list[Box], kind: bytes) -> Box:
    return _only([box for box in found if box.kind == kind], kind.decode("latin-1"))


def _only(found: list[Box], kind: str) -> Box:
    if len(found) != 1:
        raise ValueError(f"not one {kind} box")
    return found[0]


def _full(data: bytes, box: Box, *versions: int) -> tuple[Reader, int, int]:
    """A reader behind version and flags, which it gives, too."""
    reader = Reader(data, box)
    version, flags = reader.version()
    if version not in versions:
        raise ValueError(f"a {box.kind.decode('latin-1')} box of an unknown version")
    return reader, version, flags


def _movie_scale(data: bytes, box: Box, name: str) -> int:
    """8.2.2."""
    reader, version, _ = _full(data, box, 0, 1)
    wide = 8 if version else 4
    reader.number(2 * wide)
    scale = reader.number(4)
    reader.number(wide + 16)
    _check_upright(reader, name)
    if not scale:
        raise ValueError("a film without a timescale")
    return scale


def _check_upright(reader: Reader, name: str) -> None:
    if tuple(reader.number(4) for _ in range(9)) != _UNITY:
        raise UnsupportedImageError(f"{name}: a sequence turned by a matrix, which only some viewers heed")


@dataclass(frozen=True)
class _Trak:
    """One track's boxes."""

    data: bytes
    parts: list[Box]
    handler: bytes
    movie_scale: int
    name: str

    def read(self, most: int) -> Track:
        """All of it."""
        data = self.data
        media = self._inside(_find(self.parts, b"mdia"))
        information = self._inside(_find(media, b"minf"))
        self._check_own_data(information)
        table = self._inside(_find(information, b"stbl"))
        number, duration, size = self._header()
        if not number:
            raise ValueError("a track without a number")
        reader, version, _ = _full(data, _find(media, b"mdhd"), 0, 1)
        reader.number(16 if version else 8)
        timescale = reader.number(4)
        if not timescale:
            raise ValueError("a track without a timescale")
        entry, own_size, properties = self._entry(_find(table, b"stsd"))
        if own_size != size:
            raise ValueError(f"a track of {size[0]} x {size[1]} with samples of {own_size[0]} x {own_size[1]} pixels")
        sizes = self._sizes(table, most)
        each = self._ticks(_find(table, b"stts"), len(sizes))
        first, order, ticks = _shown(each, self._offsets(table, len(sizes)))
        return Track(
            number=number,
            handler=self.handler,
            entry=entry,
            width=size[0],
            height=size[1],
            properties=properties,
            references=self._references(),
            timescale=timescale,
            samples=list(self._places(table, sizes)),
            order=order,
            ticks=ticks,
            keys=self._keys(table, len(sizes)),
            plays=self._plays(duration, Fraction(sum(ticks), timescale), Fraction(ticks[-1], timescale), first),
        )

    def _inside(self, box: Box) -> list[Box]:
        return boxes(self.data, box.start, box.end)

    def _header(self) -> tuple[int, int | None, tuple[int, int]]:
        """Number, duration and size (8.3.2); None for a track without end."""
        reader, version, flags = _full(self.data, _find(self.parts, b"tkhd"), 0, 1)
        wide = 8 if version else 4
        reader.number(2 * wide)
        number = reader.number(4)
        reader.number(4)
        duration = reader.number(wide)
        reader.number(16)
        if not flags & 1 and self.handler != b"auxv":  # FFmpeg switches transparency off, and nobody heeds it
            raise UnsupportedImageError(f"{self.name}: a track that is switched off, which only some viewers heed")
        _check_upright(reader, self.name)
        across, down = reader.number(4), reader.number(4)
        if not across >> 16 or not down >> 16 or (across | down) & 0xFFFF:
            raise ValueError("a track of no whole size")
        return number, None if duration == 2 ** (8 * wide) - 1 else duration, (across >> 16, down >> 16)

    def _references(self) -> dict[bytes, list[int]]:
        """8.3.3."""
        found = [box for box in self.parts if box.kind == b"tref"]
        every: dict[bytes, list[int]] = {}
        for box in self._inside(_only(found, "tref")) if found else ():
            if box.kind in every or (box.end - box.start) % 4 or box.end - box.start > 4 * _MOST_TRACKS:
                raise ValueError("track references of an unknown form")
            every[box.kind] = [int.from_bytes(self.data[at : at + 4]) for at in range(box.start, box.end, 4)]
        return every

    def _check_own_data(self, information: list[Box]) -> None:
        """8.7.2: no sample lies in another file."""
        reference = _find(self._inside(_find(information, b"dinf")), b"dref")
        reader, _, _ = _full(self.data, reference, 0)
        count = reader.number(4)
        entries = boxes(self.data, reader.at, reference.end)
        if count != len(entries) or count != 1:
            raise ValueError("samples in several files")
        if not _full(self.data, entries[0], 0)[2] & 1:
            raise UnsupportedImageError(f"{self.name}: a sequence whose pictures lie in another file")

    def _entry(self, box: Box) -> tuple[bytes, tuple[int, int], list[Box]]:
        """8.5.2 and 12.1.3: the one form that all samples have."""
        reader, _, _ = _full(self.data, box, 0, 1)
        count = reader.number(4)
        entries = boxes(self.data, reader.at, box.end)
        if count != len(entries) or not entries:
            raise ValueError("another number of sample entries than announced")
        if count > 1:
            raise UnsupportedImageError(f"{self.name}: a sequence of samples in several forms; export it again")
        entry = entries[0]
        own = Reader(self.data, entry)
        own.number(6)
        if own.number(2) != 1:
            raise ValueError("samples in a file that is not named")
        own.number(16)
        size = own.number(2), own.number(2)
        return entry.kind, size, boxes(self.data, entry.start + _ENTRY, entry.end)

    def _sizes(self, table: list[Box], most: int) -> list[int]:
        """8.7.3."""
        reader, _, _ = _full(self.data, _find(table, b"stsz"), 0)
        same, count = reader.number(4), reader.number(4)
        if count > most:
            raise LimitError(f"{self.name}: more than {most:,} frames")
        sizes = [same] * count if same else [reader.number(4) for _ in range(count)]
        if not sizes or not all(sizes):
            raise ValueError("a track without samples, or one without bytes")
        return sizes

    def _ticks(self, box: Box, count: int) -> list[int]:
        """8.6.1.2: how long until the next one is decoded."""
        reader, _, _ = _full(self.data, box, 0)
        return _runs(reader, count)

    def _offsets(self, table: list[Box], count: int) -> list[int]:
        """8.6.1.3: how long after it is decoded each is shown."""
        found = [box for box in table if box.kind == b"ctts"]
        if not found:
            return [0] * count
        reader, version, _ = _full(self.data, _only(found, "ctts"), 0, 1)
        offsets = _runs(reader, count)
        return [each - 2**32 if version and each >= 2**31 else each for each in offsets]

    def _places(self, table: list[Box], sizes: list[int]) -> Iterator[tuple[int, int]]:
        """8.7.4 and 8.7.5."""
        if any(box.kind == b"stz2" for box in table):
            raise UnsupportedImageError(f"{self.name}: a sequence with a compact table of sizes; export it again")
        offsets = _only([box for box in table if box.kind in (b"stco", b"co64")], "stco")
        reader, _, _ = _full(self.data, offsets, 0)
        wide = 8 if offsets.kind == b"co64" else 4
        starts = [reader.number(wide) for _ in range(min(reader.number(4), len(sizes) + 1))]
        left = iter(sizes)
        for start, count in zip(starts, self._in_chunks(_find(table, b"stsc"), len(starts)), strict=True):
            at = start
            for _ in range(count):
                size = next(left, None)
                if size is None or at + size > len(self.data):
                    raise ValueError("samples that are not in the file")
                yield at, at + size
                at += size
        if next(left, None) is not None:
            raise ValueError("samples that are nowhere")

    def _in_chunks(self, box: Box, chunks: int) -> list[int]:
        """How many samples each chunk has."""
        reader, _, _ = _full(self.data, box, 0)
        runs: list[tuple[int, int]] = []
        for _ in range(min(reader.number(4), chunks + 1)):
            first, count, form = reader.number(4), reader.number(4), reader.number(4)
            if form != 1 or not count or first <= (runs[-1][0] if runs else 0):
                raise ValueError("chunks of samples of an unknown form")
            runs.append((first, count))
        if not runs or runs[0][0] != 1 or runs[-1][0] > chunks:
            raise ValueError("chunks of samples that are not there")
        ends = [*(first for first, _ in runs[1:]), chunks + 1]
        return [count for (first, count), end in zip(runs, ends, strict=True) for _ in range(end - first)]

    def _keys(self, table: list[Box], count: int) -> list[int] | None:
        """8.6.2."""
        found = [box for box in table if box.kind == b"stss"]
        if not found:
            return None
        reader, _, _ = _full(self.data, _only(found, "stss"), 0)
        keys = [reader.number(4) - 1 for _ in range(min(reader.number(4), count + 1))]
        if sorted(set(keys)) != keys or (keys and not 0 <= keys[0] <= keys[-1] < count):
            raise ValueError("samples to begin at that are not there")
        return keys

    def _plays(self, duration: int | None, once: Fraction, last: Fraction, first: int) -> int:
        """8.6.6; without an edit list browsers show a sequence again and again.

        Args:
            duration: What the track's header says; None for without end.
            once: Seconds of all pictures.
            last: Those of the last.
            first: Ticks at which the first is due.
        """
        found = [box for box in self.parts if box.kind == b"edts"]
        if not found:
            return 0
        reader, version, flags = _full(self.data, _find(self._inside(_only(found, "edts")), b"elst"), 0, 1)
        wide = 8 if version else 4
        count = reader.number(4)
        segment, start, rate = reader.number(wide), reader.number(wide), reader.number(4)
        off = abs(Fraction(segment, self.movie_scale) - once)
        whole = off * self.movie_scale <= 1 and (not off or off < last)  # rounded, and nothing is cut off
        if count != 1 or start != first or rate != 0x10000 or not segment or not whole:
            raise UnsupportedImageError(f"{self.name}: an edit list that shows something else than all, once")
        if not flags & 1:
            return 1
        if duration == 0:
            raise ValueError("a track that is shown again and again for no time")
        plays = 0 if duration is None else -(-duration // segment)
        return plays if plays <= _MOST_PLAYS else 0


def _runs(reader: Reader, count: int) -> list[int]:
    """A number for each sample, of which equal ones stand together."""
    found: list[int] = []
    for _ in range(reader.number(4)):
        run, each = reader.number(4), reader.number(4)
        if not 0 < run <= count - len(found):
            raise ValueError("times of other samples than there are")
        found += [each] * run
    if len(found) != count:
        raise ValueError("times of fewer samples than there are")
    return found


def _shown(ticks: list[int], offsets: list[int]) -> tuple[int, list[int], list[int]]:
    """When the first picture is due, the numbers of all in the order shown, and how long each is shown."""
    if not any(offsets):
        return 0, list(range(len(ticks))), ticks
    due = [at + offset for at, offset in zip(accumulate(ticks, initial=0), offsets, strict=False)]
    order = sorted(range(len(due)), key=due.__getitem__)
    starts = [due[each] for each in order]
    ends = [*starts[1:], starts[0] + sum(ticks)]
    shown = [end - start for start, end in zip(starts, ends, strict=True)]
    if any(each <= 0 for each in shown[:-1]) or shown[-1] < 0 or starts[0] < 0:
        raise ValueError("pictures that are due at the same time, or after the end")
    return starts[0], order, shown
