"""Chunks, the journal and what is chosen: the same documents in the same order, whatever happened in between."""

import re
from dataclasses import replace

import pytest

from gliner_cli.errors import InputError, OutputError
from gliner_cli.jobs import choosing, job
from gliner_cli.jobs.chunks import Chunk, chunks, one_by_one, without_repeats
from gliner_cli.jobs.journal import Journal
from gliner_cli.options import Job
from gliner_cli.types import Document, Entity, Words

SETTINGS = {"labels": ["name"], "threshold": 0.5}


def documents(count=50):
    return [Document(f"Text {i} of Mara and Ivo{i}", f"d{i}", "a.txt") for i in range(count)]


def capitals(given):
    for document in given:
        found = (Entity(m.start(), m.end(), "name", m[0], 1 / 3) for m in re.finditer(r"[A-Z]\w+", document.text))
        yield replace(document, entities=tuple(found))


def counted(calls):
    def extracted(given):
        calls.extend(document.text for document in given)
        return capitals(given)

    return one_by_one(extracted)


def flat(answered):
    return [replace(d, entities=e) for chunk in answered for d, e in zip(chunk.documents, chunk.entities, strict=True)]


def test_chunks_grow_and_hold_every_document_once():
    given = documents(3000)
    cut = list(chunks(given))
    assert [document for chunk in cut for document in chunk.documents] == given
    sizes = [len(chunk.documents) for chunk in cut]
    assert sizes[:-1] == sorted(sizes[:-1])
    assert (sizes[0], max(sizes)) == (8, 512)


def test_a_huge_document_is_a_chunk_of_its_own():
    given = [Document("x"), Document("y" * 1_000_000), Document("z")]
    assert [len(chunk.documents) for chunk in chunks(given)] == [1, 1, 1]


@pytest.mark.parametrize("killed_after", [0, 1, 2, 3])
def test_a_resumed_job_computes_the_rest_and_gives_the_same(tmp_path, killed_after):
    expected = list(capitals(documents()))
    journal = Journal(tmp_path / "o.journal", SETTINGS)
    first = journal.resumed(counted([]), chunks(documents()))
    begun = [next(first) for _ in range(killed_after)]
    first.close()
    calls = []
    assert flat(Journal(journal.path, SETTINGS).resumed(counted(calls), chunks(documents()))) == expected
    assert calls == [document.text for document in documents()[sum(len(chunk.documents) for chunk in begun) :]]


@pytest.mark.parametrize("lost", [1, 7, 100, 10_000])
def test_a_line_that_was_cut_off_is_done_again(tmp_path, lost):
    journal = Journal(tmp_path / "o.journal", SETTINGS)
    expected = flat(journal.resumed(counted([]), chunks(documents())))
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-lost])
    calls = []
    assert flat(journal.resumed(counted(calls), chunks(documents()))) == expected
    assert calls
    assert journal.path.read_bytes() == content


def test_nothing_is_computed_twice(tmp_path):
    journal = Journal(tmp_path / "o.journal", SETTINGS)
    expected = flat(journal.resumed(counted([]), chunks(documents())))
    calls = []
    assert flat(journal.resumed(counted(calls), chunks(documents()))) == expected
    assert calls == []


@pytest.mark.parametrize(
    "changed",
    [
        lambda given: [replace(given[0], text="other"), *given[1:]],
        lambda given: [replace(given[0], id="other"), *given[1:]],
        lambda given: [replace(given[0], words=Words.of([(0, 4)])), *given[1:]],
        lambda given: given[1:],
        lambda given: given[:20],
        lambda given: [],
    ],
)
def test_changed_documents_are_refused(tmp_path, changed):
    journal = Journal(tmp_path / "o.journal", SETTINGS)
    flat(journal.resumed(counted([]), chunks(documents())))
    with pytest.raises(InputError, match="cannot go on"):
        flat(journal.resumed(counted([]), chunks(changed(documents()))))


