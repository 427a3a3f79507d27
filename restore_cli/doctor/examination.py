"""Everything the doctor looks at, in order: what others stand on comes first."""

from __future__ import annotations

from collections.abc import Iterator

from restore_cli.doctor import software
from restore_cli.doctor.finding import Finding, State

__all__ = ["examine"]


def examine() -> Iterator[Finding]:
    """Findings as they are made; the self-test at the end takes seconds.

    Asks no server. Where a package does not load there is no looking any further.
    """
    loads = True
    for finding in software.examine_versions():
        yield finding
        loads = loads and finding.state is not State.BROKEN
    if not loads:
        yield Finding("the rest", "was not looked at", State.NOTE, "Repair the packages first, then ask again.")
        return
    from restore_cli.doctor import machine, self_test, storage

    yield from software.examine_extras()
    yield from software.examine_formats()
    yield from machine.examine_processor()
    yield from machine.examine_memory()
    yield from machine.examine_disk()
    yield from machine.examine_devices()
    yield from storage.examine_home()
    yield from storage.examine_embedded()
    yield from storage.examine_installed()
    yield from storage.examine_folders()
    yield from storage.examine_network()
    yield from self_test.examine_precisions(machine.devices())
