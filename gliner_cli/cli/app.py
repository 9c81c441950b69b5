"""The command line: which commands there are, and what becomes of an error.

Each command is a file of its own and is imported when it is called for; heavy parts are imported in its body, so that
`--help` and usage errors answer at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from gliner_cli._version import __version__
from gliner_cli.cli.bench import bench
from gliner_cli.cli.convert import convert
from gliner_cli.cli.doctor import doctor
from gliner_cli.cli.extract import extract
from gliner_cli.cli.finetune import finetune
from gliner_cli.cli.flags import expanded
from gliner_cli.cli.models import models_app
from gliner_cli.cli.pull import pull
from gliner_cli.cli.push import push
from gliner_cli.cli.stopping import Stopped
from gliner_cli.errors import GlinerError

INTERRUPTED = 130


class _Commands(TyperGroup):
    """Commands with two ends that Typer would give other exit codes: it takes SIGTERM for Ctrl-C, and `| head` for an
    error.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Stopped as stopped:
            raise typer.Exit(128 + stopped.args[0]) from stopped
        except BrokenPipeError:
            _leave_quietly()


app = typer.Typer(
    name="gliner",
    cls=_Commands,
    help="Find entities of any type in text.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(expanded(extract))
app.command()(expanded(finetune))
app.command()(expanded(pull))
app.command()(expanded(push))
app.command()(expanded(convert))
app.command()(expanded(bench))
app.command()(doctor)
app.add_typer(models_app, name="models")


def _print_version(asked: bool) -> None:
    if asked:
        print(f"gliner {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    if debug:
        os.environ["GLINER_DEBUG"] = "1"


def main() -> None:
    """Run the command line; the one place where errors are caught, printed and turned into exit codes."""
    _fill_closed_streams()
    try:
        app()
    except GlinerError as error:
        if os.environ.get("GLINER_DEBUG"):
            raise
        from gliner_cli.cli.console import say

        say(error, "error")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fill_closed_streams() -> None:
    """Numbers of streams that were closed lead nowhere: otherwise the next file would get one, and be written to.

    What is said goes there too; for results and input, that they are closed is an error where they are needed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (as long as the process)


def _leave_quietly() -> NoReturn:
    """The reader of the pipe has gone: nobody is left to tell. Keeps Python from complaining when it flushes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
