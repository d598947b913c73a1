"""`censor watch` as children of a process that has imported what it imports: importing takes longer than small runs.

    python tests/warm.py

It reads one request a line, a JSON list: the program's words after `censor`, and the file that both streams are added
to, for a child whose process id it answers with; or such an id, for how that child has ended, null while it has not.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

IMPORTED = (
    "censor.cli.watch", "censor.equipment", "censor.gather", "censor.pipeline", "censor.recheck", "censor.second_pass",
    "censor.watch.watcher", "cv2", "detect.load", "detect.pictures.still", "detect.runtime.sessions", "simplejpeg",
    "watchfiles",
)  # fmt: skip
"""Not onnxruntime: importing it starts a thread, which no child would have."""


class WarmProcess:
    """A command that runs in a child of the warm process; the methods are those of `subprocess.Popen`."""

    def __init__(self, server: WarmServer, pid: int) -> None:
        self._server, self.pid = server, pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask(self.pid)
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(["censor"], timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:  # it is waited for on request alone: the number is nobody else's
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmServer:
    """The warm process."""

    def __init__(self) -> None:
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, request: object) -> int | None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: int | None = json.loads(self._process.stdout.readline())
        return answer

    def start(self, words: Sequence[str], log: Path) -> WarmProcess:
        pid = self.ask([list(words), str(log)])
        assert pid is not None
        return WarmProcess(self, pid)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def warm_server() -> Iterator[WarmServer]:
    server = WarmServer()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Answer until there is no more to answer."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `run` does: threads do not survive a fork
    for name in IMPORTED:
        importlib.import_module(name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        answer = _ended(request) if isinstance(request, int) else _started(*request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _started(words: list[str], log: str) -> int:
    pid = os.fork()
    if pid == 0:
        _run(words, log)
    return pid


def _run(words: list[str], log: str) -> NoReturn:
    nothing, said = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, stream in enumerate((nothing, said, said)):
        os.dup2(stream, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # what had been read of the requests is not its own
    sys.argv = ["censor", *words]
    from censor.cli import run

    run()


if __name__ == "__main__":
    main()
