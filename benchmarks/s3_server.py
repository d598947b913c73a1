"""A server that speaks like S3 and keeps all in memory (moto's), and fails or dawdles as told: for tests and faults.

    python benchmarks/s3_server.py [--bucket NAME]... [--from FOLDER] [--fail SHARE] [--latency SECONDS] [--seed N]

Prints its URL and serves until it is killed. Of the requests that fail, a third is refused with a 503, a third is done
and answered with a 500, a third is done and its connection is cut. `GET /_faults` says how many there were of each.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import WSGIRequestHandler, make_server

Answer = Callable[..., Any]


class Faults:
    """An application around another, which fails now and then."""

    def __init__(self, inner: Any, *, fail: float, latency: float, seed: int) -> None:
        self._inner, self._fail, self._latency = inner, fail, latency
        self._random, self._lock = random.Random(seed), threading.Lock()  # noqa: S311  # faults are no secret
        self.counts: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], answer: Answer) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/_faults":
            answer("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self.counts).encode()]
        time.sleep(self._latency)
        with self._lock:
            kind = self._random.choice(("refused", "answered", "cut")) if self._random.random() < self._fail else None
            self.counts[kind or "well"] += 1
            self.counts[environ["REQUEST_METHOD"]] += 1
        if kind == "refused":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return _error(answer, "503 Slow Down", "SlowDown")
        if kind is None:
            done: Iterable[bytes] = self._inner(environ, answer)
            return done
        b"".join(self._inner(environ, lambda *_: lambda _: None))  # done, and nobody is told
        if kind == "cut":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return _error(answer, "500 Internal Server Error", "InternalError")


def _error(answer: Answer, status: str, code: str) -> list[bytes]:
    answer(status, [("Content-Type", "application/xml")])
    return [f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>on purpose</Message></Error>".encode()]


class Handler(WSGIRequestHandler):
    """Keeps connections open, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *given: Any) -> None:
        """Not."""

    def log(self, kind: str, message: str, *given: Any) -> None:
        """Not."""


def serve(buckets: list[str], *, fail: float, latency: float, seed: int, folder: Path | None = None) -> None:
    """Serve until killed; what lies below the folder lies in the first bucket from the beginning."""
    logging.disable(logging.CRITICAL)
    inner = DomainDispatcherApplication(create_backend_app)
    faults = Faults(inner, fail=0.0, latency=0.0, seed=seed)
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    for bucket in buckets:
        boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=bucket)
    if folder is not None:  # not by requests, of which twenty thousand take minutes
        kept = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for path in sorted(folder.rglob("*.*")):
            kept.put_object(buckets[0], str(path.relative_to(folder)), path.read_bytes())
    faults._fail, faults._latency = fail, latency  # noqa: SLF001  # buckets are made well
    faults.counts.clear()
    print(url, flush=True)
    threading.Event().wait()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bucket", action="append", default=[])
    parser.add_argument("--from", dest="folder", type=Path)
    parser.add_argument("--fail", type=float, default=0.0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    serve(given.bucket, fail=given.fail, latency=given.latency, seed=given.seed, folder=given.folder)


if __name__ == "__main__":
    main()
