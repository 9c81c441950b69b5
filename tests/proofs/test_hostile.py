"""Files made to do harm, and files that harm was done to: no traceback, no hang, bounded memory, nothing executed.

HOSTILE sets the number of mutated files, SEED their chance. All are read in a process of its own, see `reader`.
"""

import bz2
import gzip
import json
import lzma
import os
import pickle
import random
import re
import sqlite3
import struct
import subprocess
import sys
import zipfile
import zlib
from collections import Counter
from encodings.aliases import aliases

import pytest

from gliner_cli import formats
from gliner_cli.formats.compression import compression
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity
from tests.proofs.fake_job import COMMAND, ROOT, Nursery
from tests.proofs.mutants import READERS, SECRET, bad, mutants, mutated, read_all, seeds, shown

pytestmark = pytest.mark.slow

HOSTILE, SEED = int(os.environ.get("HOSTILE", "2000")), int(os.environ.get("SEED", "1"))
LIGHT = (
    "text",
    "jsonl",
    "json",
    "conll",
    "csv",
    "tsv",
    "rows",
    "label-studio",
    "doccano",
    "prodigy",
    "sqlite",
    "parquet",
    "brat",
)


@pytest.fixture(scope="module", autouse=True)
def _no_reader_is_left():
    yield
    READERS.end()


# Files that harm was done to


def prove_mutants(tmp_path, names, count):
    made = seeds(tmp_path / "seeds", names)
    whole = read_all([(path, name, {}) for name, path in made.items()])
    assert all(one["documents"] and not one["raised"] for one in whole), whole
    cases = list(mutants(tmp_path, made, count, random.Random(SEED)))
    results = read_all(cases)
    assert len(results) == count
    slowest = max(results, key=lambda one: one.get("seconds", 0))
    told = Counter("told" if one["said"] else "read" for one in results)
    print(
        f"seed {SEED}: {count} files, {dict(told)}; the slowest took {slowest.get('seconds', 0):.2f} s: {slowest['path']}"
    )
    assert told["told"] > count / 4
    assert not bad(results), shown(bad(results))


def test_mutated_files_of_light_formats(tmp_path):
    prove_mutants(tmp_path, LIGHT, 130)


def test_mutated_files_of_every_format(tmp_path):
    names = [name for name, form in formats.FORMATS.items() if form.read]
    prove_mutants(tmp_path, names, HOSTILE)


def test_exit_codes_of_mutated_files(tmp_path):
    """1 where something is said, 0 where all is well; never anything else."""
    made = seeds(tmp_path / "seeds", LIGHT)
    said = tmp_path / "said"
    codes = Counter()
    with Nursery(said) as nursery:
        for path, form, _ in mutants(tmp_path, made, int(os.environ.get("EXITS", "26")), random.Random(SEED + 1)):
            before = said.stat().st_size
            arguments = [
                "extract",
                path,
                "--from",
                form,
                "-l",
                "name",
                "-o",
                tmp_path / "o.jsonl",
                "--on-error",
                "report",
            ]
            code = nursery.run(arguments, {}).code
            told = said.read_bytes()[before:].decode(errors="replace")
            assert "Traceback" not in told, told
            assert "\x1b" not in told, told
            assert code == int("error:" in told), f"{path}: {code} {told}"
            codes[code] += 1
            (tmp_path / "o.jsonl.journal").unlink(missing_ok=True)
    assert codes.keys() == {0, 1}


# Archives

PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": None}


def packed(suffix, content):
    if PACKED[suffix]:
        return PACKED[suffix](content)
    return pytest.importorskip("backports.zstd" if sys.version_info < (3, 14) else "compression.zstd").compress(content)


