"""Label Studio: tasks with `data`, `annotations` by people and `predictions` by models; JSON-MIN on reading.

What people annotated counts; predictions count only where there is no annotation. Of several annotations the one marked
as ground truth counts, or the latest. A task whose annotations were all cancelled (skipped) is no document. Label
Studio's own fields about tasks (dates, users, counts) are left out; `data` is kept. Entities with a score are written
as a prediction, others as an annotation, for a labelling configuration with
<Labels name="label" toName="text"> and <Text name="text" value="$text">.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from typing import Any, BinaryIO

from gliner_cli.errors import InputError
from gliner_cli.formats.json_rows import Row, beside, placed, reader, score
from gliner_cli.formats.json_values import kind, line, write_array
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity

_REGION = 'Expected {"value": {"start", "end", "text", "labels"}, "type": "labels"}, in characters, the end exclusive.'
_RESULTS = ("annotations", "completions", "predictions")  # `completions` is what annotations were called before 1.0
_MIN = {"annotator", "annotation_id"}
_ABOUT_MIN = (*_MIN, "created_at", "updated_at", "lead_time")


def recognised(row: Row) -> bool:
    """Whether a row is Label Studio's beyond doubt."""
    fields = row.fields
    if "entities" in fields:
        return False
    if isinstance(fields.get("data"), dict) and row.options.text_field not in fields:
        return any(isinstance(fields.get(name), list) for name in _RESULTS)
    return fields.keys() >= _MIN and isinstance(fields.get(row.options.text_field), str)


def made(row: Row) -> Document | None:
    """The document of a task; None of one that was skipped."""
    return _of_task(row) if isinstance(row.fields.get("data"), dict) else _of_min(row)


def _of_task(row: Row) -> Document | None:
    data = replace(row, fields=_named(row))
    text = data.text
    annotations = _objects(row, "annotations") or _objects(row, "completions")
    done = [one for one in annotations if not one.get("was_cancelled")]
    if annotations and not done:
        return None
    chosen = max(done, key=_precedence) if done else next(iter(_objects(row, "predictions")), {})
    regions, places = _objects(replace(row, fields=chosen), "result"), _Places(text)
    return data.document(text, [entity for one in regions for entity in _entities(row, one, places)])


def _named(row: Row) -> Mapping[str, Any]:
    """The data of a task, with the task's name where the data has none, and its only string as the text."""
    data, options = row.fields["data"], row.options
    named = data if data.get(options.id_field) is not None else {**data, options.id_field: row.fields.get("id")}
    strings = [name for name, value in data.items() if isinstance(value, str)]
    if options.text_field in data or len(strings) != 1:
        return named
    return {
        **{name: value for name, value in named.items() if name != strings[0]},
        options.text_field: data[strings[0]],
    }


def _precedence(annotation: Mapping[str, Any]) -> tuple[bool, str]:
    return annotation.get("ground_truth") is True, str(
        annotation.get("updated_at") or annotation.get("created_at") or ""
    )


def _objects(row: Row, field: str) -> list[dict[str, Any]]:
    found = row.listed(field, _REGION)
    if wrong := [one for one in found if not isinstance(one, dict)]:
        raise InputError(f"{row.place} has {kind(wrong[0])} in its {field!r}; an object was expected.", _REGION)
    return found


def _entities(row: Row, region: Mapping[str, Any], places: _Places) -> Iterator[Entity]:
    """The entities of a region, one a label. Choices, relations and notes are none."""
    form = region.get("type", "labels")
    if form == "labels":
        yield from _labelled(row, region.get("value"), region.get("score"), places)
    elif isinstance(form, str) and form.endswith("labels"):
        raise InputError(f"{row.place} has a region of the type {form!r}, whose place is not one in a text.", _REGION)


def _labelled(row: Row, value: Any, given: Any, places: _Places) -> Iterator[Entity]:
    match value:
        case {"start": start, "end": end, "labels": [*labels]}:
            for label in labels:
                tries = (placed(*place, label, places.text) for place in places.of(start, end))
                found = next((one for one in tries if one and _same(value.get("text"), one.text)), None)
                if found is None:
                    raise row.misfit(value, places.text, _REGION)
                yield replace(found, score=_score(row, value, given, places.text))
        case {"start": _, "end": _} if "labels" not in value:  # marked, and given no label
            return
        case _:
            raise row.misfit(value, places.text, _REGION)


def _score(row: Row, value: Any, given: Any, text: str) -> float | None:
    try:
        return score(given)
    except ValueError as error:
        raise row.misfit({**value, "score": given}, text, _REGION) from error


class _Places:
    """What a place may mean in a text: characters, or units of UTF-16, as browsers count: two for most emoji."""

    def __init__(self, text: str) -> None:
        self.text = text

    def of(self, start: Any, end: Any) -> Iterator[tuple[Any, Any]]:
        """The place as it is; then, where that differs, as one counted in UTF-16."""
        yield start, end
        if self._units and type(start) is int and type(end) is int and start >= 0:
            yield bisect_left(self._units, start), bisect_left(self._units, end)

    @cached_property
    def _units(self) -> list[int]:
        """Where each character begins in UTF-16, and the end of the last; nothing where these are as in characters."""
        if max(self.text, default="") <= "\uffff":
            return []
        return list(accumulate((1 + (character > "\uffff") for character in self.text), initial=0))


def _same(said: Any, there: str) -> bool:
    """Whether the text of a region is what is there; Label Studio writes line breaks as a backslash and an n."""
    return said is None or (isinstance(said, str) and _bare(said.replace("\\n", " ")) == _bare(there))


def _bare(text: str) -> str:
    return "".join(text.split()) or text


def _of_min(row: Row) -> Document:
    """The document of a row of JSON-MIN: regions lie in a field called like their control."""
    text = row.text
    fields = [name for name, value in row.fields.items() if _are_regions(value)]
    regions = [one for field in fields for one in row.fields[field]]
    places = _Places(text)
    entities = [entity for one in regions for entity in _labelled(row, one, None, places)]
    return row.document(text, entities, (*fields, *_ABOUT_MIN))


def _are_regions(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "start" in one for one in value)


read = reader(made)


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """An array of tasks, as Label Studio imports them; each written through at once."""
    write_array(map(_task, documents), stream)


def _task(document: Document) -> bytes:
    ours = {"id": document.id, "source": document.source, "text": document.text}
    result = [_region(number, entity) for number, entity in enumerate(document.entities)]
    scored = any(entity.score is not None for entity in document.entities)
    task: dict[str, Any] = {"data": beside(ours, document.meta), "annotations": [], "predictions": []}
    if result:
        task["predictions" if scored else "annotations"] = [
            {"model_version": "gliner", "result": result} if scored else {"result": result}
        ]
    return line(task, document.id)


def _region(number: int, entity: Entity) -> dict[str, Any]:
    value = {"start": entity.start, "end": entity.end, "text": entity.text, "labels": [entity.label]}
    region = {"id": f"e{number}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
    return region if entity.score is None else {**region, "score": entity.score}
