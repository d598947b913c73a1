"""Which picture of a folder is meant by a name that was written on another machine or by another tool."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from detect.annotations.pictures import list_pictures
from detect.errors import AnnotationsError

__all__ = ["PictureNames", "folded", "identity", "is_file", "is_inside_folder", "picture_names", "plain"]


def is_inside_folder(file_name: str) -> bool:
    """Whether a ``file_name`` stays within the image folder it is joined to."""
    path = PurePosixPath(file_name.replace("\\", "/"))
    return not (path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")))


def is_file(path: Path) -> bool:
    """Whether a path is a file; one that no file system could hold is none."""
    try:
        return path.is_file()
    except OSError:  # a name too long
        return False


def plain(file_name: str) -> str:
    """A name without what changes nothing: ``./sub//a.jpg`` is ``sub/a.jpg``."""
    return PurePosixPath(file_name).as_posix()


def folded(file_name: str) -> str:
    """One spelling of names that some file systems take for the same: in either case, é as one character or two."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", plain(file_name)).casefold())


def picture_names(address: str) -> tuple[str, ...]:
    """What a picture may be called of which Label Studio gives the address, the likeliest first.

    Uploads lose their folder and get a prefix of eight digits, as do all pictures in its exports; local files are named
    in the query; and either may be percent-encoded.

    Raises:
        ValueError: It is no address.
    """
    parts = urlsplit(address)
    query = re.search(r"(?:^|&)d=([^&]*)", parts.query)
    paths = [unquote(query[1]), *parse_qs(parts.query).get("d", [])] if query else [unquote(parts.path), address]
    names = [path.lstrip("/") for path in paths]
    prefixed = re.compile(r"(^|/)[0-9a-f]{8}(?:-|__)([^/]+)$")
    names += [prefixed.sub(r"\1\2", name) for name in names]
    own = re.compile(rf"(?:^|/)(?:upload/\d+|images){prefixed.pattern}")
    names += [found[2] for found in map(own.search, names) if found]
    return tuple(dict.fromkeys(name for name in names if name))


def identity(file_name: str, folder: Path | None) -> str:
    """One text for all names of one file, by the file system's own rule where there is a folder to ask."""
    near = folded(file_name)
    if folder is not None and near != plain(file_name) and is_file(folder / near) and is_file(folder / file_name):
        return near if (folder / near).samefile(folder / file_name) else plain(file_name)
    return plain(file_name)


class PictureNames:
    """The pictures in a folder, to be found by names that are nearly theirs."""

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet: a folder is listed once a name is not found as it stands."""
        self.folder = folder

    @cached_property
    def all(self) -> frozenset[str]:
        """Paths within the folder, with slashes; empty where it holds no picture."""
        try:
            return frozenset(path.relative_to(self.folder).as_posix() for path in list_pictures(self.folder))
        except AnnotationsError:
            return frozenset()

    def find(self, name: str) -> tuple[str, ...]:
        """The pictures that a name may mean.

        In this order, each only where what precedes finds nothing: the file of that very name; the picture of that
        path; the one with the longest path that the name ends in (``/home/x/sub/a.jpg`` for ``sub/a.jpg``), or those
        whose path ends in the name; both again in whatever case and composition of letters, and again as uploads are
        renamed (blanks become underscores, other signs are left out). Backslashes count as slashes; what is
        percent-encoded, or the address that a labelling tool gives, is looked for decoded as well.

        Returns:
            One where it is beyond doubt, several where it is not, sorted; none where nothing is near.
        """
        if is_inside_folder(name) and is_file(self.folder / name):
            return (plain(name),)
        tails = tuple(dict.fromkeys(_tails(name)))
        for fold in (_same, folded, _uploaded):
            pictures = self._by_name(fold)
            for look in (_whole, _ends):
                for tail in tails:
                    if found := look(fold(tail), pictures):
                        return tuple(sorted(set(found)))
        return ()

    def _by_name(self, fold: Callable[[str], str]) -> dict[str, list[tuple[str, str]]]:
        """Folded path and path of each picture, by the last part of the folded path."""
        if fold not in self._indexes:
            index: dict[str, list[tuple[str, str]]] = {}
            for picture in sorted(self.all):
                path = fold(picture)
                index.setdefault(path.rpartition("/")[2], []).append((path, picture))
            self._indexes[fold] = index
        return self._indexes[fold]

    @cached_property
    def _indexes(self) -> dict[Callable[[str], str], dict[str, list[tuple[str, str]]]]:
        return {}


def _same(file_name: str) -> str:
    return file_name


def _uploaded(file_name: str) -> str:
    """A path as Label Studio, by way of Django's `get_valid_filename`, renames uploads of it."""
    return re.sub(r"[^-\w./]", "", folded(file_name).replace(" ", "_"))


def _tails(name: str) -> Iterator[str]:
    """What may be left of a name within some folder, each spelling it may be written in."""
    try:
        decoded: Iterable[str] = picture_names(name)
    except ValueError:
        decoded = ()
    for spelling in (name, *decoded, name.strip()):
        parts = [part for part in spelling.replace("\\", "/").split("/") if part not in ("", ".")]
        while ".." in parts:
            parts = parts[parts.index("..") + 1 :]
        if parts and parts[0].endswith(":"):
            parts = parts[1:]
        if parts:
            yield "/".join(parts)


def _whole(tail: str, pictures: dict[str, list[tuple[str, str]]]) -> list[str]:
    return [picture for path, picture in pictures.get(tail.rpartition("/")[2], ()) if path == tail]


def _ends(tail: str, pictures: dict[str, list[tuple[str, str]]]) -> list[str]:
    near = pictures.get(tail.rpartition("/")[2], ())
    inside = [(len(path), picture) for path, picture in near if f"/{tail}".endswith(f"/{path}")]
    if inside:
        longest = max(length for length, _ in inside)
        return [picture for length, picture in inside if length == longest]
    return [picture for path, picture in near if f"/{path}".endswith(f"/{tail}")]
