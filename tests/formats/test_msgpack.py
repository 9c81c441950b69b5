import pytest
from hypothesis import given
from hypothesis import strategies as st

from gliner_cli.formats.msgpack import has_more_than

srsly = pytest.importorskip("srsly")

PARTS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(max_size=300)
VALUES = st.recursive(
    PARTS, lambda value: st.lists(value, max_size=20) | st.dictionaries(st.text(), value, max_size=20), max_leaves=50
)


def count(value):
    match value:
        case dict():
            return 1 + sum(1 + count(part) for part in value.values())
        case list():
            return 1 + sum(map(count, value))
    return 1


@given(VALUES)
def test_objects_are_counted(value):
    content = srsly.msgpack_dumps(value)
    assert has_more_than(count(value) - 1, content)
    assert not has_more_than(count(value), content)


@pytest.mark.parametrize(
    "value", ["x" * 70_000, "x" * 300, b"x" * 70_000, [0] * 70_000, {str(key): 0 for key in range(40)}]
)
def test_long_ones_too(value):
    content = srsly.msgpack_dumps(value)
    assert has_more_than(count(value) - 1, content)
    assert not has_more_than(count(value), content)


def test_what_is_only_said_to_be_there_counts():
    assert has_more_than(1000, b"\xdd\xff\xff\xff\xff")
