"""Tokenizer files to a `tokenizers.Tokenizer`, without transformers where that can be had.

`tokenizer.json` says everything. The DeBERTa-v3 repositories have only `spm.model`; what transformers 5 makes of that
knows neither the model's Unicode normalisation nor its bytes for rare characters, so the conversion here is our own
and is tested to give the ids of SentencePiece itself. All other files are left to transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from gliner_cli.checkpoint.files import read_json
from gliner_cli.errors import CheckpointError

FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "spm.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "merges.txt",
)  # fmt: skip
_ENOUGH = ("tokenizer.json", "spm.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json")
_UNLIMITED = 1_000_000  # published limits beyond this mean "none" (1e30)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds tokenizer files."""
    return any((folder / name).is_file() for name in _ENOUGH)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder, without padding or truncation. Raises CheckpointError if there is none."""
    if (folder / "tokenizer.json").is_file():
        tokenizer = _from_json(folder / "tokenizer.json")
    elif (folder / "spm.model").is_file():
        tokenizer = deberta_tokenizer(folder / "spm.model", _added_tokens(folder))
    elif has_tokenizer(folder):
        tokenizer = _from_transformers(folder)
    else:
        raise CheckpointError(f"{folder} has no tokenizer; looked for {', '.join(_ENOUGH)}.", "gliner pull NAME")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def piece_limit(folder: Path) -> int | None:
    """The most pieces the tokenizer's own settings allow, special ones included; None where there is no limit."""
    path = folder / "tokenizer_config.json"
    limit = read_json(path).get("model_max_length") if path.is_file() else None
    return int(limit) if isinstance(limit, int | float) and limit < _UNLIMITED else None


def _from_json(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises nothing narrower
        raise CheckpointError(f"{path} is not a tokenizer: {error}.", "Fetch it again: gliner pull NAME") from error


def _from_transformers(folder: Path) -> Tokenizer:
    from transformers import AutoTokenizer

    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    return tokenizer


def _added_tokens(folder: Path) -> dict[str, int]:
    path = folder / "added_tokens.json"
    return read_json(path) if path.is_file() else {}


# --- SentencePiece -------------------------------------------------------------------------------------------------


def deberta_tokenizer(path: Path, added: dict[str, int] | None = None) -> Tokenizer:
    """The tokenizer that a DeBERTa-v2/v3 `spm.model` describes, with `[CLS]` and `[SEP]` around a text.

    `added` are further tokens with their ids; `[MASK]` takes the first id behind the model's pieces if it is not among
    them, as in the published tokenizers.
    """
    import sentencepiece

    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        charsmap = bytes(_normalizer_charsmap(path.read_bytes()))
    except (RuntimeError, OSError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} is not a SentencePiece model: {error}.", "gliner pull NAME") from error
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    tokenizer = Tokenizer(
        models.Unigram(pieces, model.unk_id(), byte_fallback=model.is_byte(model.piece_to_id("<0x00>")))
    )
    steps = [normalizers.Precompiled(charsmap)] if charsmap else []
    # SentencePiece drops spaces (and nothing else) at both ends and makes every other run of them one.
    spaces = [normalizers.Replace(Regex(r"^ +| +$"), ""), normalizers.Replace(Regex(r" {2,}"), " ")]
    tokenizer.normalizer = normalizers.Sequence([*steps, *spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=False)
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    _add(tokenizer, added or {"[MASK]": len(model)})
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)]
    )
    return tokenizer


def _add(tokenizer: Tokenizer, added: dict[str, int]) -> None:
    tokenizer.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    for token, number in sorted(added.items(), key=lambda item: item[1]):
        special = token.startswith("[")
        tokenizer.add_tokens([AddedToken(token, special=special, normalized=not special)])
        if tokenizer.token_to_id(token) != number:
            raise CheckpointError(f"added_tokens.json gives {token!r} the number {number}, which is not the next one.")


def _normalizer_charsmap(model: bytes) -> bytes:
    """`normalizer_spec.precompiled_charsmap` of a serialized SentencePiece `ModelProto` (fields 3 and 2)."""
    spec = b"".join(value for number, value in _fields(model) if number == 3)
    return b"".join(value for number, value in _fields(spec) if number == 2)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protocol buffer, as (number, content); the others are stepped over."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 2:
            size, place = _varint(message, place)
            yield number, message[place : place + size]
            place += size
        elif kind == 0:
            _, place = _varint(message, place)
        else:
            place += {1: 8, 5: 4}[kind]


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place
