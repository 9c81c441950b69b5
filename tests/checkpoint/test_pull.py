"""`pull` against a real server that misbehaves as real ones do; what is on this machine afterwards, without it."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from gliner_cli.checkpoint import bundle, catalog, hub
from gliner_cli.checkpoint.folder import load
from gliner_cli.errors import CheckpointError, GlinerError, HubError, OutputError, UnsupportedError
from tests import tiny
from tests.checkpoint.hub_server import Hub, serving

NAME, BACKBONE, LABELS = "someone/gliner_tiny", "microsoft/tiny-backbone", "someone/tiny-labels"
SECRET = "hf_thisIsNobodysToken"
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def this_machine_only(monkeypatch):
    """Whoever asks for another host fails at once."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a test asked for {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    """A checkpoint that leaves tokenizer and encoder configuration to its backbone's repository, as urchade's do."""
    folder = tiny.checkpoint_folder(tmp_path_factory.mktemp("tiny"), "deberta-v2")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    config = json.loads(files.pop("gliner_config.json"))
    encoder = config.pop("encoder_config")
    config = {**config, "model_name": BACKBONE, "encoder_config": None}
    own = {"gliner_config.json": json.dumps(config).encode(), WEIGHTS: files.pop(WEIGHTS), "LICENSE-2.0": b"law",
           "README.md": b"---\nlicense: apache-2.0\n---\n# card", "onnx/model.onnx": b"o" * 20_000,
           "pytorch_model.bin": b"p" * 20_000, "model.fp16.safetensors": b"h" * 20_000,
           "../evil": b"x", "/etc/evil": b"x", "C:\\evil": b"x", "LICENSE/../../evil": b"x",
           "LICENSE\\..\\evil": b"x", "NOTICE\x1b[31m": b"x"}  # fmt: skip
    backbone = {"config.json": json.dumps(encoder).encode(), "pytorch_model.bin": b"w" * 20_000, **files}
    return {NAME: own, BACKBONE: backbone}


@pytest.fixture
def server(repositories, tmp_path, monkeypatch) -> Iterator[Hub]:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    for name, value in {
        "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path), "HF_TOKEN_PATH": str(tmp_path / "token"),
        "HF_HUB_DISABLE_XET": True, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_TELEMETRY": True,
    }.items():  # fmt: skip
        monkeypatch.setattr(constants, name, value)
    with serving(Hub({name: dict(files) for name, files in repositories.items()})) as running:
        at(running.url, monkeypatch)
        yield running
    close_session()


def at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def configured(server: Hub, name: str = NAME, **fields: Any) -> None:
    """Change a checkpoint's configuration on the hub."""
    files = server.repositories[name]
    files["gliner_config.json"] = json.dumps({**json.loads(files["gliner_config.json"]), **fields}).encode()


def said(call: Callable[[], Any]) -> GlinerError:
    with pytest.raises(GlinerError) as caught:
        call()
    assert SECRET not in str(caught.value)
    return caught.value


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


# --- What is fetched -----------------------------------------------------------------------------------------------


def test_everything_that_is_needed_and_nothing_else(server, tmp_path):
    pulled = hub.pull(f"{NAME}@main")
    assert (pulled.place.name, pulled.place.commit, pulled.licence) == (NAME, server.commit(NAME), "apache-2.0")
    assert server.got(NAME) == ["gliner_config.json", "LICENSE-2.0", "README.md", WEIGHTS]
    assert server.got(BACKBONE) == ["config.json", "tokenizer.json", "tokenizer_config.json"]
    assert server.got()[-1] == WEIGHTS, "what takes the time comes when all else is there"
    assert server.revisions == {server.commit(NAME), server.commit(BACKBONE)}, "every file at the one commit"
    assert not list(tmp_path.rglob("*evil*"))


def test_a_second_pull_fetches_nothing(server):
    first = hub.pull(NAME)
    server.sent.clear()
    assert hub.pull(NAME).files == first.files
    assert server.got() == []


