"""Buckets of S3 and of what speaks like it: listed page by page, read and created under conditions."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any, BinaryIO, TypeVar

from censor.cluster.stores import Entry, changed
from censor.errors import ChangedObjectError, StoreError, WriteError
from detect.errors import LimitError, ReadError

__all__ = ["Bucket"]

_ATTEMPTS = 10
"""Of each request, by botocore: of a store that fails one request in twenty, one in ten billions fails for good."""

_T = TypeVar("_T")


class Bucket:
    """What lies below a prefix of a bucket. Rights, region and endpoint are those that botocore finds."""

    def __init__(self, url: str) -> None:
        """Nothing is asked of the bucket yet.

        Raises:
            StoreError: s3fs is not installed.
        """
        self._bucket, _, prefix = url.partition("://")[2].partition("/")
        self._prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
        self.url = f"s3://{self._bucket}/{self._prefix}".rstrip("/")
        if not self._bucket:
            raise StoreError(f"{url}: names no bucket")
        self._fs = _filesystem(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))

    def entries(self, below: str = "") -> Iterator[Entry]:
        """Every object, in the order of S3: by the bytes of its key. Marks of folders are no objects."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + below}
        while True:
            page = self._told(lambda: self._fs.call_s3("list_objects_v2", **asked), "listed")
            for each in page.get("Contents", ()):
                name = each["Key"].removeprefix(self._prefix)
                if name and not (name.endswith("/") and each["Size"] == 0):
                    yield Entry(name, each["ETag"].strip('"'), each["Size"])
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def entry(self, name: str) -> Entry | None:
        """One object, by its head."""
        try:
            head = self._told(
                lambda: self._fs.call_s3("head_object", Bucket=self._bucket, Key=self._prefix + name), "listed"
            )
        except StoreError as error:
            if isinstance(error.__context__, FileNotFoundError):
                return None
            raise
        return Entry(name, head["ETag"].strip('"'), head["ContentLength"])

    def read(self, name: str, *, etag: str | None = None, cap: int | None = None) -> bytes:
        """All bytes of an object, asked for under the condition that it is the one that was listed."""
        condition = {} if etag is None else {"IfMatch": f'"{etag}"'}
        return self._got(name, etag, cap, **condition)

    def start(self, name: str, count: int) -> bytes:
        """The first bytes of an object."""
        return self._got(name, None, None, Range=f"bytes=0-{count - 1}")

    def stream(self, name: str) -> AbstractContextManager[BinaryIO]:
        """The object, read in ranges."""
        uri = f"s3://{self._bucket}/{self._prefix}{name}"
        try:
            opened: AbstractContextManager[BinaryIO] = self._fs.open(uri, "rb")
        except Exception as error:
            raise StoreError(f"{uri}: cannot be read: {_reason(error)}") from error
        return opened

    def create(self, name: str, data: bytes) -> bool:
        """``PUT`` with ``If-None-Match: *``."""
        from botocore.exceptions import ClientError

        try:
            self._told(
                lambda: self._fs.call_s3(
                    "put_object", Bucket=self._bucket, Key=self._prefix + name, Body=data, IfNoneMatch="*"
                ),
                "written",
            )
        except WriteError as error:
            if isinstance(error.__cause__, ClientError) and _code(error.__cause__) in ("PreconditionFailed", "412"):
                return False
            raise
        return True

    def put(self, name: str, data: bytes) -> None:
        """Make an object or replace it."""
        self._told(
            lambda: self._fs.call_s3("put_object", Bucket=self._bucket, Key=self._prefix + name, Body=data), "written"
        )

    def remove(self, name: str) -> None:
        """Remove an object; S3 does not mind if there is none."""
        with suppress(Exception):
            self._fs.call_s3("delete_object", Bucket=self._bucket, Key=self._prefix + name)

    def _got(self, name: str, etag: str | None, cap: int | None, **condition: str) -> bytes:
        from fsspec.asyn import sync

        uri = f"s3://{self._bucket}/{self._prefix}{name}"
        asked = {"Bucket": self._bucket, "Key": self._prefix + name, **condition}
        try:
            data, found = sync(self._fs.loop, _fetched, self._fs, cap, asked)
        except (OverflowError, ChangedObjectError) as error:
            if isinstance(error, ChangedObjectError):
                raise
            raise LimitError(f"{uri}: more than {cap:,} bytes, the cap on a picture's size") from error
        except FileNotFoundError as error:
            raise changed(uri, vanished=True) from error
        except Exception as error:
            if _code(_client_error(error)) in ("PreconditionFailed", "412"):
                raise changed(uri) from error
            raise ReadError(f"{uri}: cannot be read: {_reason(error)}") from error
        if etag is not None and found.strip('"') != etag:
            raise changed(uri)
        return bytes(data)

    def _told(self, ask: Callable[[], _T], what: str) -> _T:
        from botocore.exceptions import BotoCoreError

        try:
            return ask()
        except (OSError, BotoCoreError) as error:
            cause = _client_error(error)
            if _code(cause) in ("NoSuchBucket", "InvalidBucketName"):
                raise StoreError(f"s3://{self._bucket}: no such bucket") from cause
            said = f"{self.url}: cannot be {what}: {_reason(error)}"
            for_good = what == "listed" or isinstance(error, PermissionError) or not isinstance(error, OSError)
            raise (StoreError if for_good else WriteError)(said) from cause


async def _fetched(fs: Any, cap: int | None, asked: dict[str, Any]) -> tuple[bytes, str]:
    """An object's bytes and its etag. What breaks off half way is asked for again: botocore sees to answers' heads."""
    from s3fs.core import S3_RETRYABLE_ERRORS

    for last in (False, False, False, False, True):
        answer = await fs._call_s3("get_object", **asked)  # noqa: SLF001  # within its event loop
        async with answer["Body"] as body:
            if cap is not None and answer["ContentLength"] > cap:
                raise OverflowError
            try:
                return await body.read(), answer["ETag"]
            except S3_RETRYABLE_ERRORS:
                if last:
                    raise
    raise AssertionError("the last attempt returns or raises")


@functools.cache
def _filesystem(endpoint: str | None) -> Any:
    """One for all buckets of an endpoint; None for the one that botocore finds."""
    try:
        import s3fs
    except ModuleNotFoundError as error:
        raise StoreError(
            f"s3:// needs {error.name}, which is not installed: pip install 'nsfw-censor[cluster]'"
        ) from error
    s3fs.core.set_custom_error_handler(_is_a_conflict)
    retries = {"retries": {"mode": "standard", "max_attempts": _ATTEMPTS}}
    return s3fs.S3FileSystem(endpoint_url=endpoint, use_listings_cache=False, config_kwargs=retries)


def _is_a_conflict(error: Exception) -> bool:
    """Two who create one object in the same moment: S3 asks the loser to try again, and then says that it is there."""
    return _code(error) == "ConditionalRequestConflict"


def _client_error(error: BaseException) -> BaseException:
    return error.__cause__ if error.__cause__ is not None else error


def _code(error: BaseException) -> str:
    answer = getattr(error, "response", None)
    return str(answer["Error"].get("Code", "")) if isinstance(answer, dict) and "Error" in answer else ""


def _reason(error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return f"no right to: {error}"
    return " ".join(str(error).split()) or type(error).__name__
