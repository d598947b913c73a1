"""A server that speaks like S3, for tests: benchmarks/s3_server.py in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ACCESS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What botocore looks for in the environment."""


@contextmanager
def object_store(*options: str) -> Iterator[str]:
    """The URL of a server, for as long as the context is."""
    command = [sys.executable, str(ROOT / "benchmarks" / "s3_server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), "the server did not start"
            yield url
        finally:
            server.kill()


class _Punctual(BaseHTTPRequestHandler):
    """Says of every request what S3 says of one that was signed at another time."""

    def do_GET(self) -> None:
        """As `http.server` wants it."""
        said = b"The difference between the request time and the current time is too large."
        body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>%b</Message></Error>" % said
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given: object) -> None:
        """Not."""


@contextmanager
def punctual_store() -> Iterator[str]:
    """The URL of a server to whose clock no request is signed in time."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Punctual) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