@pytest.mark.parametrize("name", [f"{NAME}@v1", NAME])
def test_offline_afterwards(server, monkeypatch, name):
    server.tags["v1"] = server.commit(NAME)
    pulled = hub.pull(name)
    assert pulled.reference == name
    at("http://127.0.0.1:9", monkeypatch)  # nobody listens there
    for reference in (pulled.reference, f"{NAME}@{pulled.place.commit}"):
        assert load(hub.located(reference)).network is not None
    assert hub.located(NAME, pulled.place.commit) == hub.located(f"{NAME}@{pulled.place.commit}")
    assert list(bundle.problems(hub.located(name))) == []


def test_a_checkpoint_that_has_everything_needs_no_other_repository(server, repositories):
    configured(server, encoder_config=json.loads(repositories[BACKBONE]["config.json"]))
    server.repositories[NAME]["tokenizer.json"] = repositories[BACKBONE]["tokenizer.json"]
    assert hub.pull(NAME).place.backbone is None
    assert {name for _, name, _, _ in server.sent} == {NAME}


def test_a_bi_encoder_has_two_backbones(server, repositories, tmp_path):
    configured(server, labels_encoder=LABELS)
    server.repositories[LABELS] = {
        "config.json": b'{"model_type": "bert"}',
        "vocab.txt": b"[UNK]",
        WEIGHTS: b"w" * 20_000,
    }
    pulled = hub.pull(NAME)
    assert server.got(LABELS) == ["config.json", "vocab.txt"]
    assert {"backbone/tokenizer.json", "labels_backbone/vocab.txt"} <= pulled.files.keys()
    place = hub.located(str(bundle.bundle(pulled, tmp_path / "b")))
    assert [path and path.name for path in (place.backbone, place.labels_backbone)] == ["backbone", "labels_backbone"]
    server.repositories[NAME]["labels_tokenizer/vocab.txt"] = b"[UNK]"
    server.sent.clear()
    assert "labels_tokenizer/vocab.txt" in hub.pull(NAME).files
    assert server.got(LABELS) == []  # its config.json is here already, and no more is needed


def test_weights_in_the_oldest_layout(server):
    files = server.repositories[NAME]
    files["gliner_base.pt"] = files.pop(WEIGHTS)
    del files["pytorch_model.bin"]
    assert "gliner_base.pt" in hub.pull(NAME).files


def test_a_backbone_that_moves_on_takes_nothing_from_an_older_checkpoint(server, repositories):
    first = hub.pull(NAME)
    server.repositories[BACKBONE]["README.md"] = b"new"
    server.repositories["someone/other"] = dict(repositories[NAME]) | {
        "tokenizer.json": repositories[BACKBONE]["tokenizer.json"]
    }
    second = hub.pull("someone/other")  # needs only config.json of the newer commit
    assert second.place.backbone != first.place.backbone
    for name, place in ((NAME, first.place), ("someone/other", second.place)):
        assert hub.located(name) == place
        assert load(place).tokenizer is not None


def test_what_works_without_network_survives_an_update_that_fails(server):
    old = hub.pull(NAME).place
    server.repositories[NAME][WEIGHTS] = random.Random(1).randbytes(20_000)
    server.faults = {f"GET {WEIGHTS}": [404]}
    assert isinstance(said(lambda: hub.pull(NAME)), HubError)
    assert hub.located(NAME) == old
    assert hub.pull(NAME).place.commit == server.commit(NAME) == hub.located(NAME).commit != old.commit


# --- What is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"relations_layer": "x"}, "relation"), ({"labels_decoder": "gpt2"}, "decoder"), ({"post_fusion_schema": "l2l"}, "poly"),
     ({"model_type": "gliner_streaming_span"}, "streaming"), ({"span_mode": "new"}, "span_mode"),
     ({"encoder_config": {"model_type": "llama"}}, "generative")],
)  # fmt: skip
def test_what_we_cannot_run_is_refused_before_its_weights(server, fields, name):
    configured(server, **fields)
    with pytest.raises(UnsupportedError, match=name):
        hub.pull(NAME)
    assert server.got() == ["gliner_config.json"]