@pytest.mark.parametrize("suffix", PACKED)
def test_truncated_and_broken_archives(tmp_path, suffix):
    assert compression(f"a{suffix}")
    content = packed(
        suffix, "".join(json.dumps({"id": f"d{i}", "text": f"Mara {i}"}) + "\n" for i in range(3000)).encode()
    )
    cut = [content[:size] for size in (1, 5, 11, len(content) // 2, len(content) - 5, len(content) - 1)]
    chance = random.Random(SEED)
    broken = cut + [mutated(content, chance) for _ in range(10)] + [b"", b"not packed at all", content + b"behind it"]
    paths = [tmp_path / f"{number}.jsonl{suffix}" for number in range(len(broken))]
    for path, one in zip(paths, broken, strict=True):
        path.write_bytes(one)
    results = read_all([(path, "auto", {}) for path in paths])
    assert not bad(results), shown(bad(results))
    for one in results[: len(cut)]:
        assert "is not a whole" in one["said"][0], one


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize(
    "name", ["a.txt", "a.jsonl", "a.json", "a.csv", "a.conll", "a.html", "a.db", "a.parquet", "a.ann"]
)
def test_bombs(tmp_path, suffix, name):
    """3 GB of one character, in some kilobytes."""
    (tmp_path / "a.txt").write_text("x")
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(packed(suffix, b'"' * (1 << 24)) * 192)
    (result,) = read_all([(path, "auto", {})])
    assert not bad([result]), shown([result])
    assert "more than" in result["said"][0] or "No space" in result["said"][0], result


# Text


def test_deep_and_huge_json(tmp_path):
    nasty = {
        "brackets": "[" * 2_000_000, "objects": '{"a":' * 500_000, "closed": "[" * 100_000 + "]" * 100_000,
        "deep text": '{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "deep meta": '{"text": "x", "m": ' + "[" * 5000 + "]" * 5000 + "}",
        "digits": '{"text": "x", "n": ' + "9" * 1_000_000 + "}", "exponent": '{"text": "x", "n": 1e999999999}', "nan": '{"text": NaN}',
        "surrogates": '{"text": "\\ud800 \\udfff"}', "escape": '{"text": "\\', "nul": '{"text": "\\u0000"}\0', "twice": '{"text": 1, "text": "x"}',
        "places": '{"text": "x", "entities": [{"start": -1, "end": 99999999999999999999, "label": "a"}]}',
        "kinds": '{"text": {"text": []}, "entities": {"a": 1}}', "long": '{"text": "' + "x" * (70 << 20) + '"}',
        "objects in one": '{"text": "x", "m": [' + '{"":0},' * 9_000_000 + "0]}", "keys": "{" + ",".join(f'"{i}": 1' for i in range(200_000)) + "}", "tokens": '{"tokenized_text": [1], "ner": [[0, 0, "x"]]}',
    }  # fmt: skip
    cases = []
    for name, content in nasty.items():
        for suffix in ("json", "jsonl"):
            path = tmp_path / f"{name}.{suffix}"
            path.write_text(content)
            cases.append((path, "auto", {}))
    results = read_all(cases)
    assert not bad(results), shown(bad(results))


def test_every_encoding_there_is_on_bytes_that_are_not_in_it(tmp_path):
    chance = random.Random(SEED)
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    files[0].write_bytes(bytes(range(256)))
    files[1].write_bytes("Ada in Québec, Łódź, 東京".encode("utf-16"))
    files[2].write_bytes(chance.randbytes(1000))
    encodings = sorted({*aliases.values(), *aliases, "auto", "undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape",
                        "utf-8-sig", "oem", "none", "", "\0", "../x", "x" * 5000})  # fmt: skip
    cases = [(path, "text", {"encoding": encoding}) for encoding in encodings for path in files]
    results = read_all(cases)
    assert not bad(results), shown(bad(results))


FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http://x","y")',
    "=1",
    "＝1",
]


def test_formulas_are_not_run_by_who_opens_the_table_for_people(tmp_path):
    import csv

    given = [
        Document(text, text, text, (Entity(0, len(text), text, text, 0.5),), {text: text for text in FORMULAS})
        for text in FORMULAS
    ]
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        path = tmp_path / f"o.{suffix}"
        formats.write(given, Writing(output=path, long=True))
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file, delimiter=delimiter) for cell in row]
        assert len(cells) > len(FORMULAS) ** 2
        assert [
            cell for cell in cells if re.match(r"[=+\-@\t\r]", cell) and not re.fullmatch(r"[+-]?[\d.]+", cell)
        ] == []


