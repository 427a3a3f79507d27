"""Processor, memory, temporary disk and accelerators, as this process may use them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from restore_cli.doctor.finding import Finding, State, in_bytes
from restore_cli.inference.hardware import device_name, processor_name
from restore_cli.inference.memory import available_memory
from restore_cli.io.canvas import folder

__all__ = ["devices", "examine_devices", "examine_disk", "examine_memory", "examine_processor", "usable_cores"]

# What makes half precision quick on a processor: /proc/cpuinfo's words and torch's.
BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16", "sve_bf16", "bf16")
CAPABILITIES = (
    "avx2",
    "avx512_f",
    "avx512_vnni",
    *BFLOAT16_UNITS,
    "amx_tile",
    "amx_fp16",
    "avx512_fp16",
    "asimd",
    "sve",
)
LITTLE_MEMORY = 2_000_000_000
LITTLE_DISK = 5_000_000_000
IN_MEMORY = ("tmpfs", "ramfs")
CGROUPS = Path("/sys/fs/cgroup")


def examine_processor() -> Iterator[Finding]:
    """Name, cores this process may use, threads of torch, and the arithmetic units that matter."""
    cores, threads = usable_cores(), torch.get_num_threads()
    found = [name for name in CAPABILITIES if torch.cpu.get_capabilities().get(name)]
    facts = {"name": processor_name(), "cores": os.cpu_count(), "usable_cores": cores, "threads": threads}
    message = f"{processor_name()}, {cores:g} of {os.cpu_count()} cores to use, {threads} threads"
    advice = ""
    if threads > max(1, round(cores)):
        advice = f"More threads than cores slow each other down: export OMP_NUM_THREADS={max(1, int(cores))}"
    elif threads < int(cores) and "OMP_NUM_THREADS" in os.environ:
        advice = f"OMP_NUM_THREADS leaves {int(cores) - threads} of them idle; unset it unless that is meant."
    yield Finding("processor", message, State.NOTE if advice else State.OK, advice, facts)
    half = [name for name in found if name in BFLOAT16_UNITS]
    meaning = "--precision bf16 is computed directly" if half else "--precision bf16 is slower than fp32 here"
    yield Finding("units", f"{', '.join(found) or 'none known'}: {meaning}", facts={"units": found})


def usable_cores() -> float:
    """Those this process may run on, by its mask and by the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return float(cores) if quota is None else min(float(cores), quota)


def _quota() -> float | None:
    """Cores' worth of time that a container may use; None without a limit."""
    try:
        if (two := CGROUPS / "cpu.max").is_file():
            limit, period = two.read_text().split()
        else:
            limit, period = ((CGROUPS / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(limit) / int(period) if limit.strip() != "max" and int(limit) > 0 else None
    except (OSError, ValueError):
        return None


def examine_memory() -> Iterator[Finding]:
    """Of the host: what is free for us, limits of containers counted."""
    free, total = available_memory(), psutil.virtual_memory().total
    little = free < LITTLE_MEMORY
    advice = "Close other programs, or use a smaller --tile." if little else ""
    message = f"{in_bytes(free)} free for this process, of the machine's {in_bytes(total)}"
    facts = {"available_bytes": free, "total_bytes": total}
    yield Finding("memory", message, State.NOTE if little else State.OK, advice, facts)


def examine_disk() -> Iterator[Finding]:
    """Where pictures too large for the memory are kept while they are worked on."""
    place = folder()
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        advice = "Set RESTORE_TMPDIR or TMPDIR to a folder that is there."
        yield Finding("temporary files", f"{place}: {error.strerror}", State.BROKEN, advice, {"folder": str(place)})
        return
    kind = _file_system(place)
    facts = {"folder": str(place), "free_bytes": free, "file_system": kind}
    message = f"{place}, {in_bytes(free)} free"
    if not os.access(place, os.W_OK):
        advice = "Set RESTORE_TMPDIR to a folder you can write to."
        yield Finding("temporary files", f"{place} may not be written to", State.BROKEN, advice, facts)
    elif kind in IN_MEMORY:
        advice = "It lies in memory, which large pictures would fill: set RESTORE_TMPDIR to a folder on a disk."
        yield Finding("temporary files", f"{message} ({kind})", State.NOTE, advice, facts)
    elif free < LITTLE_DISK:
        advice = "A 400-megapixel picture needs 5 GB and more: set RESTORE_TMPDIR to a folder with more room."
        yield Finding("temporary files", message, State.NOTE, advice, facts)
    else:
        yield Finding("temporary files", message, facts=facts)


def _file_system(place: Path) -> str:
    """'ext4', 'tmpfs' and the like; '' where the system does not say."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    real = place.resolve()
    kind, deepest = "", -1
    for _, mounted, name, *_ in (line.split() for line in lines):
        above = Path(mounted.replace("\\040", " "))
        if real.is_relative_to(above) and len(above.parts) >= deepest:
            kind, deepest = name, len(above.parts)
    return kind


def devices() -> list[torch.device]:
    """Every device networks can run on, the processor first."""
    found = [torch.device("cpu")]
    found += [torch.device("cuda", number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(torch.device("mps"))
    return found


def examine_devices() -> Iterator[Finding]:
    """Accelerators: name and memory; where there is none, whether there could be."""
    accelerators = devices()[1:]
    for device in accelerators:
        facts: dict[str, object] = {"name": device_name(device)}
        message = device_name(device)
        if device.type == "cuda":
            free, total = torch.cuda.mem_get_info(device)
            major, minor = torch.cuda.get_device_capability(device)
            facts |= {"free_bytes": free, "total_bytes": total, "capability": f"{major}.{minor}"}
            message += f", {in_bytes(free)} of {in_bytes(total)} free, compute capability {major}.{minor}"
        yield Finding(str(device), message, facts=facts)
    if not accelerators:
        yield _why_no_accelerator()


def _why_no_accelerator() -> Finding:
    has_card = Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists()
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "ROCm" if torch.version.hip else ""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    facts = {"driver": has_card, "torch_built_for": built_for or "cpu", "hidden": hidden}
    if not has_card:
        return Finding("accelerator", "none; networks run on the processor", facts=facts)
    if not built_for:
        message, advice = "there is one, but this torch is built for processors alone", "Install a build for it: "
        advice += "https://pytorch.org/get-started/locally"
    elif hidden is not None:
        message, advice = f"CUDA_VISIBLE_DEVICES={hidden} hides it", "unset CUDA_VISIBLE_DEVICES"
    else:
        message = f"there is one, but torch ({built_for}) cannot use it"
        advice = "Run nvidia-smi: the driver may be missing or too old for this torch."
    return Finding("accelerator", message, State.NOTE, advice, facts)
