"""Every option of every command, once: its type, default, limits and help.

`cli/flags.py` turns these classes into command-line flags; the same objects are the keyword arguments of the Python
interface and go into run records with `dataclasses.asdict`. Nothing here knows a command line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Unit = Literal["file", "paragraph", "line"]
WordRule = Literal["auto", "whitespace", "char"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Schedule = Literal["cosine", "linear", "constant"]
NumberFormat = Literal["auto", "fp32", "bf16", "fp16"]
OnError = Literal["report", "stop", "skip"]
Annotation = Literal["auto", "closed", "open"]
LogFormat = Literal["text", "json"]

UNTUNED = 0.5  # the threshold where neither the user nor the checkpoint names one


@dataclass(frozen=True)
class Typed:
    """How a value is typed: what reads it (ValueError says what is wrong), and how it and its default look in help."""

    read: Callable[[str], Any]
    shape: str
    default: str


def option(
    default: Any,
    explanation: str,
    *flags: str,
    env: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    complete: str = "",
    typed: Typed | None = None,
) -> Any:
    """A field of an options class.

    `flags` replaces the flag made of the field's name; `env` names a variable; `complete` says of what kind a value is,
    for shells that complete it; `typed` is how it is typed, where its type does not tell.
    """
    details = {
        "help": explanation, "flags": flags, "env": env, "min": at_least, "max": at_most, "complete": complete,
        "typed": typed,
    }  # fmt: skip
    return field(default=default, metadata=details)


def size_or_auto(typed: str) -> int | None:
    """A number from 1 on, or None for auto."""
    if typed == "auto":
        return None
    if not typed.isdecimal() or int(typed) < 1:
        raise ValueError(f"{typed!r} is neither auto nor a number from 1 on")
    return int(typed)


@dataclass(frozen=True)
class Reading:
    """How sources become documents."""

    input_format: str = option(
        "auto", "Format of the input; by its suffix and content if not given.", "--from", complete="read"
    )
    text_field: str = option("text", "Field or column that holds the text.")
    id_field: str = option("id", "Field or column that names the document.")
    per: Unit = option("file", "What one document is in plain text.")
    encoding: str = option("utf-8", "Character encoding of the input; auto: found by its bytes.")
    columns: str | None = option(None, "CoNLL: the columns of the words and of the tags, as 1,4; 1 and the last.")
    query: str | None = option(None, "SQLite: what selects the documents; the only table if not given.")


@dataclass(frozen=True)
class Writing:
    """Where results go, and as what."""

    output: Path | None = option(None, "File to write; standard output if not given.", "-o", "--output")
    output_format: str = option(
        "auto",
        "Format of the output; by the suffix of --output, otherwise jsonl.",
        "-f",
        "--format",
        "--to",
        complete="written",
    )
    long: bool = option(False, "Tables: one row an entity, in place of one a document.", "--long")
    table: str = option("entities", "SQLite: the table to write.")
    redact: bool = option(
        False,
        "Replace what was found in the text: [PERSON_1], the same for the same name. Other fields stay as they are.",
        "--redact",
    )
    redact_map: Path | None = option(None, "File that can undo --redact; keep it private.")
    words: WordRule = "auto"  # how words are cut where a format needs them; a flag of those who also read by words


@dataclass(frozen=True)
class Choice:
    """Which checkpoint."""

    model: str | None = option(
        None,
        "Checkpoint: a folder, or a hub id as name@revision. The built-in starter if not given.",
        "-m",
        "--model",
        env="GLINER_MODEL",
        complete="models",
    )
    revision: str | None = option(None, "Branch, tag or commit on the hub.")
    offline: bool = option(
        False,
        "No library may ask the hub either; extract itself never uses the network.",
        "--offline",
        env="HF_HUB_OFFLINE",
    )


@dataclass(frozen=True)
class Extraction:
    """What counts as an entity, and how long documents are cut."""

    threshold: float | None = option(
        None,
        "Scores above this count; if not given, what the checkpoint was tuned to, or 0.5.",
        "-t",
        "--threshold",
        at_least=0,
        at_most=1,
    )
    nested: bool = option(False, "Allow entities inside entities.", "--nested")
    multi_label: bool = option(False, "Allow several labels on the same words.", "--multi-label")
    words: WordRule = option(
        "auto", "How text is cut into words; auto: by character in scripts written without spaces."
    )
    window: str = option("auto", "Longest stretch read at once: auto, words=N or sentences.", complete="windows")
    overlap: int | None = option(None, "Words shared by neighbouring windows.", at_least=0)
    labels_at_once: int | None = option(
        None, "Most labels asked in one prompt; the number the checkpoint was trained with if not given.", at_least=1
    )


@dataclass(frozen=True)
class Computing:
    """On what, and how fast. Nothing here changes the answer beyond what `precision` rounds."""

    device: Device = option("auto", "Where to compute.")
    precision: Precision = option(
        "fp32", "Number format of the computation; int8: the CPU is faster, scores move by about 0.01."
    )
    threads: int | None = option(None, "Processor threads; all cores if not given.", at_least=1)
    batch_tokens: int | None = option(
        None,
        "Most pieces computed at once, padding included; auto: by the network's width.",
        typed=Typed(size_or_auto, "auto|N", "auto"),
    )


@dataclass(frozen=True)
class Job:
    """How a long job goes."""

    resume: bool = option(False, "Go on with a job that was broken off.", "--resume")
    workers: int | None = option(None, "Processes that share the work and the weights.", at_least=1)
    limit: int | None = option(None, "Only the first so many documents.", at_least=1)
    sample: int | None = option(None, "Only so many documents, chosen at random, in their order.", at_least=1)
    dedupe: bool = option(False, "Compute identical texts once.", "--dedupe")


@dataclass(frozen=True)
class Failing:
    """What becomes of what cannot be read."""

    on_error: OnError = option(
        "report",
        "What cannot be read: report it and go on, stop, or skip: keep it in a side file that can be retried.",
    )


@dataclass(frozen=True)
class Telling:
    """What is said beside the results, on standard error."""

    quiet: bool = option(False, "No progress, no summary; errors only.", "-q", "--quiet")
    verbose: bool = option(
        False, "Also the checkpoint, device, thresholds, and each source as it begins.", "-v", "--verbose"
    )
    no_progress: bool = option(False, "No bar.", "--no-progress")
    log: LogFormat = option("text", "json: notes, problems, progress and summary as one JSON object a line.")
    stats: bool = option(False, "Bars at the end: labels with their mean scores, the most frequent entities.")


@dataclass(frozen=True)
class Benching:
    """On what quality and speed are measured."""

    suite: list[str] | None = option(
        None,
        "small (built in), ood, ner20, multiconer, or the name of a set; again for more.",
        "--suite",
        complete="suites",
    )
    data: list[str] | None = option(
        None, "Gold data of your own: a file or folder in any format that can be read; again for more."
    )
    data_dir: Path | None = option(None, "Folder with the suites' files, if they are not in the cache (gliner pull).")
    limit: int | None = option(None, "Only so many documents of each set, evenly chosen.", at_least=1)


@dataclass(frozen=True)
class Timing:
    """What is timed, and how often."""

    speed: bool = option(False, "Only speed, no scores.", "--speed")
    quality: bool = option(False, "Only scores, no speed.", "--quality")
    repeat: int = option(5, "Timed runs of each system, in turn: A B A B.", at_least=1)
    warm_up: int = option(1, "Runs of each system before the timed ones.", at_least=0)
    timed: int = option(100, "Most documents of each set that are timed, evenly chosen.", at_least=1)
    sweep: str | None = option(
        None, "How cost grows: 'labels=1,5,25,100 words=32,128,512,4096 batch-tokens=1024,4096'."
    )


@dataclass(frozen=True)
class Comparing:
    """With what."""

    against: list[str] | None = option(
        None,
        "Another system: gliner, gliner-onnx, gliner2:FOLDER, fast-gliner, spacy:MODEL, openai:MODEL, run:COMMAND, or "
        "answers made elsewhere as FILE.jsonl; again for more.",
    )
    python: Path | None = option(None, "The Python that has it installed, if not this one.")
    endpoint: str | None = option(None, "Address of an OpenAI-compatible service, up to and with /v1.")
    key_env: str = option("OPENAI_API_KEY", "Variable of the environment that holds the service's key.")
    prompt: Literal["json", "uniner"] = option(
        "json", "One question for all labels that is answered as JSON, or UniNER's question for each label."
    )
    price: str | None = option(None, "What a million tokens cost: in=0.15,out=0.60")
    budget: float | None = option(None, "Money after which nothing more is asked.", at_least=0)
    concurrency: int = option(8, "Questions to a service at once.", at_least=1)
    answer_tokens: int | None = option(
        None, "Longest answer of a service; more than its text needs for models that think aloud first.", at_least=1
    )
    hourly_price: float | None = option(None, "What this machine costs an hour.", at_least=0)


@dataclass(frozen=True)
class Reporting:
    """What is left behind."""

    report: Path | None = option(None, "Folder for report.json, report.md and report.html.")
    json: Path | None = option(None, "File for the JSON alone.")
    resume: bool = option(False, "Keep what the report there has already; do the rest.", "--resume")
    compare: tuple[Path, Path] | None = option(
        None, "Two such JSON reports: the second against the first, with significance. Nothing is measured."
    )
    fail_under: list[str] | None = option(
        None, "F1=0.35, P=…, R=… or words/s=2000: exit 1 if ours has less; again for more."
    )


@dataclass(frozen=True)
class Teaching:
    """What the network is asked while it learns. Shares and probabilities are from 0 to 1."""

    negatives: float | None = option(
        None,
        "Average share of types asked that are not in the text; 0.75 where a trained network learns a closed set, "
        "otherwise 0.5.",
        at_least=0,
        at_most=0.95,
    )
    drop: float = option(0.3, "How often some of the types in a text are not asked.", at_least=0, at_most=1)
    max_types: int | None = option(None, "Most types asked at once; the checkpoint's own if not given.", at_least=1)
    annotation: Annotation = option(
        "auto",
        "closed: what is not marked is none of the data's types; open: texts are marked for their own types only. "
        "auto: closed up to 200 types. A document's own 'labels' or 'negatives' go before.",
    )


@dataclass(frozen=True)
class Learning:
    """How the weights change. What is not given depends on data, network and device, and is printed."""

    steps: int | None = option(None, "Updates of the weights.", at_least=1)
    minutes: float | None = option(None, "End after so many minutes; the learning rate is down by then.", at_least=0)
    batch: int | None = option(None, "Texts in one update.", at_least=1)
    encoder_rate: float | None = option(None, "Learning rate of the encoder.", at_least=0)
    head_rate: float | None = option(None, "Learning rate of everything else.", at_least=0)
    schedule: Schedule = option("cosine", "How the learning rate falls after warming up.")
    warmup: float = option(0.1, "Share of the run in which the learning rate rises.", at_least=0, at_most=1)
    weight_decay: float = option(0.01, "Weight decay; none of norms and biases.", at_least=0)
    clip: float = option(1.0, "Longest gradient, by its norm; 0: any.", at_least=0)
    positive_weight: float | None = option(
        None, "Weight in the loss of what is there over what is not; 10 for a new network, otherwise 3.", at_least=0
    )
    focus: float = option(1.0, "Gamma of the focal loss; 0: plain cross-entropy.", "--focal-gamma", at_least=0)
    freeze: str | None = option(None, "What does not learn: encoder, embeddings, or layers:N (the first N).")
    lora: int | None = option(
        None, "Learn low-rank adapters of this rank in the encoder, merged at the end.", at_least=1
    )
    checkpointing: bool = option(
        False, "Compute the encoder's layers twice to save memory.", "--gradient-checkpointing"
    )
    micro_tokens: int | None = option(
        None, "Most pieces computed at once, padding included; 2048 on a CPU, 6144 elsewhere.", at_least=1
    )
    number_format: NumberFormat = option(
        "auto", "auto: bf16 where the device multiplies it faster, otherwise fp32.", "--precision"
    )
    device: Device = option("auto", "Where to compute.")
    threads: int | None = option(None, "Processor threads; all cores if not given.", at_least=1)
    seed: int = option(0, "Number that all chance comes from.")


@dataclass(frozen=True)
class Finetuning:
    """What is learned from, where the result goes, and when it is good enough."""

    output: Path = option(Path("finetuned"), "Folder for the checkpoint.", "-o", "--output")
    dev: list[str] | None = option(None, "Data to choose the best state by; a part of the training data if not given.")
    from_backbone: str | None = option(None, "Begin with a bare encoder (a folder or hub id) instead of a checkpoint.")
    keep: list[str] | None = option(
        None,
        "Other data that the checkpoint should go on answering as it did: less of what was learned is mixed in, down "
        "to a quarter, until F1 there falls by a point at most. Plain text is labelled first. If not given, short "
        "built-in texts, whose F1 is not looked at.",
    )
    keep_share: float = option(0.3, "Share of such data in each update; 0: none.", at_least=0, at_most=0.9)
    blend: float = option(
        0.7, "Smallest share of what was learned that the result may have: the rest is taken from the weights before, "
        "against forgetting, where the dev data does not mind; 1: all of it. Not with --lora.", at_least=0, at_most=1,
    )  # fmt: skip
    evaluations: int = option(10, "How often the dev data is measured.", at_least=1)
    patience: int = option(0, "Measurements without a better one before learning ends; 0: it never does.", at_least=0)
    save_every: float = option(120.0, "Seconds between states that --resume can go on from.", at_least=0)
    untuned: bool = option(False, "Leave the threshold at 0.5; otherwise each label gets its own by the dev data.")
    half: bool = option(False, "Store the weights in 16 bits: half the size.")
    track: list[str] | None = option(None, "Also tell a tracker: tensorboard, wandb.")
