"""`gliner finetune`: for step in train(network, lessons(read(train))): draw, save, perhaps stop."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gliner_cli.cli.configuration import configured
from gliner_cli.cli.console import note, say
from gliner_cli.cli.stopping import Stopped, Stopping
from gliner_cli.errors import GlinerError, TrainingError
from gliner_cli.options import Choice, Finetuning, Learning, Reading, Teaching

if TYPE_CHECKING:
    from gliner_cli.training.finetune import Run
    from gliner_cli.training.judging import Judgement
    from gliner_cli.training.order import Order

_EXAMPLES = 3
# What may stand beside --resume: it changes nothing of the run.
_BESIDE_RESUME = ("resume", "quiet", "check")


def finetune(
    context: typer.Context,
    train: Annotated[
        list[str] | None, typer.Argument(help="Training data: JSONL of documents or of words, CoNLL; files, folders.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read and judge the data.")] = False,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with any of these options.", callback=configured, is_eager=True)
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Errors only.")] = False,
    *,
    finetuning: Finetuning,
    learning: Learning,
    teaching: Teaching,
    choice: Choice,
    reading: Reading,
) -> None:
    """Make a better checkpoint of a small labelled set.

    [bold]gliner finetune train.jsonl[/bold]

    [bold]gliner finetune train.conll --dev dev.conll --model urchade/gliner_small-v2.1 -o my-model[/bold]

    [bold]gliner finetune --resume my-model[/bold]
    """
    from gliner_cli.training.diary import check_trackers
    from gliner_cli.training.finished import refuse_to_replace
    from gliner_cli.training.order import Order

    if resume:
        _refuse_to_change(context)
    problems: list[GlinerError] = []

    def problem(error: GlinerError) -> None:
        problems.append(error)
        say(error)

    order = (
        Order.stored(resume) if resume else Order(tuple(train or ()), finetuning, learning, teaching, choice, reading)
    )
    check_trackers(order.finetuning.track or ())
    if not (resume or check):
        refuse_to_replace(order.finetuning.output)
    run = order.run(problem)
    if run.first and (check or not quiet):
        _tell(run.judgement, every=check)
    if not check:
        _learn(order, run, bool(resume), quiet)
    if problems:
        raise typer.Exit(1)


def _refuse_to_change(context: typer.Context) -> None:
    given = []
    for one in context.command.params:
        source = context.get_parameter_source(one.name or "")
        if source and source.name == "COMMANDLINE" and one.name not in _BESIDE_RESUME:
            given.append(max(one.opts, key=len))
    if given:
        raise TrainingError(
            f"--resume goes on with what was ordered when the run began; {', '.join(given)} would change it.",
            "Leave that out, or begin a new run: gliner finetune TRAIN -o FOLDER",
        )


def _learn(order: Order, run: Run, resumed: bool, quiet: bool) -> None:
    from gliner_cli.training.diary import Diary, NoDiary

    quiet = quiet or not run.first
    if resumed:
        run.resume()
    elif run.first:
        # With what was chosen for it: a later version may choose otherwise, and --resume goes on with this.
        as_chosen = replace(order, learning=run.learning, teaching=run.teaching)
        as_chosen.store(run.folder)
    if not quiet:
        _say_how(run, resumed)
    trackers = order.finetuning.track or ()
    diary = Diary(run.folder, run.learner.step, run.course.scores, trackers) if run.first else NoDiary()
    with Stopping() as stopping, _display(run, quiet) as show, closing(diary):
        for event in run.events():
            diary.write(event)
            show(event)
            if asked := run.learner.processes.largest(stopping.asked):
                run.save()
                if run.first:
                    go_on = f"gliner finetune --resume {run.finetuning.output}"
                    note(f"stopped after step {run.learner.step}; go on: {go_on}")
                run.learner.processes.wait()  # a launcher ends them all when one has ended
                raise Stopped(asked)
    if run.first:
        _finish(order, run, quiet)


def _finish(order: Order, run: Run, quiet: bool) -> None:
    from gliner_cli.training.finished import save_all
    from gliner_cli.training.outcome import outcome

    fresh = order.finetuning.from_backbone
    before = None if fresh else order.beginning()
    came = outcome(run, before)
    base = fresh or order.choice.model or "the built-in starter"
    save_all(came, run.finetuning.output, base, order.finetuning.half)
    if not quiet:
        _say_what_came(came.report, run.finetuning.output)


# --- What a person sees --------------------------------------------------------------------------------------------


def _tell(judgement: Judgement, every: bool) -> None:
    labels = ", ".join(f"{label} {count:,}" for label, count in list(judgement.labels.items())[: None if every else 12])
    note(f"{judgement.documents:,} documents, {len(judgement.labels):,} labels: {labels}")
    for what, remarks in judgement.by_kind.items():
        note(f"{len(remarks):,} × {what}")
        for remark in remarks if every else remarks[:_EXAMPLES]:
            note(f"    {remark.where}: {remark.example}")


def _say_how(run: Run, resumed: bool) -> None:
    from gliner_cli.training.freezing import learning_parameters

    learns, there_are = learning_parameters(run.checkpoint.network)
    learning = run.learning
    kind = f"closed ({len(run.closed)} labels)" if run.closed else "open"
    note(
        f"{f'going on after step {run.learner.step}' if resumed else 'learning'}: {learning.steps} steps of "
        f"{learning.batch} texts, {run.course.micro_tokens:,} pieces at once, rates {learning.encoder_rate:g} and "
        f"{learning.head_rate:g}, what is there weighs {learning.positive_weight:g}, "
        f"{learning.number_format}, {learns:,} of {there_are:,} parameters, annotation {kind}, "
        f"{len(run.materials.dev):,} dev documents, {run.rehearsed:,} passages rehearsed against forgetting"
    )


@contextmanager
def _display(run: Run, quiet: bool) -> Iterator[Any]:
    """Shows events: a live line on a terminal, a line for each measurement elsewhere."""
    from gliner_cli.training.finetune import Measured

    if quiet:
        yield lambda event: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gliner_cli.cli.console import notes

    console = notes()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=run.learner.steps, completed=run.learner.step)

        def show(event: Any) -> None:
            if isinstance(event, Measured):
                bar.console.print(
                    f"gliner: step {event.step}: dev F1 {100 * event.f1:.1f}{' (best)' if event.best else ''}"
                )
            else:
                speed = event.pieces / event.seconds
                text = f"loss {event.loss:.5f}  rate {event.rate:.1e}  {speed:,.0f} pieces/s"
                bar.update(task, completed=event.number + 1, description=text)

        yield show


def _say_what_came(report: Any, folder: Path) -> None:
    before, after = report["before"], report["after_with_thresholds"]
    was = f"{100 * before['f1']:.1f} -> " if before else ""
    note(
        f"dev F1 {was}{100 * after['f1']:.1f} ({100 * after['low']:.1f} to {100 * after['high']:.1f}), "
        f"{report['steps']} steps in {report['seconds']:.0f} s, ended: {report['ended']}"
    )
    if others := report["other_labels"]:
        note(
            f"labels that were not taught, on the built-in suite: F1 {100 * others['before']:.1f} -> "
            f"{100 * others['after']:.1f}"
        )
    if kept := report["kept"]:
        note(f"what was to be kept: F1 {100 * kept['before']:.1f} -> {100 * kept['after']:.1f}")
    note(f"the checkpoint is in {folder}, what to know about it in {folder / 'report.md'}")
    label = shlex.quote(next(iter(report["data"]["labels"])))
    note(f"use it: gliner extract FILE -m {shlex.quote(str(folder))} -l {label}")
