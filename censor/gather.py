"""Which files are meant by the paths that were named, and what their outputs are called."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from censor.errors import CensorError
from censor.media.film_kinds import film_in, named_format, suffix_of
from detect.errors import DetectError, ReadError, UnsupportedImageError
from detect.folders import PathBeneath, Stamp, open_file, walk
from detect.pictures.formats import SNIFF_BYTES, empty, format_of, refused_kind, sniff, unsupported

__all__ = ["INFIX", "BatchItem", "Gathered", "beside", "gather", "is_meant", "mirrored"]

INFIX = ".censored"
"""What stands between stem and suffix of an output that is written beside its source."""

_ALSO_PICTURES = re.compile(
    r"""\.(
    3fr|3g2|3gp|3gp2|3gpp|amv|ani|apng|arw|asf|av1|avi|bay|bik|bpg|bw|cin|cr2|cr3|crw|cur|dcm|dcr|dcs|dds
    |divx|djv|djvu|dng|dpx|drf|dv|emf|eps|erf|exr|f4v|fff|fits|flc|fli|flif|flv|fts|gpr|h264|h265|hdp|hdr
    |hevc|icb|icns|ico|iiq|ilbm|insp|insv|ivf|j2c|j2k|jls|jng|jp2|jpc|jpf|jpm|jpx|jxl|jxr|k25|kdc|kra|ktx
    |ktx2|lbm|lrv|m1v|m2t|m2ts|m2v|m4v|mdc|mef|mj2|mjpeg|mjpg|mk3d|mkv|mng|mos|mov|mp4|mpe|mpeg|mpg|mpo|mpv|mrw
    |mts|mxf|nef|nrw|nsv|nut|ogm|ogv|ora|orf|pam|pbm|pcd|pcx|pef|pfm|pgm|pict|pnm|ppm|psb|psd|ptx|pxn|qoi|qt|raf
    |ras|raw|rgba|rm|rmvb|rw2|rwl|rwz|sgi|sr2|srf|srw|svg|svgz|swf|tga|thm|tod|vda|viv|vob|vst|wbmp|wdp|webm|wmf
    |wmv|wtv|x3f|xbm|xcf|xpm|y4m|yuv
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""Suffixes of pictures and films that are not taken: in a folder they are errors, for nobody has looked at them."""


@dataclass(frozen=True, kw_only=True)
class BatchItem:
    """One picture to be worked on.

    Attributes:
        source: Where it is, as it was named or found.
        relative: Its path below the folder that was named, or its bare name: where it goes below an output folder.
        beneath: How it is opened if it was found in a folder: no link below that is followed.
        stamp: As it was when its first bytes were read.
        format: What its first bytes announce, of pictures or of films; None if nothing supported.
        refused: It is by its content a film or a picture, and perhaps of a kind that is not taken.
        in_output: It was found in the output folder of this run, which lies in an input folder.
        target: Where the output goes; None until it is assigned.
        overwrite: There is something at `target` that may be replaced.
        error: Why it cannot even be begun.
    """

    source: Path
    relative: Path
    beneath: PathBeneath | None = None
    stamp: Stamp | None = None
    format: str | None = None
    refused: bool = False
    in_output: bool = False
    target: PathBeneath | None = None
    overwrite: bool = False
    error: CensorError | DetectError | None = None


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was found under the paths that were named.

    Attributes:
        items: In the order named, folders walked in order of name; no directory entry twice.
        ignored: Files in folders that are neither pictures nor films by content or suffix, and links to folders.
    """

    items: tuple[BatchItem, ...]
    ignored: int


def gather(paths: Iterable[str | os.PathLike[str]], *, out: Path | None = None) -> Gathered:
    """Find the pictures that are meant by files and folders.

    A file that was named is always an item, whatever it holds. In a folder, a file is an item if its content or its
    suffix is that of a picture or a film, or if it cannot be read: a text file is passed over, a broken JPEG is not.

    Args:
        paths: Files and folders; folders are walked to any depth. Links to folders are not followed, and links to
            files only if these lie in the same folder: whoever fills it must not choose files elsewhere.
        out: A folder for outputs. What is found in it, where it lies below an input folder, is marked so.

    Returns:
        The items. What is missing, unreadable or a folder without pictures is an item with an error.
    """
    items: dict[tuple[str, str], BatchItem] = {}
    ignored = 0
    for each in paths:
        path = Path(each)
        if os.path.isdir(path):  # noqa: PTH112  # false for what can be no path, too
            found, passed_over = _walk(path, out)
            ignored += passed_over
        else:
            found = [_named(path, Path(path.name))]
        for item in found:
            items.setdefault((os.path.realpath(item.source.parent), item.source.name), item)
    return Gathered(items=tuple(items.values()), ignored=ignored)


def beside(relative: Path, format: str | None) -> Path:  # noqa: A002  # Pillow's own word
    """The name of an output that goes beside its source."""
    named = mirrored(relative, format)
    return named.with_name(named.stem + INFIX + named.suffix)


def mirrored(relative: Path, format: str | None) -> Path:  # noqa: A002  # Pillow's own word
    """The path with its suffix, if that tells the truth about the format, and with the right one if not."""
    if format is None or named_format(relative) == format:
        return relative
    return relative.with_name(relative.stem + suffix_of(format))


def _walk(root: Path, out: Path | None) -> tuple[list[BatchItem], int]:
    items: list[BatchItem] = []
    outputs: list[Path] = []
    ignored = 0
    left_out = _status(out)

    def enter(folder: Path, status: os.stat_result) -> bool:
        if left_out is not None and os.path.samestat(status, left_out):
            outputs.append(folder)
        return True

    def unreadable(folder: Path, error: OSError) -> None:
        place = root / folder
        reason = ReadError(f"{place}: cannot be read: {error.strerror or error}")
        items.append(BatchItem(source=place, relative=Path(place.name), error=reason))

    for relative, status in walk(root, enter=enter, unreadable=unreadable):
        if (item := _found(root, relative, status)) is None:
            ignored += 1
        else:
            items.append(replace(item, in_output=any(relative.is_relative_to(each) for each in outputs)))
    if not items:
        reason = UnsupportedImageError(f"{root}: no pictures in this folder")
        items.append(BatchItem(source=root, relative=Path(), error=reason))
    return items, ignored


def _status(path: Path | None) -> os.stat_result | None:
    try:
        return None if path is None else path.stat()
    except OSError:
        return None


def _found(root: Path, relative: Path, status: os.stat_result) -> BatchItem | None:
    """A file in a folder; None if it is passed over."""
    source = root / relative
    if not stat.S_ISLNK(status.st_mode):
        item = _begun(source, relative, PathBeneath(root, relative), status)
        unread = stat.S_ISREG(status.st_mode) and isinstance(item.error, ReadError)
        return item if unread or _is_meant(item) else None
    real, top = os.path.realpath(source), os.path.realpath(root)
    if os.path.isdir(real):  # noqa: PTH112  # false for what is too long to be looked at
        return None
    inside = Path(real).is_relative_to(top)
    item = _named(source, relative, PathBeneath(root, Path(real).relative_to(top)) if inside else None)
    if not _is_meant(item):
        return None
    if inside or item.format is None:
        return item
    why = f"{source}: a link that leads out of {root}, which is not followed; name the file itself"
    return replace(item, error=ReadError(why))


def _is_meant(item: BatchItem) -> bool:
    return is_meant(item.source, format=item.format, refused=item.refused)


def is_meant(path: Path, *, format: str | None, refused: bool) -> bool:  # noqa: A002  # Pillow's own word
    """Whether a file among others is a film or a picture by its content or its suffix.

    Args:
        path: For its suffix.
        format: What its first bytes announce.
        refused: They are those of a film, or of a picture of a kind that is not taken.
    """
    by_suffix = format_of(path) is not None or _ALSO_PICTURES.fullmatch(path.suffix) is not None
    return format is not None or refused or by_suffix


def _named(path: Path, relative: Path, beneath: PathBeneath | None = None) -> BatchItem:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return _unread(path, relative, beneath, error)
    return _begun(path, relative, beneath, status)


def _begun(path: Path, relative: Path, beneath: PathBeneath | None, status: os.stat_result) -> BatchItem:
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        reason = "not a regular file; a picture from a pipe is read with `-`"
        return _unread(path, relative, beneath, ValueError(reason))
    try:
        with open_file(beneath or path) as stream:
            stamp = Stamp.of(os.fstat(stream.fileno()))
            start = stream.read(SNIFF_BYTES)
    except (OSError, ValueError) as error:
        return _unread(path, relative, beneath, error)
    except ReadError as error:
        return BatchItem(source=path, relative=relative, beneath=beneath, error=error)
    film = film_in(start)
    kind = sniff(start) if film is None else film.name
    fault = empty(str(path)) if not start else unsupported(str(path), start) if kind is None else None
    return BatchItem(
        source=path,
        relative=relative,
        beneath=beneath,
        stamp=stamp,
        format=kind,
        refused=refused_kind(start) is not None,
        error=fault,
    )


def _unread(path: Path, relative: Path, beneath: PathBeneath | None, error: OSError | ValueError) -> BatchItem:
    why = getattr(error, "strerror", None) or error
    reason = ReadError(f"{path}: cannot be read: {why}")
    return BatchItem(source=path, relative=relative, beneath=beneath, error=reason)
