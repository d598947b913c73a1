"""The image that the Dockerfile describes, built for real on a base made from Debian's packages.

It is run as it is meant to be: not as root, on a root file system that cannot be written, without a network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parent.parent
PACKAGES = "python3,python3-venv,ca-certificates"
TOOLS = ("buildah", "mmdebstrap", "unshare")
MISSING = [tool for tool in TOOLS if shutil.which(tool) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} not installed"),
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts need root"),
]

_RUN = """
set -e
mount --bind "$1" "$1"
mount --bind "$2" "$1/pictures"
mount -o remount,bind,ro "$1"
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
ip link set lo up 2>/dev/null || true
export PATH=/opt/censor/bin:/usr/sbin:/usr/bin:/bin
exec env -i PATH="$PATH" $3 chroot --userspec=65532:65532 "$1" sh -c 'cd /pictures; eval "$0"' "$4"
"""


class Buildah:
    """Buildah with a store of its own that goes with the test."""

    def __init__(self, store: Path) -> None:
        self._options = ["--root", str(store / "root"), "--runroot", str(store / "run"), "--storage-driver", "vfs"]

    def __call__(self, *arguments: object) -> str:
        command = ["buildah", *self._options, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "BUILDAH_ISOLATION": "chroot"}
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    store = tmp_path_factory.mktemp("buildah")
    run = Buildah(store)
    yield run
    run("umount", "--all")
    run("rm", "--all")
    shutil.rmtree(store, ignore_errors=True)


@pytest.fixture(scope="module")
def image(buildah: Buildah, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's root file system."""
    base = tmp_path_factory.mktemp("base") / "base.tar"
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--include=python3,python3-venv,ca-certificates",
            "bookworm",
            base,
        ],
        check=True,
    )
    container = buildah("from", "scratch")
    buildah("add", container, base, "/")
    buildah("commit", "--rm", container, "localhost/base")
    # The index is asked as this machine asks it: by its certificates, variables and settings of pip.
    volumes = [f"--volume={place}:{place}:ro" for place in ("/etc/ssl/certs", "/etc/xdg/pip") if Path(place).is_dir()]
    variables = [f"--env={name}={value}" for name, value in os.environ.items() if name in ("PIP_CERT", "PIP_INDEX_URL")]
    buildah(
        "bud", "--format=docker", "--pull=never", "--network=host", *volumes, *variables,
        "--build-arg=BASE=localhost/base", "--build-arg=EXTRAS=nudenet,service", "--tag=nsfw-censor", ROOT,
    )  # fmt: skip
    return Path(buildah("mount", buildah("from", "--pull=never", "localhost/nsfw-censor")))


def run(image: Path, pictures: Path, command: str) -> subprocess.CompletedProcess[str]:
    settings = "HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1 ORT_DISABLE_TELEMETRY=1"
    return subprocess.run(
        ["unshare", "--mount", "--net", "bash", "-c", _RUN, "run", image, pictures, settings, command],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def pictures(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    Image.fromarray(astronaut).save(tmp_path / "photo.jpg")
    tmp_path.chmod(0o777)
    return tmp_path


def test_the_command_runs_without_root_network_and_a_writable_root(image: Path, pictures: Path) -> None:
    done = run(image, pictures, "touch /x; touch /tmp/x; id -u; censor photo.jpg --policy faces")
    assert re.fullmatch(r"65532\nphoto\.jpg -> photo\.censored\.jpg  \(\d regions? hidden, no verdict\)\n", done.stdout)
    assert done.stderr.count("Read-only file system") == 2
    assert sorted(each.name for each in pictures.iterdir()) == ["photo.censored.jpg", "photo.jpg"]


def test_the_service_answers_its_health_check(image: Path, pictures: Path) -> None:
    check = next(line for line in (ROOT / "Dockerfile").read_text().splitlines() if "/healthz" in line)
    code = check.split('"-c", "')[1].rsplit('"', 1)[0]
    ask = f"for i in $(seq 60); do sleep 1; python3 -c {shlex.quote(code)} && echo healthy && break; done"
    done = run(image, pictures, f"censor serve --host 0.0.0.0 & server=$!; {ask} 2>/dev/null; kill $server; wait")
    assert "healthy\n" in done.stdout, done.stderr[-2000:]
    assert "Application shutdown complete" in done.stderr


def test_the_image_says_how_it_is_run(image: Path, buildah: Buildah) -> None:
    said = buildah("inspect", "--type=image", "--format={{.OCIv1.Config}}", "localhost/nsfw-censor")
    assert "65532:65532" in said
    assert "[censor] [serve --host 0.0.0.0]" in said