def test_gliner2_is_refused_by_name(server):
    server.repositories["x/two"] = {"config.json": b'{"model_type": "extractor"}', WEIGHTS: b"w"}
    with pytest.raises(UnsupportedError, match="GLiNER2"):
        hub.pull("x/two")
    assert server.got() == ["config.json"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"config.json": b'{"model_type": "bert"}', WEIGHTS: b"w"},
            "no GLiNER checkpoint: it has no gliner_config.json",
        ),
        ({"gliner_config.json": b"{}", "README.md": b""}, "x/other has no weights"),
        ({"gliner_config.json": b"{", WEIGHTS: b"w"}, "cannot be read as JSON"),
        ({"gliner_config.json": b"[]", WEIGHTS: b"w"}, "holds a list"),
        ({"gliner_config.json": b'{"model_name": "/home/me/deberta"}', WEIGHTS: b"w"}, "on its author's machine"),
        (
            {"gliner_config.json": b'{"model_name": "gone/away"}', WEIGHTS: b"w"},
            "its backbone gone/away: The hub knows no",
        ),
        ({"gliner_config.json": b'{"model_name": "x/other"}', WEIGHTS: b"w"}, "it has no config.json"),
    ],
)
def test_what_is_no_whole_checkpoint(server, files, message):
    server.repositories["x/other"] = files
    assert message in said(lambda: hub.pull("x/other")).message
    assert WEIGHTS not in server.got()