SCRIPTS = ["<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"><svg onload=alert(1)>",
           "' onmouseover='alert(1)", "</title></style></textarea><iframe src=javascript:alert(1)>", "<!--", "-->", "]]>", "&lt;b&gt;",
           "javascript:alert(1)", "\u2028\u2029", "<\0script>alert(1)</script>", "{{7*7}}", "${7*7}", "</mark></div></article>", "\ud800<b>"]  # fmt: skip


def test_scripts_in_texts_labels_and_fields_stay_text_on_the_page(tmp_path):
    parser = pytest.importorskip("selectolax.lexbor").LexborHTMLParser
    given = [
        Document(
            f"{text} and {text}", text, f"other {text}",
            (Entity(0, len(text), text, text, 0.5), Entity(0, max(1, len(text) - 1), f"2{text}", text[:-1] or text, None)), {text: [text, {text: text}]},
        )
        for text in SCRIPTS
    ]  # fmt: skip
    path = tmp_path / "o.html"
    formats.write(given, Writing(output=path))
    page = parser(path.read_text())
    plain = [Document("Mara and Mara", "a", "b", (Entity(0, 4, "x", "Mara", 0.5),), {"c": "d"})]
    formats.write(plain, Writing(output=tmp_path / "plain.html"))
    other = parser((tmp_path / "plain.html").read_text())
    assert tags(page) - {"i"} == tags(other) - {"i"}  # <i> shows what cannot be seen
    assert len(page.css("script")) == len(other.css("script"))
    assert len(page.css("article")) == len(given)
    allowed = {name for node in other.css("*") for name in node.attributes} | {"title"}
    found = {name for node in page.css("*") for name in node.attributes}
    assert {name for name in found if not name.startswith("data-")} <= allowed
    for node, document in zip(page.css("article .text"), given, strict=True):
        for text in ("alert(1)", "&lt;b&gt;"):
            assert node.text().count(text) >= document.text.count(text)


def tags(page):
    return {node.tag for node in page.css("*")}


# Folders, archives and databases made to do harm


