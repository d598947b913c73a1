"""`censor watch` as a process: killed, stopped, starved of disk, and with the real detector."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from fakes import FACES_JUDGED
from numpy.typing import NDArray
from PIL import Image
from warm import WarmProcess, WarmServer, warm_server
from watched import files

from censor.cli import main
from detect.pictures.still import decode

HERE = Path(__file__).parent
QUICK = ("--policy", str(FACES_JUDGED), "--settle", "0.3", "--rescan", "1")


class WatchRoot:
    """Folders, portraits that land in the inbox, and `censor watch` processes."""

    def __init__(self, root: Path, portrait: NDArray[np.uint8], warm: WarmServer) -> None:
        self.root, self.portrait, self.warm = root, portrait[:256, 100:356], warm
        self.inbox, self.public, self.quarantine = (root / name for name in ("inbox", "public", "quarantine"))
        self.inbox.mkdir()
        self.sent: dict[str, NDArray[np.uint8]] = {}

    def send(self, name: str) -> None:
        """A portrait like no other, by its brightness, named when it is whole."""
        pixels = np.clip(self.portrait.astype(int) + len(self.sent) % 50 - 25, 0, 255).astype(np.uint8)
        pixels[:3, :3] = len(self.sent)
        self.sent[name] = pixels
        (self.inbox / name).parent.mkdir(parents=True, exist_ok=True)
        part = self.inbox / f"{name}.part"
        Image.fromarray(pixels).save(part, format="PNG")
        part.rename(self.inbox / name)

    def words(self, *options: object) -> list[str]:
        folders = [str(self.inbox), "--out", str(self.public), "--failed", str(self.quarantine)]
        return ["watch", *folders, *QUICK, *map(str, options)]

    def command(self, *options: object) -> list[str]:
        return [sys.executable, "-m", "censor", *self.words(*options)]

    @contextmanager
    def watching(self, *options: object, anew: bool = False) -> Iterator[WarmProcess | subprocess.Popen[bytes]]:
        process: WarmProcess | subprocess.Popen[bytes]
        if anew:  # as users start it
            with (self.root / "log").open("a") as log:
                process = subprocess.Popen(self.command(*options), stderr=log)
        else:
            process = self.warm.start(self.words(*options), self.root / "log")
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def log(self) -> list[dict[str, object]]:
        path = self.root / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def face_is_hidden(self, name: str) -> bool:
        shown, original = decode(self.public / name).pixels.astype(int), self.sent[name].astype(int)
        assert shown.shape == original.shape
        return bool(np.abs(shown[90:170, 85:165] - original[90:170, 85:165]).mean() > 8)

    def all_hidden(self) -> bool:
        return all(self.face_is_hidden(name) for name in files(self.public))


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmServer]:
    with warm_server() as server:
        yield server


@pytest.fixture
def watch_root(tmp_path: Path, astronaut: NDArray[np.uint8], warm: WarmServer) -> WatchRoot:
    return WatchRoot(tmp_path, astronaut, warm)


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_uploads_are_censored_as_they_land_and_a_signal_ends_it(watch_root: WatchRoot) -> None:
    health = watch_root.root / "health.json"
    watch_root.send("before.png")
    options = ("--originals", "delete", "--health", health, "--rescan", "600")
    with watch_root.watching(*options, anew=True) as process:
        wait_for(lambda: files(watch_root.public) == ["before.png"])
        watch_root.send("later/deep.png")
        wait_for(lambda: "later/deep.png" in files(watch_root.public))
        (watch_root.inbox / "bad.jpg").write_bytes(b"x")
        wait_for(lambda: files(watch_root.quarantine) == ["bad.jpg", "bad.jpg.json"])
        wait_for(lambda: files(watch_root.inbox) == [])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert watch_root.all_hidden()
    said = [str(line["event"]) for line in watch_root.log()]
    assert said[0] == "started"
    assert said[-1] == "stopped"
    assert sorted(said[1:-1]) == ["censored", "censored", "quarantined"]
    beat = json.loads(health.read_text())
    assert beat["state"] == "stopping"
    assert beat["counts"] == {"censored": 2, "quarantined": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_the_rest_in_the_inbox(watch_root: WatchRoot, number: signal.Signals) -> None:
    for each in range(40):
        watch_root.send(f"{each}.png")
    with watch_root.watching("--originals", "delete") as process:
        wait_for(lambda: len(files(watch_root.public)) >= 3 if watch_root.public.exists() else False)
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
    assert watch_root.all_hidden()
    assert sorted(files(watch_root.public) + files(watch_root.inbox)) == sorted(watch_root.sent)
    assert not list((watch_root.inbox / ".censor-watch" / "claims").iterdir())


def test_half_written_files_are_waited_for(watch_root: WatchRoot) -> None:
    watch_root.send("whole.png")
    body = (watch_root.inbox / "whole.png").read_bytes()
    (watch_root.inbox / "whole.png").unlink()
    with watch_root.watching("--originals", "delete"):
        with (watch_root.inbox / "whole.png").open("wb") as stream:
            for start in range(0, len(body), len(body) // 4 + 1):
                stream.write(body[start : start + len(body) // 4 + 1])
                stream.flush()
                time.sleep(0.7)  # longer than it takes to settle
        wait_for(lambda: files(watch_root.public) == ["whole.png"])
    assert files(watch_root.quarantine) == []
    assert watch_root.all_hidden()


def test_killed_again_and_again_by_two_watchers_nothing_is_lost_and_nothing_leaks(watch_root: WatchRoot) -> None:
    rng = np.random.default_rng(7)
    options = ("--originals", "delete", "--attempts", 100)  # on a busy machine one picture may be hit three times
    number = 0

    def starts() -> int:
        return len([line for line in watch_root.log() if line["event"] == "started"])

    for kill in range(10):
        for _ in range(5):
            watch_root.send(f"{number}.png")
            number += 1
        before = starts()
        with watch_root.watching(*options) as one, watch_root.watching(*options) as other:
            wait_for(lambda: starts() > before, seconds=60)  # noqa: B023  # and waits for it here
            time.sleep(rng.uniform(0.2, 1.2))
            (one, other)[kill % 2].kill()
            time.sleep(rng.uniform(0, 0.3))
        assert watch_root.all_hidden()
    done = subprocess.run(watch_root.command("--once", *options), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(files(watch_root.public)) == sorted(watch_root.sent)
    assert watch_root.all_hidden()
    assert files(watch_root.inbox) == files(watch_root.quarantine) == []
    assert not list((watch_root.inbox / ".censor-watch" / "claims").iterdir())


def killed_at_every_step(*runs: tuple[object, ...]) -> None:
    program = [sys.executable, str(HERE / "every_step.py")]
    processes = [
        subprocess.Popen([*program, *map(str, run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for run in runs
    ]
    for process in processes:
        steps, errors = process.communicate()
        assert process.returncode == 0, errors
        assert int(steps) > 30


def test_killed_before_every_single_step(tmp_path: Path) -> None:
    killed_at_every_step(*((mode, tmp_path / mode) for mode in ("delete", "keep", "move")))


def test_killed_before_every_single_step_with_a_quarantine_on_another_disk(tmp_path: Path, elsewhere: Path) -> None:
    killed_at_every_step(("move", tmp_path, elsewhere))


BOMB = """
import os, signal, sys
sys.path[:0] = sys.argv[2:4]
from pathlib import Path
from fakes import RedFinder
from watched import WatchedFolders

