"""Tiny checkpoints that the tests of training begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests import tiny
from tests.training import toys


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny uni-encoder with the span head of most published checkpoints."""
    return tiny.checkpoint_folder(tmp_path_factory.mktemp("span"), num_rnn_layers=0)


@pytest.fixture(scope="session")
def bi_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bi-encoder."""
    return tiny.checkpoint_folder(tmp_path_factory.mktemp("bi"), num_rnn_layers=0, labels_encoder="x")


@pytest.fixture(scope="session")
def read_only(folder: Path) -> toys.Checkpoint:
    """That checkpoint, loaded once, for tests that change nothing in it."""
    return toys.checkpoint(folder)


@pytest.fixture
def checkpoint(folder: Path) -> toys.Checkpoint:
    """That checkpoint, to learn with."""
    return toys.checkpoint(folder)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums come in one order, whatever the machine."""
    torch.set_num_threads(1)