def test_changed_options_are_refused_by_name(tmp_path):
    flat(Journal(tmp_path / "o.journal", SETTINGS).resumed(counted([]), chunks(documents())))
    other = Journal(tmp_path / "o.journal", {**SETTINGS, "threshold": 0.7})
    with pytest.raises(InputError, match=r"begun with threshold 0\.5; now it is threshold 0\.7"):
        flat(other.resumed(counted([]), chunks(documents())))


def test_what_could_not_be_done_is_remembered_as_that(tmp_path):
    def some(asked):
        for chunk in asked:
            yield replace(chunk, entities=[None, *[()] * (len(chunk.documents) - 1)])

    journal = Journal(tmp_path / "o.journal", SETTINGS)
    expected = [chunk.entities for chunk in journal.resumed(some, chunks(documents()))]
    assert [list(chunk.entities) for chunk in journal.resumed(some, chunks(documents()))] == expected


def test_an_unfinished_job_is_not_overwritten(tmp_path):
    output = tmp_path / "o.jsonl"
    begun = job.journal(output, SETTINGS, resume=False)
    flat(begun.resumed(counted([]), chunks(documents())))
    with pytest.raises(OutputError, match="broken off"):
        job.journal(output, SETTINGS, resume=False)
    assert job.journal(output, SETTINGS, resume=True).exists()
    begun.forget()
    assert not job.journal(output, SETTINGS, resume=False).exists()


def test_resume_without_a_file_is_an_error():
    with pytest.raises(OutputError, match="--resume"):
        job.journal(None, SETTINGS, resume=True)


def test_texts_that_repeat_are_computed_once():
    given = [replace(one, id=str(i)) for i, one in enumerate(documents(20) + documents(30) + documents(5))]
    calls = []
    assert flat(without_repeats(counted(calls))(chunks(given))) == list(capitals(given))
    assert calls == [document.text for document in documents(30)]


def test_the_same_text_in_other_words_is_another():
    given = [Document("Mara Ivo", words=words) for words in (None, Words.of([(0, 8)]), Words.of([(0, 4), (5, 8)]))]
    calls = []
    flat(without_repeats(counted(calls))(chunks(given)))
    assert len(calls) == 3


@pytest.mark.parametrize("dedupe", [False, True])
@pytest.mark.parametrize("killed_after", range(4))
def test_with_repeats_too_a_resumed_job_gives_the_same(tmp_path, dedupe, killed_after):
    given = [replace(one, id=str(i)) for i, one in enumerate(documents(20) + documents(30))]
    journal, options = Journal(tmp_path / "o.journal", SETTINGS), Job(dedupe=dedupe)
    first = job.answered(chunks(given), counted([]), journal, options)
    for _ in range(killed_after):
        next(first)
    first.close()
    assert flat(job.answered(chunks(given), counted([]), journal, options)) == list(capitals(given))


def test_some_of_the_documents():
    given = documents(1000)
    assert list(choosing.chosen(given, Job())) == given
    assert list(choosing.chosen(given, Job(limit=7))) == given[:7]
    sample = list(choosing.chosen(given, Job(sample=100)))
    assert sample == list(choosing.chosen(given, Job(sample=100)))
    assert len({document.id for document in sample}) == 100
    places = [given.index(document) for document in sample]
    assert places == sorted(places)
    assert 350 < sum(places) / 100 < 650
    assert list(choosing.chosen(given[:5], Job(sample=100))) == given[:5]


def test_the_first_documents_only_are_read_for_a_limit():
    read = (document for document in [Document("a"), Document("b")])
    assert [one.text for one in choosing.chosen(read, Job(limit=1))] == ["a"]
    assert next(read).text == "b"


def test_chunks_of_no_documents():
    assert list(chunks([])) == []
    assert Chunk([]).entities == ()


def test_documents_of_a_slow_stream_are_not_kept_waiting():
    ready = iter([True, True, False, False, True])
    cut = chunks(documents(5), lambda: next(ready))
    assert [len(chunk.documents) for chunk in cut] == [3, 1, 1]
