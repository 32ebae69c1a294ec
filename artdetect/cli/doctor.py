"""The command doctor."""

import argparse
import json

from artdetect.cli import terminal
from artdetect.cli.parser import Commands
from artdetect.formatting.text import columns, printable


def add(commands: Commands) -> None:
    """Add this command's parser."""
    doctor = commands.add(
        "doctor",
        "check the environment: packages, folders, disk, config, model, server",
        examples=[("doctor", ""), ("doctor --json", "for programs")],
        partly="something is broken",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from artdetect.cli import environment

    with terminal.activity("looking"):
        findings = environment.check()
    if arguments.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        print(columns([[finding.what, finding.state, printable(finding.text)] for finding in findings]))
    return 1 if any(finding.state == "broken" for finding in findings) else 0
