import itertools
import json

import pytest

from gliner_cli.checkpoint.tokenizer import deberta_tokenizer, load_tokenizer
from gliner_cli.errors import CheckpointError


def lines_of(shared):
    """A few thousand lines in eleven languages."""
    for path in sorted((shared / "data").glob("multiconer1_*/dev.jsonl")) + sorted(
        (shared / "data").glob("cross*/test.jsonl")
    ):
        with path.open(encoding="utf-8") as file:
            yield from (" ".join(json.loads(line)["tokens"]) for line in itertools.islice(file, 200))


def test_spm_alone_gives_the_ids_of_sentencepiece(shared):
    import sentencepiece

    path = shared / "deberta-v3-tokenizer" / "spm.model"
    slow, fast = sentencepiece.SentencePieceProcessor(model_file=str(path)), deberta_tokenizer(path)
    lines = list(lines_of(shared))
    assert len(lines) > 3000
    lines += ["A\u00a0b\t c  ﬁne ① ＦＵＬＬ Å é \u200b x\u0301 🙂👩‍👧 ℡ ½", "  both ends  ", "", "\u0000 \u0007 bell"]
    for line in lines:
        assert fast.encode(line, add_special_tokens=False).ids == slow.encode(line), line


def test_the_markers_of_a_published_tokenizer(shared):
    made = load_tokenizer(shared / "deberta-v3-tokenizer")
    assert [made.token_to_id(token) for token in ("[MASK]", "[FLERT]", "<<ENT>>", "<<SEP>>")] == [
        128000,
        128001,
        128002,
        128003,
    ]
    assert made.encode("a").tokens == ["[CLS]", "▁a", "[SEP]"]


def test_files_that_are_no_tokenizer(tmp_path):
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "spm.model").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="SentencePiece"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is not a tokenizer"):
        load_tokenizer(tmp_path)
