"""`gliner doctor`: says what is there, finds what is broken, tells what to type."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata

import pytest

from gliner_cli.cli.doctor import doctor
from gliner_cli.evaluation import health, selftest

GLINER = [sys.executable, "-m", "gliner_cli"]


def test_a_sound_installation(tmp_path):
    """With an empty cache and no network: what a machine is like where nothing was ever pulled."""
    surroundings = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_TOKEN": "hf_secret"}
    surroundings.pop("GLINER_MODEL", None)
    done = subprocess.run([*GLINER, "doctor", "--json"], capture_output=True, text=True, check=False, env=surroundings)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    found = {finding["name"]: finding for finding in report["findings"]}
    assert report["well"] is True
    assert found["torch"]["said"] == metadata.version("torch")
    assert "sentences as they should be" in found["starter"]["said"]
    assert found["cache"]["said"].startswith(str(tmp_path))
    assert found["used"]["hint"] == "unset HF_HUB_OFFLINE"
    assert "hf_secret" not in done.stdout
    assert {finding["about"] for finding in report["findings"]} >= {"environment", "devices", "terminal", "self test"}


def test_another_answer_is_told():
    known = [list(row[2]) for row in selftest.KNOWN]
    assert selftest.differences(iter(map(tuple, known))) == []
    known[0][0] = ("Marie Curie", "person", known[0][0][2] - 0.0011)
    assert selftest.differences(iter(map(tuple, known))) == [
        f"'Marie Curie' has the score {known[0][0][2]:.4f}; it should have {selftest.KNOWN[0][2][0][2]:.4f}"
    ]
    known[1] = []
    assert "it found nothing; it should find Toyota (company)" in selftest.differences(iter(map(tuple, known)))[1]
    known[0][0] = ("Marie Curie", "person", float("nan"))
    assert len(selftest.differences(iter(map(tuple, known)))) == 2


def test_a_wrong_answer_is_broken_with_a_hint():
    finding = health._self_test(lambda: iter([(), (), ()]))
    assert (finding.state, finding.hint) == ("broken", "pip install --force-reinstall gliner-cli")


@pytest.mark.parametrize(
    ("said", "broken", "hint"), [("torch; libgomp.so.1 is not there", True, "torch"), (None, False, "")]
)
def test_a_package_that_does_not_load(monkeypatch, said, broken, hint):
    def importing(name):
        if said and name == "torch":
            raise OSError(said)

    monkeypatch.setattr(health, "import_module", importing)
    found = list(health._loaded())
    assert [finding.state == "broken" for finding in found] == ([True] if broken else [])
    assert all(hint in finding.hint and said in finding.said for finding in found)


def test_a_missing_requirement_is_broken_and_a_missing_extra_is_not(monkeypatch):
    requirements = ["torch>=2", "no-such-thing>=1", 'neither-this; extra == "more"', 'torch; extra == "some"',
                    'old; python_version < "3.0"']  # fmt: skip
    monkeypatch.setattr(health.metadata, "requires", lambda _: requirements)
    found = {finding.name: finding for finding in [*health._environment(), *health._extras()]}
    assert found["no-such-thing"].state == "broken"
    assert found["torch"].state == "fine"
    assert (found["more"].state, found["more"].hint) == ("fine", "pip install 'gliner-cli[more]'")
    assert found["some"].hint == ""
    assert "old" not in found


def test_a_chosen_model_that_is_not_there_is_broken():
    finding = health._chosen("someone/unknown")
    assert (finding.state, finding.hint) == ("broken", "Fetch it once: gliner pull someone/unknown")


@pytest.mark.parametrize(
    ("set_to", "shown"),
    [
        ("https://huggingface.example", "https://huggingface.example"),
        ("https://mara:hf_secret@mirror.example:8443/hf_secret?token=hf_secret#hf_secret", "https://mirror.example"),
        ("http://hf_secret@[::1]:80", "http://::1"),
        ("mara:hf_secret@mirror.example", "set"),
        ("hf_secret", "set"),
        ("https://hf_secret@[::1", "set"),
    ],
)
def test_an_endpoint_is_shown_without_what_is_secret_in_it(set_to, shown, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", set_to)
    monkeypatch.setattr(health, "findings", health._offline)
    for as_json in (True, False):
        doctor(as_json)
        said = capsys.readouterr().out
        assert "hf_secret" not in said
        assert "mara" not in said
    assert re.search(r"HF_ENDPOINT +(.*)", said)[1] == shown
