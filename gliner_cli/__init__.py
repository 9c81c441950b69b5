"""GLiNER: entities of any type in text.

    import gliner_cli as gliner

    extractor = gliner.load()
    for entity in extractor("Ada Lovelace was born in London.", ["person", "city"]):
        print(entity.label, entity.text, entity.score)

Names are fetched on first use, so that `import gliner_cli` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gliner_cli._version import __version__

if TYPE_CHECKING:
    from gliner_cli.errors import GlinerError
    from gliner_cli.inference.extractor import Extractor, load
    from gliner_cli.types import Document, Entity

_HOMES = {
    "Document": "gliner_cli.types",
    "Entity": "gliner_cli.types",
    "Extractor": "gliner_cli.inference.extractor",
    "GlinerError": "gliner_cli.errors",
    "load": "gliner_cli.inference.extractor",
}

__all__ = ["Document", "Entity", "Extractor", "GlinerError", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
