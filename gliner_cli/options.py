"""Every option of every command, once: its type, default, limits and help.

`cli/flags.py` turns these classes into command-line flags; the same objects are the keyword arguments of the Python
interface and go into run records with `dataclasses.asdict`. Nothing here knows a command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

InputFormat = Literal["auto", "text", "jsonl", "conll"]
OutputFormat = Literal["auto", "jsonl", "conll"]
Unit = Literal["file", "paragraph", "line"]
WordRule = Literal["auto", "whitespace", "char"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["fp32", "bf16", "fp16"]


def option(
    default: Any,
    explanation: str,
    *flags: str,
    env: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    """A field of an options class. `flags` replaces the flag made of the field's name; `env` names a variable."""
    details = {"help": explanation, "flags": flags, "env": env, "min": at_least, "max": at_most}
    return field(default=default, metadata=details)


@dataclass(frozen=True)
class Reading:
    """How sources become documents."""

    input_format: InputFormat = option("auto", "Format of the input; by its suffix if not given.", "--from")
    text_field: str = option("text", "JSONL field that holds the text.")
    id_field: str = option("id", "JSONL field that names the document.")
    per: Unit = option("file", "What one document is in plain text.")
    encoding: str = option("utf-8", "Character encoding of the input.")


@dataclass(frozen=True)
class Writing:
    """Where results go, and as what."""

    output: Path | None = option(None, "File to write; standard output if not given.", "-o", "--output")
    output_format: OutputFormat = option(
        "auto", "Format of the output; by the suffix of --output, otherwise jsonl.", "-f", "--format"
    )


@dataclass(frozen=True)
class Choice:
    """Which checkpoint."""

    model: str | None = option(
        None,
        "Checkpoint: a folder, or a hub id as name@revision. The built-in starter if not given.",
        "-m",
        "--model",
        env="GLINER_MODEL",
    )
    revision: str | None = option(None, "Branch, tag or commit on the hub.")
    offline: bool = option(
        False, "Never use the network (extract never does; pull does).", "--offline", env="HF_HUB_OFFLINE"
    )


@dataclass(frozen=True)
class Extraction:
    """What counts as an entity, and how long documents are cut."""

    threshold: float = option(0.5, "Scores above this count.", "-t", "--threshold", at_least=0, at_most=1)
    nested: bool = option(False, "Allow entities inside entities.", "--nested")
    multi_label: bool = option(False, "Allow several labels on the same words.", "--multi-label")
    words: WordRule = option(
        "auto", "How text is cut into words; auto: by character in scripts written without spaces."
    )
    window: str = option("auto", "Longest stretch read at once: auto, a number of words, or sentences.")
    overlap: int | None = option(None, "Words shared by neighbouring windows.", at_least=0)
    labels_at_once: int | None = option(
        None, "Most labels asked in one prompt; the number the checkpoint was trained with if not given.", at_least=1
    )


@dataclass(frozen=True)
class Computing:
    """On what, and how fast. Nothing here changes the answer beyond the rounding of `precision`."""

    device: Device = option("auto", "Where to compute.")
    precision: Precision = option("fp32", "Number format of the computation.")
    threads: int | None = option(None, "Processor threads; all cores if not given.", at_least=1)
    batch_tokens: int = option(4096, "Most pieces computed at once, padding included.", at_least=1)
