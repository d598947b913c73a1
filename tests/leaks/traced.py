"""Running a program where there is no network, with every file it makes and every address it uses written down."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Traced", "trace", "why_not"]

_CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,"
    "socket,bind,connect,sendto,sendmsg,sendmmsg"
)

_LINE = re.compile(r"^\d+ +(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>\d+)")
_PATH = re.compile(r'(?:(?:AT_FDCWD|\d+)<(?P<folder>[^>]*)>, )?"(?P<path>(?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Traced:
    """What a program did.

    Attributes:
        code: Its exit code.
        output: What it said on both streams.
        created: Absolute paths of all files, folders and links that it made or renamed, however short their lives.
        addresses: What it bound to, connected to or sent to that is no socket of this machine's file system or kernel.
        kinds: Families of the sockets that it made: ``AF_INET``, ``AF_UNIX`` ….
    """

    code: int
    output: str
    created: frozenset[str]
    addresses: tuple[str, ...]
    kinds: frozenset[str]

    def below(self, **folders: Path) -> set[str]:
        """What was created, with the names of known folders for their paths, and ``*`` for what is random in names."""
        named = set()
        for path in self.created:
            for name, folder in folders.items():
                if path == str(folder) or path.startswith(f"{folder}/"):
                    path = name + path.removeprefix(str(folder))  # noqa: PLW2901
                    break
            named.add(_RANDOM.sub("*", path))
        return named


_RANDOM = re.compile(
    r"(?<=\.censor-)[0-9a-f]{16}(?=\.tmp)|(?<=^TMP/)[a-z0-9_]{8}$|(?<=TMP/matplotlib-)[a-z0-9_]{8}|(?<=TMP/pymp-)[a-z0-9_]{8}"
    r"|(?<=/claims/)[0-9a-f]{32}|(?<=/done/)[0-9a-f]{32}|(?<=torchinductor_).*|(?<=tfevents\.).*|(?<=fontlist-)v[\d.]+"
)


@functools.cache
def why_not() -> str | None:
    """Why programs cannot be traced here, None where they can."""
    if missing := [name for name in ("strace", "unshare", "ip") if shutil.which(name) is None]:
        return f"{' and '.join(missing)} missing: see .ci/run"
    tried = subprocess.run(
        [*_NAMESPACE, "ip link set lo up && strace -f -o /dev/null true"], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip().splitlines()[-1] if tried.returncode else None


# Root of a user namespace may make a network namespace where the system lets it; root itself may always.
_NAMESPACE = ("unshare", *(("--net",) if os.geteuid() == 0 else ("--net", "--map-root-user")), "sh", "-c")


def trace(command: Sequence[object], *, cwd: Path, log: Path, environment: Mapping[str, str]) -> Traced:
    """Run a Python program, given as its arguments, without a network but the loopback interface.

    Args:
        command: What follows the interpreter on its command line.
        cwd: Where it runs.
        log: Where strace writes; must not be anywhere that the test looks at.
        environment: The whole environment of the program.
    """
    watch = ["strace", "-f", "-y", "-s", "4096", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-o", str(log)]
    program = shlex.join([*watch, sys.executable, *map(str, command)])
    namespace = [*_NAMESPACE, f"ip link set lo up && exec {program}"]
    done = subprocess.run(
        namespace, cwd=cwd, env=dict(environment), capture_output=True, text=True, check=False, timeout=300
    )
    lines = _whole(log.read_text(errors="replace").splitlines())
    calls = [found for line in lines if (found := _LINE.match(line))]
    created = {path for call in calls if (path := _created(call["call"], call["arguments"], cwd)) is not None}
    sockets = [line for line in lines if re.search(r"^\d+ +(bind|connect|send\w+)\(", line)]
    return Traced(
        code=done.returncode,
        output=done.stdout + done.stderr,
        created=frozenset(path for path in created if not _is_passing(path)),
        addresses=tuple(line for line in sockets if re.search(r"sa_family=AF_(INET6?|PACKET)|nscd|resolve", line)),
        kinds=frozenset(found[1] for line in lines if (found := re.search(r" socket\((AF_\w+)", line))),
    )


def _whole(lines: Sequence[str]) -> list[str]:
    """Lines of calls that another thread's came in between of, put together again."""
    begun: dict[str, str] = {}
    whole = []
    for line in lines:
        process = line.partition(" ")[0]
        if line.endswith("<unfinished ...>"):
            begun[process] = line.removesuffix("<unfinished ...>").rstrip()
        elif (resumed := re.match(r"^\d+ +<\.\.\. \w+ resumed>(.*)", line)) and process in begun:
            whole.append(begun.pop(process) + resumed[1])
        else:
            whole.append(line)
    return whole


def _created(call: str, arguments: str, cwd: Path) -> str | None:
    """The path that a call which succeeded has made, None if it made none."""
    if call in ("socket", "bind", "connect", "sendto", "sendmsg", "sendmmsg"):
        return None
    if call.startswith("open") and "O_CREAT" not in arguments:  # O_TMPFILE has no name until it is linked
        return None
    paths = list(_PATH.finditer(arguments))
    last = paths[-1]
    return os.path.normpath(Path(last["folder"] or cwd) / last["path"])


def _is_passing(path: str) -> bool:
    """Devices, the kernel's own files, and Python's compiled modules."""
    return path.startswith(("/dev/", "/proc/")) or "__pycache__" in path