def test_special_files_in_a_folder(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.txt").write_text("Ada")
    (folder / "loop").symlink_to(folder)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    (folder / "endless.txt").symlink_to("/dev/zero")
    (folder / "random.jsonl").symlink_to("/dev/urandom")
    (folder / "folder.txt").mkdir()
    os.mkfifo(folder / "pipe.txt")
    os.mkfifo(folder / "pipe.jsonl")
    (result,) = read_all([(folder, "auto", {})])
    assert not bad([result]), shown([result])
    assert result["documents"] == 1
    assert len(result["said"]) >= 2, result


def test_names_that_steer_a_terminal_are_shown_and_not_obeyed(tmp_path):
    name = tmp_path / "a\x1b[2J\x1b]0;owned\x07\r.jsonl"
    name.write_bytes(b'{"text": "\x1b[31m\x07", "entities": 3}\n\xff\x1b[2J\n')
    done = subprocess.run([*COMMAND, "extract", name, "-l", "name", "-o", tmp_path / "o.jsonl"], cwd=ROOT, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 1
    assert not set("\x1b\x07\r") & set(done.stderr), done.stderr


def docx(path, document=None, **parts):
    """An archive of Word with one part replaced, or more added."""
    library = pytest.importorskip("docx")
    library.Document().save(str(path))
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    if document is not None:
        content["word/document.xml"] = document
    content.update(parts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, one in content.items():
            archive.writestr(name, one)
    return path


WORD = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:body></w:document>'


def test_documents_that_reach_outside(tmp_path):
    """External entities, entities that grow, names that lead out of an archive or a folder, links of pages."""
    secret = tmp_path / "secret.txt"
    secret.write_text(SECRET)
    entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>'.encode()
    laughs = (
        b"<!DOCTYPE x [<!ENTITY a0 'ha'>"
        + b"".join(b"<!ENTITY a%d '%s'>" % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 12))
        + b"]>"
    )
    files = [
        docx(tmp_path / "entity.docx", entity + WORD % b"&e;"),
        docx(tmp_path / "laughs.docx", laughs + WORD % b"&a11;"),
        docx(tmp_path / "slip.docx", **{"../../../../../../tmp/tmpslipped": b"x", "/etc/slipped": b"x"}),
        docx(tmp_path / "deep.docx", WORD % (b"</w:t></w:r></w:p>" + b"<w:tbl><w:tr><w:tc>" * 3000 + b"</w:tc></w:tr></w:tbl>" * 3000 + b"<w:p><w:r><w:t>")),
        docx(tmp_path / "bomb.docx", WORD % (b"x" * (70 << 20))),
        docx(tmp_path / "parts.docx", **{f"p{i}.xml": b"<x/>" for i in range(3000)}),
    ]  # fmt: skip
    page = tmp_path / "page.html"
    page.write_text(f'{entity.decode()}<base href="file:///"><iframe src="{secret}"></iframe><object data="{secret}"></object>&e;'
                    f'<link rel=stylesheet href="http://127.0.0.1:9/x"><img src="http://127.0.0.1:9/x"><script src="{secret}"></script>')  # fmt: skip
    deep = tmp_path / "deep.html"
    deep.write_text("<div><span><b>" * 300_000 + "x")
    unclosed = tmp_path / "unclosed.html"
    unclosed.write_text("<a" * 300_000 + "<b " * 300_000 + "x")
    attributes = tmp_path / "attributes.html"
    attributes.write_text("<p " + " ".join(f"a{i}=1" for i in range(100_000)) + ">x" + "<" * 500_000 + "<!--" * 100_000)
    results = read_all([(path, "auto", {}) for path in (*files, page, deep, unclosed, attributes)])
    assert not bad(results), shown(bad(results))
    assert not os.path.exists("/tmp/tmpslipped")
    assert not os.path.exists("/etc/slipped")


def test_a_pdf_that_says_it_has_a_million_pages(tmp_path):
    pytest.importorskip("pypdfium2")
    from tests.formats.test_pdf import pdf

    path = tmp_path / "a.pdf"
    content = pdf("Mara")
    assert content.count(b"/Count 1") == 1
    path.write_bytes(content.replace(b"/Count 1", b"/Count 999999"))
    (result,) = read_all([(path, "auto", {})])
    assert not bad([result]), shown([result])


def test_an_archive_that_wants_a_dictionary_of_4_gb(tmp_path):
    """The header of a block of xz, its size of the dictionary set to the largest there is, and its checksum mended."""
    content = bytearray(lzma.compress(b"Mara and Ivo"))
    header = slice(12, 12 + 4 * (content[12] + 1) - 4)
    assert content[header][2] == lzma.FILTER_LZMA2
    content[16] = 40
    content[header.stop : header.stop + 4] = struct.pack("<I", zlib.crc32(content[header]))
    path = tmp_path / "a.txt.xz"
    path.write_bytes(content)
    (result,) = read_all([(path, "auto", {})])
    assert not bad([result]), shown([result])


def test_folders_of_datasets_that_reach_outside(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "secret.arrow").write_text(SECRET)
    cases = []
    for number, name in enumerate(
        ["../secret.arrow", str(tmp_path / "secret.arrow"), "a/../../secret.arrow", "..", "", "\0", 3, None, "x" * 5000]
    ):
        folder = tmp_path / f"set-{number}"
        folder.mkdir()
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
        (folder / "dataset_info.json").write_text("{}")
        cases.append((folder, "datasets", {}))
    results = read_all(cases)
    assert not bad(results), shown(bad(results))
    assert all(one["said"] and not one["documents"] for one in results), results


class Touch:
    """Unpickled, it leaves a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.system, (f"touch {self._path}",)


def test_pickles_in_places_for_other_things(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    canary = tmp_path / "canary"
    payload = pickle.dumps(Touch(canary))
    kind = pyarrow.field(
        "text",
        pyarrow.string(),
        metadata={b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": payload},
    )
    schema = pyarrow.schema([kind], metadata={b"pandas": payload, b"huggingface": payload, b"PANDAS": payload})
    table = pyarrow.Table.from_arrays([pyarrow.array(["Ada"])], schema=schema)
    parquet.write_table(table, tmp_path / "a.parquet")
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), schema) as file:
        file.write_table(table)
    for name in ("a.spacy", "b.parquet", "b.arrow", "a.db", "a.jsonl", "a.docx", "a.pdf"):
        (tmp_path / name).write_bytes(payload)
    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as file:
        file.write(payload)
    cases = [(path, "auto", {}) for path in sorted(tmp_path.iterdir())]
    if box := _hostile_docbin(tmp_path, payload):
        cases += [(path, "spacy", {}) for path in box]
    results = read_all(cases)
    assert not bad(results), shown(bad(results))
    assert not canary.exists()


def _hostile_docbin(folder, payload):
    """DocBins whose msgpack says of its bytes that they are an array of objects, or user data of another kind."""
    try:
        import spacy.tokens
        import srsly
        from spacy.util import registry  # noqa: F401
    except ImportError:
        return []
    import spacy.vocab

    doc = spacy.tokens.Doc(spacy.vocab.Vocab(), words=["Ada"])
    whole = srsly.msgpack_loads(zlib.decompress(spacy.tokens.DocBin(store_user_data=True, docs=[doc]).to_bytes()))
    array = {b"nd": True, b"type": "|O", b"kind": b"O", b"shape": (1,), b"data": payload}
    found = []
    for number, change in enumerate([{"tokens": payload}, {"user_data": [srsly.msgpack_dumps({"x": array})]}, {"user_data": [payload]},
                                     {"strings": payload}, {"lengths": struct.pack("<i", 2**31 - 1)}, {"attrs": [2**60] * 9}, {"span_groups": [payload]}]):  # fmt: skip
        path = folder / f"box-{number}.spacy"
        path.write_bytes(zlib.compress(srsly.msgpack_dumps({**whole, **change})))
        found.append(path)
    return found


HOSTILE_SCHEMAS = {
    "views": "CREATE TABLE docs (text); INSERT INTO docs VALUES ('x'); CREATE VIEW v AS SELECT load_extension('x'); CREATE TRIGGER t AFTER INSERT ON docs BEGIN DELETE FROM docs; END",
    "huge": "CREATE TABLE docs (text, g AS (zeroblob(900000000))); INSERT INTO docs (text) VALUES ('x')",
    "hugetext": "CREATE TABLE docs (id, text AS (hex(zeroblob(450000000)))); INSERT INTO docs (id) VALUES (1)",
    "printf": "CREATE TABLE docs (id, text AS (printf('%.*c', 900000000, 'x'))); INSERT INTO docs (id) VALUES (1)",
    "names": 'CREATE TABLE "do""cs; DROP TABLE x" ("text", "te;xt--"); INSERT INTO "do""cs; DROP TABLE x" VALUES (\'x\', 2)',
    "kinds": "CREATE TABLE docs (id, text); INSERT INTO docs VALUES (1, x'00ff'), (2, 3.5), (3, NULL), (4, CAST(x'ff' AS TEXT)), (5, 9e999)",
    "wide": "CREATE TABLE docs (text, "
    + ", ".join(f"c{i}" for i in range(1900))
    + "); INSERT INTO docs (text) VALUES ('x')",
}
HOSTILE_QUERIES = ["DROP TABLE docs", "SELECT load_extension('x')",
                   "INSERT INTO docs VALUES ('y')", "PRAGMA journal_mode = DELETE", "SELECT 1; SELECT 2", "SELECT", "", "\0", "SELECT 1 AS text, 2 AS text",
                   "SELECT writefile('x', text) AS text FROM docs", "SELECT readfile('/etc/passwd') AS text", "PRAGMA writable_schema = ON"]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_SCHEMAS)
def test_databases_made_to_do_harm(tmp_path, name):
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.executescript(HOSTILE_SCHEMAS[name])
    connection.close()
    (result,) = read_all([(path, "auto", {})])
    assert not bad([result]), shown([result])


def test_queries_change_nothing(tmp_path):
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE docs (text); INSERT INTO docs VALUES ('Ada')")
    connection.close()
    before = path.read_bytes()
    results = read_all([(path, "sqlite", {"query": query}) for query in HOSTILE_QUERIES])
    assert not bad(results), shown(bad(results))
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.db"]
    assert [document.text for document in formats.read([str(path)], Reading(), pytest.fail)] == ["Ada"]
