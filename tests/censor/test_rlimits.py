"""What the system refuses to a process that was limited; in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from censor.rlimits import data_bytes, limit_memory

needs_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit is Linux's")


def run(code: str) -> str:
    program = f"import mmap\nfrom censor.rlimits import data_bytes, limit_memory\n{code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


@needs_linux
def test_what_goes_over_is_refused_and_the_process_lives() -> None:
    code = """
limit_memory(64 * 2**20)
kept = bytearray(40 * 2**20)
try:
    bytearray(40 * 2**20)
except MemoryError:
    print("refused")
del kept
print(len(bytearray(40 * 2**20)) >> 20)
"""
    assert run(code).split() == ["refused", "40"]


@needs_linux
def test_address_space_that_nobody_may_write_to_does_not_count() -> None:
    """Threads' allocators set aside 64 MiB each."""
    code = """
import ctypes
limit_memory(16 * 2**20)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for protection in (0, 1, 3):  # none, read, read and write
    print(libc.mmap(None, 2**28, protection, 0x22, -1, 0) != 2**64 - 1)
"""
    assert run(code).split() == ["True", "True", "False"]


@needs_linux
def test_it_says_the_limit_and_never_raises_one_that_stands() -> None:
    code = """
import resource
before = data_bytes()
print(limit_memory(2**27) - before < 2**27 + 2**22)
resource.setrlimit(resource.RLIMIT_DATA, (2**27, 2**27))
print(limit_memory(2**30))
"""
    assert run(code).split() == ["True", str(2**27)]


def test_where_the_system_does_not_tell_there_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert data_bytes() is None
    assert limit_memory(0) is None
