"""Faults against the upload service: what becomes of each request when workers are killed and clients misbehave.

    python benchmarks/service_faults.py [--seconds S] [--kills N] [--loris N]

Well-behaved clients send the portrait all the while. Meanwhile workers are killed with SIGKILL at random moments, slow
clients drip headers and bodies, some hang up in the middle, some never read their answer. Every request of the
well-behaved counts as in, and as one of: out, a 200 with the expected bytes; leaked, a 200 with any others; refused,
503 at once because the queue was full; failed, any other status; lost, no answer at all.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import httpx
import skimage.data
from PIL import Image
from service_load import JPEG, Service

from censor import Censor
from censor.loading import load_networks
from censor.media.encoding import encode
from censor.policy_toml import load_policy

REQUEST = b"POST /v1/censor HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


def portrait() -> bytes:
    """NASA's public-domain portrait of Eileen Collins."""
    stream = io.BytesIO()
    Image.fromarray(skimage.data.astronaut()).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def good_client(url: str, photo: bytes, expected: str, counts: Counter[str], end: float) -> None:
    """Send, check, send again."""
    while time.monotonic() < end:
        counts["in"] += 1
        try:
            response = httpx.post(f"{url}/v1/censor", content=photo, headers=JPEG, timeout=30, trust_env=False)
        except httpx.HTTPError:
            counts["lost"] += 1
            continue
        if response.status_code == 200:
            counts["out" if hashlib.sha256(response.content).hexdigest() == expected else "leaked"] += 1
        else:
            counts["refused" if response.status_code == 503 else "failed"] += 1
            time.sleep(0.2)


def bad_client(url: str, photo: bytes, counts: Counter[str], end: float, rng: random.Random) -> None:
    """Drip, hang up, or never read, one after the other."""
    address = urlsplit(url)
    ways = {"dripped header": b"POST /v1/cen", "dripped body": REQUEST % len(photo), "hung up": REQUEST % len(photo)}
    ways["never read"] = REQUEST % len(photo) + photo
    while time.monotonic() < end:
        way = rng.choice(list(ways))
        counts[way] += 1
        try:
            with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
                connection.sendall(ways[way])
                stop = min(end, time.monotonic() + 20)
                while way.startswith("dripped") and time.monotonic() < stop:
                    connection.sendall(b"x")
                    time.sleep(0.5)
                if way == "hung up":
                    connection.sendall(photo[: rng.randrange(len(photo))])
                elif way == "never read":
                    time.sleep(rng.random() * 3)
        except OSError:
            counts[f"{way}: cut off"] += 1


def main() -> None:
    """Run the faults, print the counts, and fail if anything was lost or leaked or the service did not come back."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--loris", type=int, default=50, help="clients that misbehave, at a time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, photo = random.Random(options.seed), portrait()  # noqa: S311  # repeatable, not secret
    censor = Censor("faces", detector=load_networks(load_policy("faces"), min_score=0.05, threads=1)[0])
    expected = hashlib.sha256(encode(censor.apply(photo).picture, format="JPEG")).hexdigest()
    service = Service("--workers", "2")
    each: list[Counter[str]] = [Counter() for _ in range(4)]
    bad: Counter[str] = Counter()
    killed = 0
    end = time.monotonic() + options.seconds
    threads = [threading.Thread(target=good_client, args=(service.url, photo, expected, own, end)) for own in each]
    for number in range(options.loris):
        own = random.Random(number)  # noqa: S311  # as above
        threads.append(threading.Thread(target=bad_client, args=(service.url, photo, bad, end, own)))
    try:
        for thread in threads:
            thread.start()
        for moment in sorted(rng.random() * options.seconds * 0.9 for _ in range(options.kills)):
            time.sleep(max(0.0, moment - (options.seconds - (end - time.monotonic()))))
            if workers := service.workers():
                os.kill(rng.choice(workers), signal.SIGKILL)
                killed += 1
        for thread in threads:
            thread.join()
        patience = time.monotonic() + 20
        while len(service.workers()) < 2 and time.monotonic() < patience:
            time.sleep(0.2)
        alive = httpx.post(f"{service.url}/v1/censor", content=photo, headers=JPEG, timeout=30, trust_env=False)
        good = sum(each, Counter())
        names = ("in", "out", "refused", "failed", "lost", "leaked")
        print(f"{killed} workers killed; " + ", ".join(f"{name} {good[name]}" for name in names))
        print("misbehaving:", dict(sorted(bad.items())))
        print(f"afterwards: {len(service.workers())} workers, status {alive.status_code}")
        print(f"peak memory {service.peak_mb():.0f} MB")
        unaccounted = good["in"] - good["out"] - good["refused"]
        if unaccounted or killed < options.kills or alive.status_code != 200 or len(service.workers()) < 2:
            raise SystemExit(1)
    finally:
        service.stop()


if __name__ == "__main__":
    main()
