import re

import pytest

from gliner_cli.text.words import line_starts, sentence_starts, words

REFERENCE = re.compile(r"\w+(?:[-_]\w+)*|\S")


def cut(text, rule="auto"):
    found = words(text, rule)
    return [text[a:b] for a, b in zip(found.starts, found.ends, strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "naïve co-op_x e-mail: a@b.de!",
        "",
        " \n",
        "हिन्दी और русский",
        "a\u200bb \x00 \ud800 <<ENT>>",
        "éé 👩‍👩‍👧 ابن سينا",
    ],
)
def test_auto_is_the_references_rule_where_scripts_have_spaces(text):
    assert cut(text) == cut(text, "whitespace") == REFERENCE.findall(text)


def test_scripts_without_spaces_are_cut_by_character():
    assert cut("张伟在北京 in Paris") == ["张", "伟", "在", "北", "京", "in", "Paris"]
    assert cut("ที่นี่ ok") == ["ที่", "นี่", "ok"]
    assert cut("iPhone手机-x") == ["iPhone", "手", "机", "-", "x"]
    assert cut("한국 사람") == ["한국", "사람"]
    assert cut("张伟在", "whitespace") == ["张伟在"]
    assert cut("ab c", "char") == ["a", "b", "c"]


def test_sentences():
    text = "Dr. J. Smith left. He came back!\n\nNew one 。新的。好"
    found = words(text)
    firsts = {text[found.starts[i] : found.ends[i]] for i in sentence_starts(text, found)}
    assert firsts == {"Dr", "He", "New", "新", "好"}
    assert sentence_starts("", words("")) == line_starts("", words("")) == []
    assert line_starts("a b\nc", words("a b\nc")) == [0, 2]
