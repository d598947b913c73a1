"""Limits that the system holds a process to which decodes pictures, whatever its decoders do."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["data_bytes", "limit_memory"]


def data_bytes() -> int | None:
    """Bytes of memory that this process may write to and shares with nobody; None where the system does not tell."""
    try:
        found = re.search(r"^VmData:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def limit_memory(more: int) -> int | None:
    """Let this process have so much more memory than it has now, and no more; what asks for it fails.

    It is private, writable memory that counts. So files that are mapped, as code and weights are, do not, nor does
    address space that is only set aside, as each thread's allocator does with 64 MiB. Drivers of devices, as CUDA's,
    map far more than they take and cannot work under it. In Python a refusal is `MemoryError`; a library may also end
    the process.

    Args:
        more: Bytes beyond what the process has, threads' stacks of 8 MiB included.

    Returns:
        The limit in bytes; None where there is none, as the system has no such limit or does not tell what is taken.

    Source:
        getrlimit(2), ``RLIMIT_DATA``, which counts this from Linux 4.7 on.
    """
    taken = data_bytes()
    if taken is None:
        return None
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = taken + more if hard == resource.RLIM_INFINITY else min(taken + more, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return limit
