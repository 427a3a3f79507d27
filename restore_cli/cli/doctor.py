"""`restore doctor`: is everything there, does it work, and what to do where not."""

from __future__ import annotations

from typing import Annotated

import typer

from restore_cli.cli._output import Display

__all__ = ["EPILOG", "doctor"]

EPILOG = "restore doctor   |   restore doctor -q   |   restore doctor --json"


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say only what is broken or could be better.")] = False,
) -> None:
    """Look at versions, devices, memory, disk and weights, test each precision, and say what to do."""
    from restore_cli.doctor.examination import examine
    from restore_cli.doctor.finding import State

    display = Display(quiet=quiet, as_json=as_json)
    findings = []
    for finding in examine():
        findings.append(finding)
        if quiet and finding.state is State.OK:
            continue
        display.data(f"{finding.state.value:<6}  {finding.subject}: {finding.message}")
        if finding.advice:
            display.data(f"        -> {finding.advice}")
    counts = {state: sum(each.state is state for each in findings) for state in State}
    works = not counts[State.BROKEN]
    notes = f"{counts[State.NOTE]} to note" if counts[State.NOTE] else "nothing to note"
    display.note(f"everything works, {notes}" if works else f"{counts[State.BROKEN]} broken, {notes}")
    display.document({"works": works, "findings": [each.as_record() for each in findings]})
    raise typer.Exit(0 if works else 1)
