"""What the computing happens on, in words."""

from __future__ import annotations

import functools
import platform
import re
from pathlib import Path

import torch

__all__ = ["device_name", "processor_name"]

_MODEL_NAME = re.compile(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", re.MULTILINE)


def device_name(device: torch.device) -> str:
    """Such as 'NVIDIA H100 80GB HBM3', or of a processor 'AMD EPYC (AVX512)'."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        # The kernels that torch picks decide the last bit of a result.
        return f"{processor_name()} ({torch.backends.cpu.get_cpu_capability()})"
    return processor_name()


@functools.cache
def processor_name() -> str:
    """As the system calls it; the kind of machine where it does not say."""
    try:
        found = _MODEL_NAME.search(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return (found[1].strip() if found else platform.processor()) or platform.machine()
