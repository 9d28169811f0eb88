"""What roll call says of a process and its machine, as far as the system tells; no dependencies."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_GB = 1024**3
_MEMORY = Path("/proc/meminfo")
_OWN = Path("/proc/self/statm")


def surroundings() -> dict[str, object]:
    """Memory of the machine and of this process in gigabytes, load, and seconds of CPU used.

    `TotalMemoryGB`, `FreeMemoryGB`, `UsedMemoryGB` and `ProcessMemoryGB` are None where the system
    has no `/proc`; `CPULoad` is the load average of 1, 5 and 15 minutes, `CPUs` how many there are,
    `ProcessCPUSeconds` what this process has used.
    """
    total, free = _machine()
    return {
        "TotalMemoryGB": _rounded(total),
        "FreeMemoryGB": _rounded(free),
        "UsedMemoryGB": None if total is None or free is None else _rounded(total - free),
        "ProcessMemoryGB": _rounded(_process()),
        "CPULoad": [round(load, 2) for load in os.getloadavg()],
        "CPUs": os.cpu_count(),
        "ProcessCPUSeconds": round(time.process_time(), 3),
    }


def _rounded(size: float | None) -> float | None:
    return None if size is None else round(size / _GB, 3)


def _machine() -> tuple[float | None, float | None]:
    """Bytes of memory in all, and still to be had."""
    if not _MEMORY.exists():
        return None, None
    fields = dict(line.split(":", 1) for line in _MEMORY.read_text("ascii").splitlines())
    return _kilobytes(fields, "MemTotal"), _kilobytes(fields, "MemAvailable")


def _kilobytes(fields: Mapping[str, str], name: str) -> float | None:
    return int(fields[name].split()[0]) * 1024 if name in fields else None


def _process() -> float | None:
    """Bytes that this process has in memory."""
    if not _OWN.exists():
        return None
    return int(_OWN.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
