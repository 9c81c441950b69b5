"""What a language model is asked, and how its answer is read.

There are two ways of asking. `json`: all labels in one question, the answer an object
{"entities": [{"text", "label"}]}. `uniner`: as UniNER does (arXiv 2308.03279), one question a label, the answer a list
of strings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gliner_cli.evaluation.alignment import Mention
from gliner_cli.text.labels import Labels
from gliner_cli.types import Document

Prompt = Literal["json", "uniner"]
Message = dict[str, str]


@dataclass(frozen=True)
class Question:
    """One request: about the document of this number, and about one label or (None) all of them."""

    document: int
    text: str
    label: str | None
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Reading:
    """What an answer says. `malformed` ones say nothing; `cut` ones say what was whole before the cut."""

    mentions: tuple[Mention, ...] = ()
    unasked: int = 0
    malformed: bool = False
    cut: bool = False


def questions(documents: Sequence[Document], labels: Labels, prompt: Prompt) -> list[Question]:
    """What is asked about these documents; nothing about those without text."""
    asked = [(number, document.text) for number, document in enumerate(documents) if document.text.strip()]
    if prompt == "json":
        system = {"role": "system", "content": _JSON.format(labels=_listed(labels))}
        return [Question(number, text, None, (system, {"role": "user", "content": text})) for number, text in asked]
    pairs = list(zip(labels.names, labels.asked, strict=True))
    return [Question(number, text, name, _uniner(text, words)) for number, text in asked for name, words in pairs]


_JSON = """\
Find the named entities in the text that the user gives. Their types are:
{labels}
Answer with JSON alone: {{"entities": [{{"text": "...", "label": "..."}}]}}, one item for each mention, in order of \
appearance. Copy "text" from the text exactly as it stands there, and let "label" be one of the types above. \
Without any entity the answer is {{"entities": []}}."""

_UNINER = (
    "A virtual assistant answers questions from a user based on the provided text. "
    "Its answers are JSON lists of strings copied from the text, and nothing else."
)


def _listed(labels: Labels) -> str:
    rows = zip(labels.names, labels.descriptions, strict=True)
    return "\n".join(f"- {name}: {text}" if text else f"- {name}" for name, text in rows)


def _uniner(text: str, label: str) -> tuple[Message, ...]:
    return (
        {"role": "system", "content": _UNINER},
        {"role": "user", "content": f"Text: {text}"},
        {"role": "assistant", "content": "I've read this text."},
        {"role": "user", "content": f"What describes {label} in the text?"},
    )


def schema(labels: Labels) -> dict[str, Any]:
    """The JSON schema of the answer to a `json` question, as strict structured output wants it."""
    fields = {"text": {"type": "string"}, "label": {"type": "string", "enum": list(labels.names)}}
    entity = _object(fields)
    return _object({"entities": {"type": "array", "items": entity}})


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def read(content: str, question: Question, labels: Labels) -> Reading:
    """What an answer says. Words around its list are passed over; a list that breaks off is read as far as it goes."""
    items, state = _list(content)
    mentions = [_mention(item, question.label) for item in items]
    if state == "malformed" or None in mentions:
        return Reading(malformed=True)
    names = {name.casefold(): name for name in labels.names}
    said = [(text, names.get(label.casefold())) for text, label in filter(None, mentions)]
    asked = tuple((text, label) for text, label in said if label)
    return Reading(asked, len(said) - len(asked), cut=state == "cut")


def _mention(item: Any, label: str | None) -> Mention | None:
    match item:
        case {"text": str(text), "label": str(own)} if label is None:
            return text, own.strip()
        case str() if label is not None:
            return item, label
        case int() | float() if label is not None and not isinstance(item, bool):
            return json.dumps(item), label  # [1984]: a year
    return None


def _list(content: str) -> tuple[list[Any], Literal["whole", "cut", "malformed"]]:
    """The items of the first list, and whether it is closed, breaks off at the end of the answer, or is none."""
    items: list[Any] = []
    decoder, at = json.JSONDecoder(), content.find("[") + 1
    if not at:
        return [], "malformed"
    while True:
        at = _skipped(content, at)
        if content[at : at + 1] == "]":
            return items, "whole"
        try:
            item, at = decoder.raw_decode(content, at)
        except ValueError:
            return items, "malformed" if "]" in content[at:] else "cut"
        items.append(item)
        at = _skipped(content, at)
        if content[at : at + 1] not in (",", "]", ""):
            return items, "malformed"
        at += content[at : at + 1] == ","


def _skipped(content: str, at: int) -> int:
    """The next place that is no white space."""
    while content[at : at + 1].isspace():
        at += 1
    return at