def test_names_that_are_none(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("folder").mkdir()
    assert "is a file" in said(lambda: hub.located("file")).message
    assert "no revision v1" in said(lambda: hub.located("folder", "v1")).message
    for name in ("./nowhere", "/no/where", "nowhere", "a/b/c", "~/x", "a b/c", "a/..", "gliner_small-v2.1", "\0"):
        error = said(lambda name=name: hub.located(name))
        assert isinstance(error, CheckpointError)
        assert error.message == f"There is no folder {name}, and it is no hub id like owner/name."
    assert said(lambda: hub.located("gliner_small-v2.1")).hint == "Did you mean urchade/gliner_small-v2.1?"
    assert "no hub id" in said(lambda: hub.pull("folder")).message
    assert "Two revisions" in said(lambda: hub.pull(f"{NAME}@a", "b")).message
    assert "Two revisions" in said(lambda: hub.located(f"{NAME}@a", "b")).message
    assert server.sent == []


def test_a_folder_of_the_same_name_does_not_stand_in_for_the_hub(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(NAME).mkdir(parents=True)
    assert hub.pull(NAME).place.commit == server.commit(NAME)


def test_nothing_was_pulled(server):
    for reference in (NAME, f"{NAME}@v1"):
        error = said(lambda reference=reference: hub.located(reference))
        assert error.message == f"{reference} is not on this machine, as a folder or pulled."
        assert error.hint == f"Fetch it once: gliner pull {reference}"
    assert server.sent == []


def test_only_a_part_was_pulled(server):
    place = hub.pull(NAME).place
    for path, what in (
        (place.folder / WEIGHTS, "its weights"),
        (place.backbone / "tokenizer.json", f"the tokenizer of {BACKBONE}"),
        (place.backbone / "config.json", f"the configuration of {BACKBONE}"),
    ):
        path.unlink()
        error = said(lambda: hub.located(NAME))
        assert what in error.message
        assert error.hint == f"Fetch the rest: gliner pull {NAME}"
    hub.pull(NAME)
    assert hub.located(NAME) == place


# --- A hub, a network and a disk as they are -----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [429, 500, 503])
def test_a_busy_hub_is_asked_again(server, fault):
    server.faults = {f"GET {WEIGHTS}": [fault] * 2, "GET api": [fault], "HEAD README.md": [fault]}
    assert hub.pull(NAME).files[WEIGHTS] > 0
    assert not any(server.faults.values())


@pytest.mark.parametrize(("fault", "message"), [(429, "asked too often (HTTP 429)"), (500, "in trouble (HTTP 500)")])
@pytest.mark.parametrize("what", ["GET api", f"GET {WEIGHTS}", f"HEAD {WEIGHTS}"])
def test_but_not_for_ever(server, what, fault, message):
    server.faults = {what: [fault] * 100}
    assert message in said(lambda: hub.pull(NAME)).message
    assert len(server.sent) < 100


def test_a_cut_connection_is_resumed(server, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # written chunk by chunk: what came is kept
    server.faults = {f"GET {WEIGHTS}": ["cut"]}
    pulled = hub.pull(NAME)
    begins = [begin for method, _, file, begin in server.sent if method == "GET" and file == WEIGHTS]
    assert len(begins) == 2
    assert begins[0] == 0
    assert begins[1] >= pulled.files[WEIGHTS] // 2 - 1024, "the second half only"
    assert list(bundle.problems(pulled.place)) == []


def test_a_connection_that_is_cut_again_and_again(server, tmp_path):
    server.faults = {f"GET {WEIGHTS}": ["cut"] * 100}
    error = said(lambda: hub.pull(NAME))
    assert "does not answer" in error.message
    assert "complete are kept" in error.hint
    server.faults, server.sent = {}, []
    assert hub.pull(NAME)
    assert server.got() == [WEIGHTS]


@pytest.mark.parametrize("file", [WEIGHTS, "README.md"])
def test_other_content_than_stated_is_an_error(server, file):
    server.faults = {f"GET {file}": ["other content"]}
    assert "not what the hub says" in said(lambda: hub.pull(NAME)).message
    pulled = hub.pull(NAME)  # the bad file is gone
    assert list(bundle.problems(pulled.place)) == []


def test_a_file_gone_bad_on_this_disk_is_fetched_again(server):
    place = hub.pull(NAME).place
    flip(place.folder / WEIGHTS)
    (problem,) = bundle.problems(place)
    assert problem == f"changed: {WEIGHTS} has another SHA-256"
    heard: list[hub.Fetching] = []
    hub.pull(NAME, say=heard.append)
    assert [(told.file, told.again) for told in heard] == [(WEIGHTS, True)]
    assert list(bundle.problems(place)) == []


def test_refusals_are_told_apart(server):
    typo = said(lambda: hub.pull("urchade/gliner_smal-v2.1"))
    assert "knows no urchade/gliner_smal-v2.1" in typo.message
    assert typo.hint.startswith("Did you mean urchade/gliner_small-v2.1?")
    assert "no such revision" in said(lambda: hub.pull(f"{NAME}@v9")).message
    for status in (401, 403):
        server.locked = {NAME: status}
        gated = said(lambda: hub.pull(NAME))
        assert f"{NAME} is gated" in gated.message
        assert f"{server.url}/{NAME}" in gated.hint
        assert "hf auth login" in gated.hint
    server.locked = {BACKBONE: 401}
    assert f"{NAME} needs files of its backbone {BACKBONE}: {BACKBONE} is gated" in said(lambda: hub.pull(NAME)).message
    server.locked = {}
    for status, message in ((401, "wants a login that it accepts"), (403, "forbids it"), (404, "does not have it")):
        server.faults = {"GET api": [status]}
        assert message in said(lambda: hub.pull(NAME)).message
    server.faults = {f"HEAD {WEIGHTS}": [403]}
    assert "forbids it (HTTP 403)" in said(lambda: hub.pull(NAME)).message


def test_no_network(server, monkeypatch):
    at("http://127.0.0.1:9", monkeypatch)
    error = said(lambda: hub.pull(NAME))
    assert error.message == "The hub at http://127.0.0.1:9 does not answer (ConnectError)."
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "switched off" in said(lambda: hub.pull(NAME)).message


def test_the_login_page_of_a_hotel(server, monkeypatch):
    server.faults = {"GET api": ["html"]}
    assert "is no Hugging Face hub" in said(lambda: hub.pull(NAME)).message
    for url in ("", "hub", "file:///hub"):
        at(url, monkeypatch)
        assert "HF_ENDPOINT" in said(lambda: hub.pull(NAME)).hint


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "small disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("only root can make a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(server, small_disk, monkeypatch, tmp_path):
    server.repositories[NAME][WEIGHTS] = random.Random(0).randbytes(2_000_000)
    pulled = hub.pull(NAME)
    error = said(lambda: bundle.bundle(pulled, small_disk / "b"))
    assert isinstance(error, OutputError)
    assert "No space left" in error.message
    assert not any(small_disk.iterdir())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(small_disk))
    assert said(lambda: hub.pull(NAME)).message.startswith("The disk is full")
    assert "its weights" in bundle.local_checkpoints()[0].state
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    assert hub.located(NAME) == pulled.place


def test_a_disk_that_cannot_be_written(server, small_disk, monkeypatch):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(small_disk))
    assert "cannot be written" in said(lambda: hub.pull(NAME)).message


# --- Self-contained folders ----------------------------------------------------------------------------------------


def test_a_bundle_is_whole_by_itself_and_verified(server, tmp_path, monkeypatch):
    pulled = hub.pull(NAME)
    folder = bundle.bundle(pulled, tmp_path / "new" / "bundle")
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
    about = json.loads((folder / bundle.MANIFEST).read_text())
    assert (about["name"], about["commit"], about["licence"]) == (NAME, server.commit(NAME), "apache-2.0")
    assert about["sources"] == {"backbone": f"{BACKBONE}@{server.commit(BACKBONE)}"}
    assert about["files"].keys() == pulled.files.keys()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "another machine"))
    place = hub.located(str(folder))
    assert load(place).tokenizer is not None
    assert list(bundle.problems(place)) == []


