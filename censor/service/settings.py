"""What can be set, from flags of `censor serve` or from `CENSOR_*` variables, and what it means for memory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from censor.service.middleware.hosts import allowed, checked
from censor.service.spool import can_spool
from detect.runtime.sessions import cores

__all__ = ["Settings"]

_HTTP = 384 * 2**20
"""What the process that speaks HTTP and the one that supervises it take together before any upload."""

_BASE = 320 * 2**20
"""What a worker takes with one network, the bundled detector, before it sees a picture, and what its allocator does not
give back."""

_NETWORKS = 160 * 2**20
"""What each slot takes on OpenVINO once pictures of all shapes have come: it compiles for nine, each 17 MiB."""

_FURTHER = 128 * 2**20
"""What a worker takes with each network beyond the first before it sees a picture: the weights, as the runtime has them
too."""

_FURTHER_RUN = 384 * 2**20
"""What each slot takes for each network beyond the first, maps and long pictures in stretches included."""

_STACKS = 128 * 2**20
"""Stacks of the threads that a decoder or encoder starts, 8 MiB each: counted by the system, never filled."""

_MOST_WORKERS = 4
"""Unless more are asked for. Each has Python's lock to itself, and the weights as well."""

_BYTES_A_PIXEL = 48
"""Peak of one picture, over the formats: 7 for a JPEG, 20 for a PNG with transparency, 41 if that is asked for as
HEIC; rounded up."""


