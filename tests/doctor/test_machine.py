"""What is said of processors, memory, disks and accelerators of all kinds."""

import pytest
import torch

from restore_cli.doctor import machine
from restore_cli.doctor.finding import State, in_bytes


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu.max": "what\n"}, 8),
        ({}, 8),
    ],
)
def test_a_containers_quota_limits_the_cores(monkeypatch, tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert machine.usable_cores() == cores


@pytest.mark.parametrize(
    ("cores", "threads", "asked", "advice"),
    [
        (2.0, 8, None, "export OMP_NUM_THREADS=2"),
        (0.5, 4, None, "export OMP_NUM_THREADS=1"),
        (8.0, 2, "2", "OMP_NUM_THREADS leaves 6 of them idle"),
        (8.0, 4, None, ""),  # one a core, where cores have two threads each
        (4.0, 4, None, ""),
    ],
)
def test_threads_that_do_not_fit_the_cores_are_noted(monkeypatch, cores, threads, asked, advice):
    monkeypatch.setattr(machine, "usable_cores", lambda: cores)
    monkeypatch.setattr(machine.torch, "get_num_threads", lambda: threads)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    finding = next(machine.examine_processor())
    assert finding.state is (State.NOTE if advice else State.OK)
    assert advice in finding.advice


@pytest.mark.parametrize(("has", "meaning"), [(True, "computed directly"), (False, "slower than fp32")])
def test_what_bfloat16_is_worth_here_is_said(monkeypatch, has, meaning):
    units = {"avx2": True, "avx512_bf16": has}
    monkeypatch.setattr(machine.torch.cpu, "get_capabilities", lambda: units, raising=False)
    _, finding = machine.examine_processor()
    assert meaning in finding.message
    assert finding.facts["units"] == (["avx2", "avx512_bf16"] if has else ["avx2"])


@pytest.mark.parametrize(("free", "state"), [(1_000_000_000, State.NOTE), (9_000_000_000, State.OK)])
def test_little_memory_is_noted(monkeypatch, free, state):
    monkeypatch.setattr(machine, "available_memory", lambda: free)
    (finding,) = machine.examine_memory()
    assert (finding.state, finding.facts["available_bytes"]) == (state, free)


def test_temporary_files_need_a_folder_on_a_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTORE_TMPDIR", str(tmp_path))
    monkeypatch.setattr(machine, "_file_system", lambda place: "tmpfs")
    (finding,) = machine.examine_disk()
    assert finding.state is State.NOTE and "lies in memory" in finding.advice
    monkeypatch.setattr(machine, "_file_system", lambda place: "ext4")
    monkeypatch.setattr(machine, "LITTLE_DISK", 1)
    (finding,) = machine.examine_disk()
    assert finding.state is State.OK and finding.facts["folder"] == str(tmp_path)
    monkeypatch.setattr(machine, "LITTLE_DISK", 10**18)
    (finding,) = machine.examine_disk()
    assert finding.state is State.NOTE and "more room" in finding.advice
    monkeypatch.setenv("RESTORE_TMPDIR", str(tmp_path / "gone"))
    (finding,) = machine.examine_disk()
    assert finding.state is State.BROKEN and "RESTORE_TMPDIR" in finding.advice


def test_the_file_system_is_that_of_the_deepest_mount(monkeypatch, tmp_path):
    lines = f"dev / ext4 rw 0 0\ndev {tmp_path.parent} xfs rw 0 0\ntmpfs {tmp_path} tmpfs rw 0 0\nx /other nfs rw 0 0\n"
    monkeypatch.setattr(machine.Path, "read_text", lambda *_, **__: lines)
    assert machine._file_system(tmp_path / "deep") == "tmpfs"
    assert machine._file_system(tmp_path.parent) == "xfs"


@pytest.mark.parametrize(
    ("driver", "cuda", "hidden", "said"),
    [
        (False, "13.0", None, ""),
        (True, None, None, "built for processors alone"),
        (True, "13.0", "", "CUDA_VISIBLE_DEVICES= hides it"),
        (True, "13.0", None, "cannot use it"),
    ],
)
def test_why_there_is_no_accelerator_is_said(monkeypatch, driver, cuda, hidden, said):
    monkeypatch.setattr(machine, "devices", lambda: [torch.device("cpu")])
    monkeypatch.setattr(machine.Path, "exists", lambda self: driver)
    monkeypatch.setattr(machine.torch.version, "cuda", cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    (finding,) = machine.examine_devices()
    assert finding.state is (State.NOTE if said else State.OK)
    assert said in finding.message and bool(finding.advice) == bool(said)


def test_an_accelerator_is_named_with_its_memory(monkeypatch):
    monkeypatch.setattr(machine, "devices", lambda: [torch.device("cpu"), torch.device("cuda:0")])
    monkeypatch.setattr(machine, "device_name", lambda device: "Some GPU")
    monkeypatch.setattr(machine.torch.cuda, "mem_get_info", lambda device: (3_000_000_000, 8_000_000_000))
    monkeypatch.setattr(machine.torch.cuda, "get_device_capability", lambda device: (9, 0))
    (finding,) = machine.examine_devices()
    assert finding.subject == "cuda:0"
    assert finding.message == "Some GPU, 3.0 GB of 8.0 GB free, compute capability 9.0"
    assert finding.facts["total_bytes"] == 8_000_000_000


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (10**13, "10.0 TB")]
)
def test_sizes_are_for_people(size, text):
    assert in_bytes(size) == text
