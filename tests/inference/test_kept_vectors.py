"""Label vectors from disk are those that would be computed; what is wrong with the disk changes nothing."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gliner_cli.checkpoint.cache import located
from gliner_cli.checkpoint.folder import load
from gliner_cli.inference import kept_vectors
from gliner_cli.inference.extractor import Extractor
from gliner_cli.network.encoder import FromTransformers
from gliner_cli.options import Computing, Extraction
from gliner_cli.text.labels import labels
from gliner_cli.types import Document
from tests import tiny

NAMES = [f"{name} {i}" for i in range(14) for name in tiny.LABELS]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bi")
    return folder, load(located(str(tiny.checkpoint_folder(folder, labels_encoder="tiny"))))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept_vectors.folder() == tmp_path / "gliner" / "label-vectors"
    return kept_vectors.folder()


@pytest.fixture
def extractor(checkpoint, monkeypatch):
    """Its backend counts how often it computes labels."""
    made = Extractor(checkpoint[1])
    compute = made.backend.label_vectors
    made.computed = 0

    def counting(pieces, counts):
        made.computed += 1
        return compute(pieces, counts)

    monkeypatch.setattr(made.backend, "label_vectors", counting)
    return made


def vectors(extractor, names=NAMES):
    return extractor.plan(labels(names), Extraction()).label_vectors


def test_kept_and_equal(extractor, cache):
    once, again = vectors(extractor), vectors(extractor)
    assert extractor.computed == 1
    assert torch.equal(once, again)
    assert len(list(cache.iterdir())) == 1
    documents = [Document(text) for text in tiny.TEXTS]
    found = list(extractor.extract(documents, NAMES, threshold=0.3))
    (file,) = cache.iterdir()
    file.unlink()
    assert list(extractor.extract(documents, NAMES, threshold=0.3)) == found
    assert any(document.entities for document in found)


def test_few_labels_are_not_kept(extractor, cache):
    vectors(extractor, NAMES[: kept_vectors.LEAST_LABELS - 1])
    assert not cache.exists()
    vectors(extractor, NAMES[: kept_vectors.LEAST_LABELS])
    assert len(list(cache.iterdir())) == 1


def test_other_labels_weights_or_numbers_are_computed(extractor, checkpoint, cache):
    first = vectors(extractor)
    assert not torch.equal(vectors(extractor, NAMES[::-1]), first)
    parameter = next(p for p in extractor.backend.network.labels.parameters() if p.dim() == 1)
    with torch.no_grad():
        parameter += 0.5
    changed = vectors(extractor)
    with torch.no_grad():
        parameter -= 0.5
    assert extractor.computed == 3
    assert not torch.allclose(changed, first)
    half = Extractor(load(located(str(checkpoint[0]))), Computing(precision="bf16"))
    assert vectors(half).dtype == torch.bfloat16 == vectors(half).dtype
    assert len(list(cache.iterdir())) == 4


def test_other_code_or_another_machine_computes_again(extractor, cache, monkeypatch):
    vectors(extractor)
    config = extractor.checkpoint.config
    other = replace(config, labels_backbone={**config.labels_backbone, "hidden_act": "relu"})
    changes = [
        (kept_vectors, "__version__", "another"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "another"),
        (extractor, "checkpoint", replace(extractor.checkpoint, config=other)),
    ]
    for number, change in enumerate(changes):
        with monkeypatch.context() as changed:
            changed.setattr(*change)
            vectors(extractor)
            assert extractor.computed == number + 2, change
    vectors(extractor)
    assert extractor.computed == 4


class Theirs(FromTransformers):
    """Like an encoder of transformers, without one."""

    def __init__(self):
        nn.Module.__init__(self)
        self.layer = nn.Linear(2, 2)


@pytest.mark.parametrize(("encoder", "files"), [(nn.Sequential(nn.Linear(2, 2)), 1), (nn.Sequential(Theirs()), 2)])
def test_the_version_of_transformers_counts_where_it_computes(extractor, cache, monkeypatch, encoder, files):
    config = extractor.checkpoint.config
    made = torch.zeros(3, config.hidden_size)
    for version in ("5.0", "5.1"):
        monkeypatch.setattr(kept_vectors, "version", {"transformers": version}.__getitem__)
        kept_vectors.from_disk_or(lambda: made, torch.zeros(3, 1), torch.ones(3), encoder, config)
    assert len(list(cache.iterdir())) == files


@pytest.mark.parametrize("content", [b"", b"no safetensors", (3, 4), (len(NAMES), 4)])
def test_a_damaged_file_is_computed_again_and_mended(extractor, cache, content):
    expected = vectors(extractor)
    (file,) = cache.iterdir()
    if isinstance(content, tuple):
        save_file({"vectors": torch.zeros(content)}, file)
    else:
        file.write_bytes(content)
    assert torch.equal(vectors(extractor), expected)
    assert torch.equal(vectors(extractor), expected)
    assert extractor.computed == 2


def test_a_cache_that_cannot_be_written_changes_nothing(extractor, cache):
    cache.parent.write_text("a file where a folder should be")
    assert torch.equal(vectors(extractor), vectors(extractor))
    assert extractor.computed == 2


@pytest.mark.parametrize(("limit", "most"), [("_MOST_FILES", 2), ("_MOST_BYTES", 2.5)])
def test_the_latest_stay(extractor, cache, monkeypatch, limit, most):
    vectors(extractor, [*NAMES, "one more 0"])
    (first,) = cache.iterdir()
    monkeypatch.setattr(kept_vectors, limit, most if limit == "_MOST_FILES" else most * first.stat().st_size)
    for number in range(1, 4):
        vectors(extractor, [*NAMES, f"one more {number}"])
    assert len(list(cache.iterdir())) == 2
    assert not list(cache.glob("*.partial"))
    vectors(extractor, [*NAMES, "one more 3"])
    assert extractor.computed == 4


def test_two_threads_write_files_of_their_own(extractor, cache, monkeypatch):
    both, names = threading.Barrier(2, timeout=10), []

    def meeting(tensors, path):
        names.append(path)
        save_file(tensors, path)
        both.wait()

    monkeypatch.setattr(kept_vectors, "save_file", meeting)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: vectors(extractor), range(2))
    assert torch.equal(first, second)
    assert len(set(names)) == 2
    assert len(list(cache.iterdir())) == 1


def test_what_was_never_finished_goes_after_a_day(extractor, cache):
    cache.mkdir(parents=True)
    old, new = cache / "a.safetensors.1.2.partial", cache / "b.safetensors.3.4.partial"
    for file, hours in ((old, 25), (new, 23)):
        file.write_bytes(b"begun")
        os.utime(file, (time.time() - hours * 3600,) * 2)
    vectors(extractor)
    assert not old.exists()
    assert new.exists()
