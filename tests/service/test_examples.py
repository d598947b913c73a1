"""The examples are run, and hide the face in the portrait."""

from __future__ import annotations

import asyncio
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from fakes import FACES_JUDGED
from numpy.typing import NDArray
from PIL import Image

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

DJANGO = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[1])
tempfile.tempdir = os.environ["WATCHED"]
import project
from django.core.management import call_command
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
call_command("migrate", run_syncdb=True, verbosity=0)
client = Client()
good, broken, other = (open(path, "rb").read() for path in sys.argv[2:])
for name, data in (("me.jpg", good), ("wrong name.png", good), ("broken.jpg", broken), ("no.jpg", other)):
    upload = SimpleUploadedFile(name, data, "image/jpeg")
    print(client.post("/", {"image": upload}).status_code, name)
from photos.models import Photo
from django.core.exceptions import SuspiciousFileOperation
try:
    Photo.objects.create(image=SimpleUploadedFile("direct.jpg", broken))
except SuspiciousFileOperation as error:
    print("refused", error)
print(Photo.objects.count(), "rows")
"""


@pytest.fixture
def pictures(tmp_path: Path, astronaut: NDArray[np.uint8]) -> list[Path]:
    """The portrait, over 2.5 MB of it; the same cut short; and no picture."""
    paths = [tmp_path / name for name in ("good.jpg", "broken.jpg", "other.txt")]
    grown = np.asarray(Image.fromarray(astronaut).resize((2600, 2600))).astype(int)
    grain = np.random.default_rng(0).integers(-12, 13, grown.shape)
    Image.fromarray(np.clip(grown + grain, 0, 255).astype(np.uint8)).save(paths[0], quality=97)
    assert paths[0].stat().st_size > 2_700_000
    paths[1].write_bytes(paths[0].read_bytes()[:-50_000])
    paths[2].write_text("hello")
    return paths


def face_is_hidden(before: bytes, after: bytes) -> bool:
    images = [np.asarray(Image.open(io.BytesIO(data)).resize((512, 512))).astype(int) for data in (before, after)]
    difference = np.abs(images[0] - images[1])
    return bool(difference[100:160, 190:250].mean() > 10 and difference[300:].mean() < 3)


def test_django_stores_only_censored_files(tmp_path: Path, pictures: list[Path]) -> None:
    uploads, watched = tmp_path / "uploads", tmp_path / "watched"
    watched.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, EXAMPLES / "django_upload", *pictures],
        capture_output=True, text=True, check=True,
        env={**os.environ, "UPLOADS": str(uploads), "WATCHED": str(watched), "POLICY": str(FACES_JUDGED)},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert lines[:4] == ["200 me.jpg", "200 wrong name.png", "422 broken.jpg", "422 no.jpg"]
    assert lines[4].startswith("refused not saved: ")
    assert lines[5] == "2 rows"
    stored = sorted(path for path in (uploads / "media").rglob("*") if path.is_file())
    assert [path.name for path in stored] == ["me.jpg", "wrong_name.jpg"]
    for path in stored:
        assert face_is_hidden(pictures[0].read_bytes(), path.read_bytes())
    assert list(watched.iterdir()) == []


def test_a_fastapi_route_stores_only_censored_files(
    tmp_path: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPLOADS", str(tmp_path / "uploads"))
    monkeypatch.setenv("POLICY", str(FACES_JUDGED))
    app = runpy.run_path(str(EXAMPLES / "fastapi_upload.py"))["app"]

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return [await client.post("/photos", content=path.read_bytes()) for path in pictures]

    good, broken, other = asyncio.run(ask())
    assert good.status_code == 201
    assert good.json()["hidden"] == 1
    assert broken.status_code == other.status_code == 422
    (stored,) = (tmp_path / "uploads").iterdir()
    assert stored.name == good.json()["name"]
    assert face_is_hidden(pictures[0].read_bytes(), stored.read_bytes())