def test_what_happens_to_a_bundle_is_found(server, tmp_path):
    folder = bundle.bundle(hub.pull(NAME), tmp_path / "bundle")
    place = hub.located(str(folder))
    flip(folder / WEIGHTS)
    (folder / "README.md").unlink()
    (folder / "LICENSE-2.0").write_bytes(b"other law")
    (folder / "backbone" / "spm.model").write_bytes(b"x")
    (folder / "gliner.pt").write_bytes(b"x")
    (folder / "notes.txt").write_text("mine")
    assert sorted(bundle.problems(place)) == [
        "changed: LICENSE-2.0 has 9 bytes, expected 3",
        f"changed: {WEIGHTS} has another SHA-256",
        "missing: README.md",
        "unexpected: backbone/spm.model is not in the manifest",
        "unexpected: gliner.pt is not in the manifest",
    ]
    (folder / WEIGHTS).unlink()
    assert f"missing: {WEIGHTS}" in bundle.problems(place)


@pytest.mark.parametrize(
    "manifest", ["{", "[]", '{"files": {}}', '{"files": {"../../etc/passwd": {"size": 1, "sha256": "00"}}}', '{"files": 3}']
)  # fmt: skip
def test_a_manifest_that_is_none(server, tmp_path, manifest):
    folder = bundle.bundle(hub.pull(NAME), tmp_path / "bundle")
    (folder / bundle.MANIFEST).write_text(manifest)
    assert list(bundle.problems(hub.located(str(folder)))) == [f"changed: {bundle.MANIFEST} is damaged"]


def test_a_bundle_never_replaces_what_is_not_ours(server, tmp_path, monkeypatch):
    pulled = hub.pull(NAME)
    mine = tmp_path / "mine"
    mine.mkdir()
    bundle.bundle(pulled, mine)
    (mine / "README.md").write_text("changed")
    bundle.bundle(pulled, mine)  # an older bundle is replaced
    assert list(bundle.problems(hub.located(str(mine)))) == []
    (mine / "thesis.txt").write_text("years")
    assert "thesis.txt" in said(lambda: bundle.bundle(pulled, mine)).message
    (mine / bundle.MANIFEST).unlink()
    assert isinstance(said(lambda: bundle.bundle(pulled, mine)), OutputError)
    assert (mine / "thesis.txt").read_text() == "years"
    assert "is a file" in said(lambda: bundle.bundle(pulled, mine / "thesis.txt")).message
    monkeypatch.chdir(mine)
    assert "folder we are in" in said(lambda: bundle.bundle(pulled, Path())).message


# --- What is here --------------------------------------------------------------------------------------------------


def test_what_cannot_be_checked_is_not_called_whole(server, tmp_path):
    place = hub.pull(NAME).place
    readme = place.folder / "README.md"
    content = readme.read_bytes()
    readme.unlink()
    readme.write_bytes(content)  # as on systems without links
    (problem,) = bundle.problems(place)
    assert problem.startswith("unknown: README.md")
    (place.folder / WEIGHTS).resolve().unlink()
    assert f"missing: {WEIGHTS}" in bundle.problems(place)
    (tmp_path / "bare").mkdir()
    bare = hub.located(str(tmp_path / "bare"))
    assert [line.partition(":")[0] for line in bundle.problems(bare)] == ["unknown", "missing"]


