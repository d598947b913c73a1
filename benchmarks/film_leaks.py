"""How often a face shows in films that were to hide it: ours beside `deface`, on the same films, whose truth is known.

    python benchmarks/film_leaks.py [--only KIND ...] [--deface .venv-peers/bin/deface] [--keep DIR] [--json FILE]

Each film is written by `moving_faces.py`, given to both commands with their defaults but for the effect, which is solid
black: nothing in a film is that dark, so what is hidden is read from the output's pixels, and for both alike. (For
solid black `deface` paints the whole rectangle, more than the ellipse that it blurs by default.)

A frame leaks a face where less than 90 % of the face's core (brows to chin, cheek to cheek, as far as it lies in the
frame and nothing stands before it) is black. Faces of which less than 40 % is to be seen need not be hidden. The
network of both commands, at the score from which both hide, says in which frames it finds a face of itself: the last
column is about faces that it finds in half of their shot's frames or more. Each side is given all films at once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
from moving_faces import KINDS, Face, Scene, encoded, scenes
from numpy.typing import NDArray

from detect.detections import Detector

__all__ = ["COVERED", "Count", "FaceInShot", "added", "counted", "hidden_in", "measured", "table"]

COVERED = 0.9
"""Share of a face's core that must be hidden."""

_BLACK = 40
"""Of a channel: what is at most that bright was painted."""

_FOUND_AT = 0.2  # the score from which on both hide
_FOUND = 0.5  # share of a core that a find must hold

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class FaceInShot:
    """One face in one shot: what became of it, in the frames in which it was to be hidden.

    Attributes:
        numbers: Of those frames, ascending.
        covered: How much of its core was hidden in each.
        found: Whether the network finds it in each.
        rate: Frames a second.
    """

    numbers: tuple[int, ...]
    covered: tuple[float, ...]
    found: tuple[bool, ...]
    rate: int

    @property
    def leaks(self) -> tuple[int, ...]:
        """Numbers of the frames that leak it."""
        return tuple(number for number, share in zip(self.numbers, self.covered, strict=True) if share < COVERED)

    @property
    def longest(self) -> int:
        """Most frames in a row that leak it, frames in which nothing was to be hidden between them or not."""
        most = run = 0
        for share in self.covered:
            run = run + 1 if share < COVERED else 0
            most = max(most, run)
        return most

    @property
    def gaps(self) -> int:
        """How often it leaks between two frames that do not."""
        leaking = [share < COVERED for share in self.covered]
        begun = [row for row in range(1, len(leaking)) if leaking[row] and not leaking[row - 1]]
        return sum(not all(leaking[row:]) for row in begun)

    @property
    def seen_enough(self) -> bool:
        """Whether the network finds it in half of the frames at least."""
        return 2 * sum(self.found) >= len(self.found)


@dataclass(frozen=True, kw_only=True)
class Count:
    """What leaked in a number of films.

    Attributes:
        frames: In which a face was to be hidden.
        leaked: … that leak one.
        longest: Milliseconds of the longest leak.
        faces: Faces in shots.
        leaking: … that leak in any frame.
        gaps: How often one leaks between two frames that hide it.
        hidden: Pixels that are hidden, of all frames.
        boxes: Pixels of the faces' boxes, of all frames.
    """

    frames: int = 0
    leaked: int = 0
    longest: float = 0.0
    faces: int = 0
    leaking: int = 0
    gaps: int = 0
    hidden: int = 0
    boxes: int = 0

    def __add__(self, other: Count) -> Count:
        sums = {name: value + getattr(other, name) for name, value in asdict(self).items()}
        return Count(**{**sums, "longest": max(self.longest, other.longest)})

    def row(self) -> str:
        """Its cells of a table."""
        over = f"{self.hidden / self.boxes:.2f}" if self.boxes else "-"
        share = 1000 * self.leaked / self.frames if self.frames else 0.0
        return f"{share:.0f} | {self.longest:.0f} | {self.leaking} of {self.faces} | {self.gaps} | {over}"


def added(counts: Sequence[Count]) -> Count:
    """All in one."""
    return sum(counts, Count())


def hidden_in(pixels: NDArray[np.uint8]) -> Mask:
    """(rows, columns) bool: where a frame of an output was painted black."""
    return np.asarray(pixels.max(axis=2) <= _BLACK)


def measured(
    scene: Scene, outputs: Sequence[Path], source: Path, detector: Detector
) -> list[tuple[list[FaceInShot], int, int]]:
    """What each of several outputs shows of a scene.

    Args:
        scene: The truth.
        outputs: Films that were made of its film.
        source: Its film.
        detector: Asked in which frames of it faces are found.

    Returns:
        For each output all faces in all shots, how many pixels are hidden, and how many the faces' boxes have.

    Raises:
        ValueError: An output has more or fewer frames than the scene.
    """
    seen: list[dict[tuple[int, int], list[tuple[int, float, bool]]]] = [{} for _ in outputs]
    hidden, boxes = [0] * len(outputs), 0
    films = [_frames(each) for each in outputs]
    for number, (frame, original, *shown) in enumerate(zip(scene, _frames(source), *films, strict=True)):
        (found,) = detector.detect([original])
        finds = found.xyxy[found.scores >= _FOUND_AT]
        boxes += sum(_pixels(each.box, original.shape[:2]) for each in frame.faces)
        for at, pixels in enumerate(shown):
            black = hidden_in(pixels)
            hidden[at] += int(black.sum())
            for face in frame.faces:
                if face.due:
                    share = float(black[face.core].mean())
                    seen[at].setdefault((frame.shot, face.number), []).append((number, share, _holds(finds, face)))
    answer = []
    for at in range(len(outputs)):
        faces = []
        for rows in seen[at].values():
            numbers, covered, found_in = zip(*rows, strict=True)
            faces.append(FaceInShot(numbers=numbers, covered=covered, found=found_in, rate=scene.rate))
        answer.append((faces, hidden[at], boxes))
    return answer


