"""The rules of the house, as tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gliner_cli

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gliner_cli"
ORDER = ["types", "errors", "options", "text", "formats", "network", "checkpoint", "inference", "jobs", "evaluation",
         "training", "serving", "cli"]  # fmt: skip
FIRST_LAYER = {
    "torch": "network",
    "transformers": "network",
    "huggingface_hub": "checkpoint",
    "typer": "cli",
    "rich": "cli",
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_a_part_imports_only_what_stands_to_its_left():
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part.startswith("_"):
            continue
        for name in imports(path):
            top, _, rest = name.partition(".")
            if top == "gliner_cli" and not rest.startswith("_"):
                assert ORDER.index(rest.split(".")[0]) <= ORDER.index(part), f"{path} imports {name}"
            if top in FIRST_LAYER:
                assert ORDER.index(FIRST_LAYER[top]) <= ORDER.index(part), f"{path} imports {name}"
            assert top not in ("gliner", "click"), f"{path} imports {name}"


def modules_after(code: str) -> set[str]:
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_help_and_usage_errors_load_nothing_heavy():
    heavy = {"torch", "transformers", "huggingface_hub", "numpy", "tokenizers"}
    for arguments in (["--help"], ["extract", "--help"], ["pull", "--help"], ["extract", "x.txt"]):
        code = f"sys.argv = ['gliner', *{arguments!r}]; from gliner_cli.cli.app import main; main()"
        assert not heavy & modules_after(code), arguments
    assert not heavy & modules_after("import gliner_cli")


def test_the_starter_needs_neither_transformers_nor_a_compiler():
    loaded = modules_after("import gliner_cli; gliner_cli.load()('Ada', ['person'])")
    assert "torch" in loaded
    assert not {"transformers", "torch._dynamo", "sympy"} & loaded


def test_public_names():
    for name in gliner_cli.__all__:
        assert getattr(gliner_cli, name) is not None


def test_the_newest_changelog_entry_is_this_version():
    newest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == gliner_cli.__version__


@pytest.mark.parametrize("command", ["extract", "bench", "finetune", "pull", "push", "models", "models verify"])
def test_every_command_is_in_the_readme_with_flags_that_exist(command):
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if f"gliner {command}" in line]
    shown = subprocess.run([sys.executable, "-m", "gliner_cli", *command.split(), "--help"], capture_output=True, text=True,
                           check=True, env={"COLUMNS": "200", "PATH": "", "NO_COLOR": "1", "TERM": "dumb"}).stdout  # fmt: skip
    assert lines
    for line in lines:
        asked = re.split(r"\s#|&&", next(part for part in line.split("&&") if f"gliner {command}" in part))[0]
        for flag in re.findall(r"--[a-z-]{3,}", asked):
            assert flag in shown, flag


def test_constraints_pin_every_dependency():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        assert re.split(r"[><=\[]", requirement)[0] in pinned, requirement
