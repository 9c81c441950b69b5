"""What all tests share: no network, no surprises, and the parity table at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")  # the machine may be busy; how long an example takes is not the question

os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_PARITY: list[tuple[str, float, int]] = []
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def parity_table() -> list[tuple[str, float, int]]:
    """Rows of (checkpoint, largest difference of a score, entities compared), printed when the run ends."""
    return _PARITY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with other people's data; tests that need it are skipped, by name, where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there")
    return SHARED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _PARITY:
        return
    terminalreporter.section("parity with the reference package: largest difference of a score, entities equal")
    for name, difference, found in _PARITY:
        terminalreporter.write_line(f"{difference:.1e}  {found:6d}  {name}")