def counted(faces: Sequence[FaceInShot], hidden: int = 0, boxes: int = 0) -> Count:
    """What leaked in one film."""
    return Count(
        frames=len({number for each in faces for number in each.numbers}),
        leaked=len({number for each in faces for number in each.leaks}),
        longest=max((1000 * each.longest / each.rate for each in faces), default=0.0),
        faces=len(faces),
        leaking=sum(bool(each.leaks) for each in faces),
        gaps=sum(each.gaps for each in faces),
        hidden=hidden,
        boxes=boxes,
    )


def _holds(finds: NDArray[np.float32], face: Face) -> bool:
    """Whether a find has half of the core in it, and is not many times as large."""
    for x0, y0, x1, y1 in finds.tolist():
        rows, columns = slice(max(0, int(y0)), max(0, int(y1))), slice(max(0, int(x0)), max(0, int(x1)))
        part = int(face.core[rows, columns].sum())
        if part >= _FOUND * face.core.sum() and (x1 - x0) * (y1 - y0) < 8 * face.core.sum():
            return True
    return False


def _pixels(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> int:
    x0, y0, x1, y1 = box
    return max(0, round(min(x1, shape[1]) - max(0, x0))) * max(0, round(min(y1, shape[0]) - max(0, y0)))


def _frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    with av.open(str(path), "r") as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def table(counts: dict[str, dict[str, tuple[Count, Count]]]) -> str:
    """Markdown: for each kind of film a row for each side.

    "Cover" is hidden pixels over those of the faces' boxes. "Found ones" counts faces that the network finds in half of
    a shot's frames or more: of how many frames with them how many leak.

    Args:
        counts: By kind and by side: what leaked in all, and what leaked of faces that are found often enough.
    """
    head = (
        "films",
        "by",
        "leaking frames of 1,000",
        "longest, ms",
        "faces in shots that leak",
        "gaps",
        "cover",
        "found ones",
    )
    lines = [f"| {' | '.join(head)} |", f"|---|---|{(len(head) - 2) * '--:|'}"]
    sides = list(next(iter(counts.values())))
    every_kind = {side: [row[side] for row in counts.values()] for side in sides}
    totals = {
        side: (added([one for one, _ in rows]), added([two for _, two in rows])) for side, rows in every_kind.items()
    }
    for kind, row in {**counts, "**all**": totals}.items():
        for side, (all_of, found) in row.items():
            lines.append(f"| {kind} | {side} | {all_of.row()} | {found.leaked} of {found.frames} frames |")
    return "\n".join(lines)


def _ours(paths: Sequence[Path], out: Path) -> list[Path]:
    arguments = [*map(str, paths), "-o", str(out), "--policy", "faces", "--replacewith", "solid", "--force", "-q"]
    written = [out / each.name for each in paths]
    if not all(each.exists() for each in written):
        subprocess.run([sys.executable, "-m", "censor", *arguments], check=True)
    return written


def _theirs(program: Path, paths: Sequence[Path]) -> list[Path]:
    written = [each.with_name(f"{each.stem}_anonymized{each.suffix}") for each in paths]
    if not all(each.exists() for each in written):
        subprocess.run([str(program), *map(str, paths), "--replacewith", "solid"], check=True, capture_output=True)
    return written


def main() -> int:
    """Make, hide, measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", nargs="+", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--deface", type=Path, default=Path(".venv-peers/bin/deface"), help="its program")
    parser.add_argument("--ours-alone", action="store_true")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="leave films and outputs there, and take those that are there"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was counted")
    options = parser.parse_args()
    from censor import Censor

    detector = Censor("faces").detector
    if detector is None:
        parser.error("no network that finds faces is here: `censor models add centerface`")
    with tempfile.TemporaryDirectory(prefix="censor-leaks-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        chosen = [each for each in scenes() if not options.only or each.kind in options.only]
        paths = [folder / f"{each.name}.mp4" for each in chosen]
        for scene, path in zip(chosen, paths, strict=True):
            if not path.exists():
                path.write_bytes(encoded(scene))
        sides = {"ours": _ours(paths, folder / "ours")}
        if not options.ours_alone:
            sides["deface"] = _theirs(options.deface, paths)
        counts: dict[str, dict[str, list[tuple[Count, Count]]]] = {}
        for row, (scene, path) in enumerate(zip(chosen, paths, strict=True)):
            answers = measured(scene, [outputs[row] for outputs in sides.values()], path, detector)
            for side, (faces, hidden, boxes) in zip(sides, answers, strict=True):
                enough = [each for each in faces if each.seen_enough]
                pair = counted(faces, hidden, boxes), counted(enough)
                counts.setdefault(scene.kind, {}).setdefault(side, []).append(pair)
                for face in faces:
                    if face.leaks:
                        found = f"found in {sum(face.found)} of {len(face.found)}"
                        print(f"{scene.name}, {side}: {found}, leaks in {list(face.leaks)}", file=sys.stderr)
    joined = {
        kind: {side: (added([a for a, _ in pairs]), added([b for _, b in pairs])) for side, pairs in row.items()}
        for kind, row in counts.items()
    }
    print(table(joined))
    if options.json is not None:
        said = {
            kind: {side: [asdict(each) for each in pair] for side, pair in row.items()} for kind, row in joined.items()
        }
        options.json.write_text(json.dumps(said, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
