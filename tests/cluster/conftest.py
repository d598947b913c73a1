"""A server that speaks like S3, and buckets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from object_store import ACCESS, object_store

pytest.importorskip("ray", reason="needs the extra `cluster`")

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """A server; every test has its own prefixes in its bucket `pictures`. The others are those of docs/cluster.md."""
    with object_store("--bucket", "pictures", "--bucket", "uploads", "--bucket", "published") as url:
        yield url


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The URL of a new place: ``s3("in")``. Ways to the server stand in the environment."""
    for name, value in {**ACCESS, "AWS_ENDPOINT_URL": s3_url}.items():
        monkeypatch.setenv(name, value)
    return lambda name: f"s3://pictures/{next(_NUMBERS)}/{name}"