class Bomb(RedFinder):
    def detect(self, images):
        if images[0].shape[0] == 13:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().detect(images)

WatchedFolders(Path(sys.argv[1])).once(detector=Bomb(), originals="delete")
"""


def test_a_picture_that_kills_the_process_does_not_block_the_queue(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 13 if number == 2 else 40)).save(inbox / f"{number}.png")
        os.utime(inbox / f"{number}.png", (number, number))
    codes: list[int] = []
    while len(codes) < 6 and (not codes or codes[-1]):
        command = [sys.executable, "-c", BOMB, *map(str, (tmp_path, HERE, HERE.parent))]
        codes.append(subprocess.run(command, capture_output=True, check=False).returncode)
    assert codes == [-signal.SIGSEGV] * 3 + [0]
    assert files(tmp_path / "public") == [f"{number}.png" for number in range(6) if number != 2]
    assert files(tmp_path / "quarantine") == ["2.png", "2.png.json"]
    said = json.loads((tmp_path / "quarantine" / "2.png.json").read_text())
    assert said["error"]["type"] == "CrashedError"
    assert said["attempts"] == 3


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("which", ["public", "quarantine"])
def test_a_disk_that_is_really_full(watch_root: WatchRoot, which: str) -> None:
    folder = watch_root.root / which
    if which == "public":
        watch_root.send("a.png")
    else:
        (watch_root.inbox / "a.png").write_bytes(b"no picture" + bytes(100_000))
    health = watch_root.root / "health.json"
    with small_disk(folder):
        once = subprocess.run(watch_root.command("--once", "--originals", "delete"), capture_output=True, check=False)
        assert once.returncode == 1
        assert b"No space left on device" in once.stderr
        assert files(watch_root.public) == []
        assert "a.png" not in files(watch_root.quarantine)
        with watch_root.watching("--originals", "delete", "--health", health):
            wait_for(lambda: health.exists() and json.loads(health.read_text())["state"] == "stalled")
            subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
            wait_for(lambda: "a.png" in files(folder))
        assert files(watch_root.inbox) == []


# --- usage ----------------------------------------------------------------------------------------------------------


def test_folders_in_folders_are_refused(tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    cases = [
        (inbox / "out", tmp_path / "q"), (tmp_path, tmp_path / "q"), (tmp_path / "out", inbox),
        (tmp_path / "out", tmp_path / "out" / "q"), (inbox, tmp_path / "q"),
    ]  # fmt: skip
    for out, failed in cases:
        result = CliRunner().invoke(main, ["watch", str(inbox), "--out", str(out), "--failed", str(failed)])
        assert result.exit_code == 2
        assert "they must be apart" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert not list(inbox.iterdir())


@pytest.mark.parametrize(
    ("options", "says"),
    [(("--originals", "burn"), "is not delete, keep or move:DIR"), (("--originals", "move:"), "is not delete"),
     (("--originals", "move:{inbox}/done"), "they must be apart"), (("--settle", "0"), "0.1<=x"),
     (("--health", "{inbox}/health"), "must lie outside"), (("--policy", "fases"), "did you mean faces"),
     (("--label", "FACES"), "did you mean FACE"), (("--cells", "9"), "1<=x<=8")],
)  # fmt: skip
def test_usage_errors(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    inbox = tmp_path / "in"
    inbox.mkdir()
    arguments = ["watch", inbox, "--out", tmp_path / "out", "--failed", tmp_path / "q"]
    filled = [str(each).replace("{inbox}", str(inbox)) for each in (*arguments, *options)]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGIO)}
    try:
        result = CliRunner().invoke(main, filled)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error")]) == 1


def test_an_inbox_that_is_missing(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["watch", str(tmp_path / "in"), "--out", "a", "--failed", "b"])
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *_: None if name == 'watchfiles' else find(name)\n"
        "from censor.cli import main\n"
        "main(sys.argv[1:])"
    )
    arguments = ["watch", str(tmp_path), "--out", "a", "--failed", "b"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "Error: watchfiles is not installed; install it with: pip install 'nsfw-censor[service]'\n"