class Settings(BaseSettings):
    """Settings of the service; each is read from ``CENSOR_`` and its name in capitals unless it is given.

    Attributes:
        host: Address to listen on. Only this machine unless told otherwise.
        port: TCP port; 0 takes a free one.
        workers: Processes that work on pictures; by default one a core, at most four.
        weights: ONNX detector that takes the place of all others; by default the best model that is here for each label
            of the policies that are offered.
        classifiers: Names of models that were added, and ONNX files, separated by commas; ``none`` for none. By default
            those that were added and that any policy counts.
        engine: What runs the network: ``auto``, ``onnxruntime`` or ``openvino``; see `detect.load.choose`.
        precision: What the network computes in: ``auto``, ``f32``, ``bf16`` or ``int8``.
        provider: What the network runs on: ``cpu``, ``cuda``, ``tensorrt``, ``coreml`` or ``directml``.
        policy: The policy of requests that name none: a preset, a file in `policies`, or a path.
        policies: Folder of TOML policies that requests may name, by their files' stems, beside the presets.
        max_bytes: Cap on an encoded picture.
        max_pixels: Cap on width times height, checked before decoding.
        in_flight: Pictures that one worker works on at once; by default the cores divided among the workers.
        queue: Pictures that may wait for their turn; beyond them requests are refused at once.
        picture_seconds: How long work on one picture may take.
        upload_seconds: How far a body, or the reading of an answer, may fall behind its pace.
        upload_rate: That pace, in bytes a second.
        upload_memory: Bytes of uploads and answers that are held at once, waiting ones included.
        film_bytes: Bytes of an encoded film; 0 takes no films, no animations and no files of several pages.
        film_seconds: How long a film or an animation may play that is sent to be answered at once, at sixty frames a
            second; a page counts as a frame.
        film_workers: Processes that work on films and animations, one at once in each. They are started for the first
            one that comes; 0 takes none.
        job_seconds: How long a film may play that is sent as a job, at sixty frames a second.
        jobs: Jobs that are kept at once, be they waiting, worked on, or done and not yet fetched; 0 takes none.
        job_ttl: Seconds for which the result of a job waits to be fetched.
        batch: Pictures that are detected in one run of the network; 1 runs each by itself.
        batch_wait: Seconds that a picture waits for others to join its run.
        threads: Threads for one run of a network; by default the cores divided among all pictures in flight.
        drain_seconds: How long requests may go on after SIGTERM.
        api_keys: Keys of which requests to /v1 must bear one, separated by commas; empty lets everybody in.
        api_keys_file: File with a key on each line; lines that begin with # are comments.
        cors_origins: Origins whose pages may call /v1 from a browser, separated by commas; by default none.
        allowed_hosts: Names that requests may have in the header ``Host``, without port, separated by commas; ``*.``
            stands for all below a name, ``*`` for every name. By default localhost and the loopback addresses alone if
            `host` is one of them, and else every name.
        page: Whether the page is served at /.
    """

    model_config = SettingsConfigDict(env_prefix="CENSOR_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    workers: int = Field(default_factory=lambda: min(cores(), _MOST_WORKERS), ge=1, le=256)
    weights: Path | None = None
    classifiers: Annotated[tuple[str, ...] | None, NoDecode] = None
    engine: Literal["auto", "onnxruntime", "openvino"] = "auto"
    precision: Literal["auto", "f32", "bf16", "int8"] = "auto"
    provider: Literal["cpu", "cuda", "tensorrt", "coreml", "directml"] = "cpu"
    policy: str = "default"
    policies: Path | None = None
    max_bytes: Annotated[int, Field(ge=1)] = 20 * 2**20
    max_pixels: Annotated[int, Field(ge=1)] = 25_000_000
    in_flight: Annotated[int | None, Field(ge=1)] = None
    queue: Annotated[int, Field(ge=0)] = 16
    picture_seconds: Annotated[float, Field(gt=0)] = 30.0
    upload_seconds: Annotated[float, Field(gt=0)] = 10.0
    upload_rate: Annotated[int, Field(ge=1)] = 16 * 1024
    upload_memory: Annotated[int, Field(ge=1)] = 256 * 2**20
    film_bytes: Annotated[int, Field(ge=0)] = 32 * 2**20
    film_seconds: Annotated[float, Field(gt=0)] = 20.0
    film_workers: Annotated[int, Field(ge=0, le=64)] = 1
    job_seconds: Annotated[float, Field(gt=0)] = 600.0
    jobs: Annotated[int, Field(ge=0, le=1024)] = 8
    job_ttl: Annotated[float, Field(gt=0)] = 300.0
    batch: Annotated[int, Field(ge=1, le=256)] = 1
    batch_wait: Annotated[float, Field(ge=0, le=1)] = 0.0
    threads: Annotated[int | None, Field(ge=1)] = None
    drain_seconds: Annotated[int, Field(ge=0)] = 30
    api_keys: SecretStr = SecretStr("")
    api_keys_file: Path | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    page: bool = True

    @field_validator("cors_origins", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("classifiers", mode="before")
    @classmethod
    def _read_classifiers(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = tuple(part.strip() for part in value.split(",") if part.strip())
        if "none" in names and len(names) > 1:
            raise ValueError("none stands alone")
        return () if names == ("none",) else names or None  # empty is as good as unset

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return checked(value)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The patterns of names that the service may be called by."""
        return allowed(self.host, self.allowed_hosts)

    @property
    def at_once(self) -> int:
        """Pictures that one worker works on at once."""
        return self.in_flight or max(1, cores() // self.workers)

    @property
    def at_once_alone(self) -> int:
        """Pictures worked on at once where threads of one process do all the work."""
        return self.in_flight or cores()

    @property
    def detector_threads(self) -> int:
        """Threads for one run of the network, so that all runs together take every core once."""
        return self.threads or max(1, cores() // (self.workers * self.at_once))

    @property
    def slots_memory(self) -> int:
        """Bytes that the pictures in one worker may take together."""
        return self.at_once * (_NETWORKS + 3 * self.max_bytes + self.max_pixels * _BYTES_A_PIXEL)

    @property
    def worker_limit(self) -> int | None:
        """What the system holds a worker to beyond what it takes before any picture; None for no limit.

        Drivers of devices set aside far more address space than they take, and would fail.
        """
        return self.slots_memory + _STACKS if self.provider == "cpu" else None

    @property
    def takes_films(self) -> bool:
        """Whether films and animations are taken."""
        return self.film_bytes > 0 and self.film_workers > 0 and can_spool()

    @property
    def _film_memory(self) -> int:
        """Bytes that a film in one worker may take."""
        return self.slots_memory // self.at_once

    @property
    def film_limit(self) -> int | None:
        """As `worker_limit`, of a worker on films: each core has several threads of FFmpeg, and each a stack."""
        return self._film_memory + _STACKS + 4 * cores() * 8 * 2**20 if self.provider == "cpu" else None

    def film_bound_with(self, networks: int) -> int:
        """Bytes that come to `bound_with` from the first film on."""
        each = _BASE + self._film_memory + max(0, networks - 1) * (_FURTHER + _FURTHER_RUN)
        return self.film_workers * each if self.takes_films else 0

    @property
    def further_run(self) -> int:
        """Bytes that the pictures in one worker may take together for each network beyond the first."""
        return self.at_once * _FURTHER_RUN

    def bound_with(self, networks: int) -> int:
        """Bytes of resident memory that all processes together stay under with so many networks in each worker."""
        return self.memory_bound + max(0, networks - 1) * self.workers * (_FURTHER + self.further_run)

    @property
    def memory_bound(self) -> int:
        """Bytes of resident memory that all processes together stay under, whatever is sent to them.

        With one network in each worker; for more of them see `bound_with`.
        """
        return _HTTP + self.upload_memory + self.workers * (_BASE + self.slots_memory)

    def key_digests(self) -> tuple[bytes, ...]:
        """SHA-256 of every API key; empty where no keys are asked for.

        Raises:
            ValueError: The file cannot be read, or names no key: that would let everybody in. Or a key cannot be sent.
        """
        keys = [("CENSOR_API_KEYS", key.strip()) for key in self.api_keys.get_secret_value().split(",") if key.strip()]
        if self.api_keys_file is not None:
            try:
                lines = self.api_keys_file.read_text("utf-8", errors="replace").splitlines()
            except OSError as error:
                raise ValueError(f"{self.api_keys_file}: the API keys cannot be read: {error}") from error
            listed = [(f"{self.api_keys_file}, line {at}", line.strip()) for at, line in enumerate(lines, 1)]
            listed = [(where, line) for where, line in listed if line and not line.startswith("#")]
            if not listed:
                raise ValueError(f"{self.api_keys_file}: holds no API key, and none would let everybody in")
            keys += listed
        for where, key in keys:
            if not (key.isascii() and key.isprintable()):  # a header holds nothing else in a way that all agree on
                raise ValueError(f"{where}: an API key must be of printable ASCII characters, and this one is not")
        return tuple(hashlib.sha256(key.encode()).digest() for _, key in keys)