def test_a_cache_with_contents_shared_between_repositories(server, tmp_path):
    """Newer clients link a file to its blob, named by its SHA-256, and that to a store with names of another kind."""
    place = hub.pull(NAME).place
    blob = (place.folder / WEIGHTS).resolve()
    store = tmp_path / "cache" / "blobs" / "ab" / ("ab" * 32)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(os.path.relpath(store, blob.parent))
    assert list(bundle.problems(place)) == []
    flip(store)
    assert list(bundle.problems(place)) == [f"changed: {WEIGHTS} has another SHA-256"]
    hub.pull(NAME)
    assert list(bundle.problems(place)) == []


def test_local_checkpoints(server):
    assert bundle.local_checkpoints() == []
    server.tags["v1"] = old = server.commit(NAME)
    hub.pull(f"{NAME}@v1")
    server.repositories[NAME]["README.md"] = b"# no licence"
    place = hub.pull(NAME).place
    assert {(local.reference, local.commit, local.licence, local.state) for local in bundle.local_checkpoints()} == {
        (f"{NAME}@v1", old, "apache-2.0", "complete"), (NAME, place.commit, None, "complete"),
    }  # fmt: skip
    local = bundle.local_checkpoints()[0]
    assert local.kind == "uni-encoder span (markerV0)"
    assert local.size > 10_000
    (place.folder / "gliner_config.json").unlink()
    (place.folder / "gliner_config.json").write_text('{"relations_layer": "x"}')
    assert any("relation" in local.state for local in bundle.local_checkpoints())
    (place.folder / WEIGHTS).unlink()
    assert [local.commit for local in bundle.local_checkpoints()] == [old], "refused, so it is not here"


def test_the_catalogue():
    names = [known.name for known in catalog.CATALOG]
    assert len(set(names)) == len(names)
    for known in catalog.CATALOG:
        assert known.name.count("/") == 1
        assert (known.f1 is None) == (known.f1_source is None), "a figure without a source is none"
        assert known.size is None or known.size > 1_000_000
    assert catalog.suggestion("Urchade/GLiNER_medium-v21") == "Did you mean urchade/gliner_medium-v2.1?"
    assert catalog.suggestion("somebody/elses") == "See `gliner models` for known names."


# --- The commands --------------------------------------------------------------------------------------------------


@pytest.fixture
def gliner(server, monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    from gliner_cli.cli.app import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["gliner", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        return (int(left.value.code or 0), *capfd.readouterr())

    return run


def test_the_command_pull(server, gliner, tmp_path):
    server.tags["v1"] = commit = server.commit(NAME)
    code, out, err = gliner("pull", NAME, "--revision", "v1")
    assert code == 0
    for line in (f"{NAME} at {commit}", "kind     uni-encoder span (markerV0)", "licence  apache-2.0",
                 f"backbone/ from {BACKBONE}@{server.commit(BACKBONE)}", f"gliner extract FILE -l person -m {NAME}@v1"):  # fmt: skip
        assert line in out
    assert f"gliner: {NAME}: {WEIGHTS}" in err
    assert "\r" not in err, "bars are for terminals"
    code, out, err = gliner("pull", NAME, "--to", str(tmp_path / "my bundle"))
    assert err == "", "all is here already"
    assert out.endswith(f"-m '{tmp_path / 'my bundle'}'\n")
    code, out, err = gliner("pull", "someone/gone")
    assert (code, out) == (1, "")
    assert "knows no someone/gone" in err
    assert SECRET not in err


def test_the_command_models(server, gliner):
    hub.pull(NAME)
    code, out, err = gliner("models")
    rows = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [row[:2] for row in rows[:3]] == [["name", "here"], ["(built in)", "complete"], [NAME, "complete"]]
    assert len(rows) == 3 + len(catalog.CATALOG)


def test_the_command_verify(server, gliner, tmp_path):
    place = hub.pull(NAME).place
    assert gliner("models", "verify", NAME)[:2] == (0, f"{NAME}: OK\n")
    flip(place.folder / WEIGHTS)
    assert gliner("models", "verify", NAME)[:2] == (1, f"{NAME}: changed: {WEIGHTS} has another SHA-256\n")
    code, out, err = gliner("models", "verify", "someone/gone")
    assert (code, out) == (1, "")
    assert "gliner pull someone/gone" in err
