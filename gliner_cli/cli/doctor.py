"""`gliner doctor`: whether this installation works, and what to type where it does not."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gliner_cli.evaluation.health import Finding

_MARKS = {"fine": ("  ", ""), "look": ("? ", "yellow"), "broken": ("! ", "bold red")}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Look at this installation: versions, devices, checkpoints, terminal, and a self test. Never uses the network.

    Exit code 1 if something is broken; each finding says what to type next.

    [bold]gliner doctor[/bold]

    [bold]gliner doctor --json > doctor.json[/bold]
    """
    from gliner_cli.evaluation.health import findings

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show all characters is one of the findings
    found = map(_public, findings())
    seen = _dumped(found) if as_json else _printed(found)
    if any(finding.state == "broken" for finding in seen):
        raise typer.Exit(1)


def _public(finding: Finding) -> Finding:
    """The finding, of an address only the scheme and the host: a user, a password or a token may stand around them."""
    if finding.name != "HF_ENDPOINT":
        return finding
    try:
        address = urlsplit(finding.said)
    except ValueError:  # no address at all, such as half of an IPv6 one
        return replace(finding, said="set")
    host = address.hostname if address.scheme in ("http", "https") else None
    return replace(finding, said=f"{address.scheme}://{host}" if host else "set")


def _printed(findings: Iterator[Finding]) -> list[Finding]:
    """The findings, said one by one as they come, under the heading of what they are about."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    seen: list[Finding] = []
    for finding in findings:
        if not seen or seen[-1].about != finding.about:
            console.print(Text(("\n" if seen else "") + finding.about, style="bold"))
        console.print(_line(finding))
        if finding.hint:
            console.print(Text(f"{'':26}-> {finding.hint}", style="cyan"))
        seen.append(finding)
    console.print(_verdict(seen))
    return seen


def _line(finding: Finding) -> object:
    from rich.text import Text

    from gliner_cli.cli.render import printable

    mark, style = _MARKS[finding.state]
    return Text(f"{mark}{finding.name:24}{'' if len(finding.name) < 24 else ' '}{printable(finding.said)}", style=style)


def _verdict(seen: list[Finding]) -> str:
    broken = [finding.name for finding in seen if finding.state == "broken"]
    return f"\nBroken: {', '.join(broken)}." if broken else "\nAll is well."


def _dumped(findings: Iterator[Finding]) -> list[Finding]:
    import json
    from dataclasses import asdict

    seen = list(findings)
    well = all(finding.state != "broken" for finding in seen)
    report = {"well": well, "findings": [asdict(finding) for finding in seen]}
    print(json.dumps(report, indent=2))  # escaped: a folder's name may hold what is no Unicode
    return seen
