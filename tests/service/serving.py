"""A running `censor serve`, for tests of it as people start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time


class Serving:
    """A running `censor serve`."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "censor", "serve", "--port", "0", *options]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("CENSOR_", "COV_"))}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines: list[str] = []
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        end = time.monotonic() + 30
        while True:
            found = [match[1] for line in list(self.lines) if (match := re.search(pattern, line))]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, self.lines
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return self.wait_for(r"(http://127\.0\.0\.1:\d+)")[0]

    def started(self, count: int = 1) -> int:
        """Process id of the one that speaks HTTP, once it has been started so often."""
        return int(self.wait_for(r'"event": "started", "process": (\d+)', count)[-1])

    def workers(self, count: int) -> list[int]:
        """Process ids of so many workers, in the order in which they were ready."""
        return [int(pid) for pid in self.wait_for(r'"event": "worker ready", .*"worker": (\d+)', count)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.thread.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code
