"""What the figures were measured on, without naming the machine."""

import os
import platform
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path


def this_machine() -> dict[str, str]:
    """Kind of processor, of disk and of software."""
    info = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in info.splitlines() if line.startswith("model name")), "")
    virtual = "hypervisor" in info
    return {
        "processor": f"{os.cpu_count()} cores{' of a virtual machine' if virtual else ''}, {model or platform.machine()}",
        "disk": _disk(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "measured": datetime.now(UTC).date().isoformat(),
    }


def _disk() -> str:
    device = Path(__file__).stat().st_dev
    if sys.platform != "linux":
        return "unknown"
    here = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    name = here.resolve().name if here.exists() else ""
    kinds = {"vd": "virtual disk", "nvme": "NVMe disk", "mmcblk": "SD card or eMMC", "sd": "SATA or USB disk"}
    kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "disk of an unknown kind")
    mount = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = next((fields[2] for fields in mount if fields[1] == "/" or Path(fields[0]).name == name), "")
    return f"{kind}{', ' + found if found else ''}"
