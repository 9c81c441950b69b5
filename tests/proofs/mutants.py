"""Valid files of every format, the harm that is done to them, and who reads them: a process that may die of it."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile

from gliner_cli import formats
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity
from tests.proofs.fake_job import ROOT

SECRET = "the-secret-that-nobody-asked-for"
SUFFIX = {
    "text": "txt",
    "rows": "json",
    "label-studio": "json",
    "doccano": "jsonl",
    "prodigy": "jsonl",
    "spacy": "spacy",
}
FOLDERS = ("brat", "datasets")


class Readers:
    """A reader at a time; when one dies, another takes its place."""

    def __init__(self):
        self._process = None

    def read(self, path, form, options):
        """What became of a file, and the signal that ended the reader if one did."""
        if self._process is None:
            environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
            self._process = subprocess.Popen([sys.executable, "-m", "tests.proofs.reader"], cwd=ROOT, env=environment, text=True,
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
        print(json.dumps({"path": str(path), "form": form, "options": options}), file=self._process.stdin, flush=True)
        if line := self._process.stdout.readline():
            return json.loads(line)
        return {"path": str(path), "died": -self.end(), "said": [], "raised": "", "done": []}

    def end(self):
        """How the process ended."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.communicate()
        return process.returncode


READERS = Readers()


def read_all(cases):
    """What became of each (path, format, options)."""
    return [READERS.read(*case) for case in cases]


def bad(results):
    """Those that are defects."""
    return [
        one for one in results if one["raised"] or one["done"] or one.get("died") or SECRET in one.get("sample", "")
    ]


def shown(defects):
    return "\n".join(
        f"{one['path']}: died {one.get('died')} done {one['done']} {one['raised'][-1500:]}" for one in defects
    )


def documents():
    places = ["Oslo 🌊", "القاهرة", "Québec", "Łódź"]
    for i in range(12):
        text = f'Mara and Ivo met in {places[i % 4]} in {1900 + i}.\nThey spoke of "fields", of <b> & of 5 % = a lot.'
        entities = (Entity(0, 4, "person", text[0:4], 0.5), Entity(9, 12, "person", text[9:12], 0.25 + i / 100))
        yield Document(text, f"d{i}", "a.txt", entities, {"page": f"p. {i}", "note": "x" * i})


def seeds(folder, names):
    """A valid file, or folder, of each format."""
    folder.mkdir()
    made = {}
    for name in names:
        path = folder / f"seed-{name}.{SUFFIX.get(name, name)}" if name not in FOLDERS else folder / f"seed-{name}"
        if name == "pdf":
            from tests.formats.test_pdf import pdf

            path.write_bytes(pdf("Mara and Ivo met in Oslo.", "They spoke of fields."))
        elif name == "docx":
            import docx

            file = docx.Document()
            for document in documents():
                file.add_paragraph(document.text.replace("\n", " "))
            file.add_table(2, 2).cell(0, 0).text = "Mara"
            file.save(str(path))
        else:
            formats.write(documents(), Writing(output=path, output_format=name))
        made[name] = path
    return made


NASTY = [b"\0", b"\0" * 64, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\x7f",
         b"[" * 5000, b"{\"a\":" * 3000, b"(" * 5000, b"<div>" * 8000, b"<" * 3000, b"9" * 5000, b"-1", b"1e999", b"NaN", b"\x1b[2J\x1b]0;x\x07",
         b"\r", b"\n\n", b"\t", b'"', b"'", b"\\", b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xfe\xff", b"=cmd|' /C calc'!A0",
         b"<script>alert(1)</script>", b"'; DROP TABLE entities; --", b"%n%s%x", b"../../../etc/passwd", b"T1\tx 0 99999999999\ty\n"]  # fmt: skip


def mutated(content, chance):
    """The content with one to four changes."""
    bad = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        at, span = chance.randrange(len(bad) + 1), chance.choice([1, 4, 16, 200])
        match chance.randrange(8):
            case 0:
                for _ in range(chance.choice([1, 8, 64])):
                    if bad:
                        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
            case 1:
                del bad[at:]
            case 2:
                bad[at:at] = bad[at : at + span] * chance.choice([1, 3, 50])
            case 3:
                del bad[at : at + span]
            case 4:
                bad[at:at] = chance.choice(NASTY)
            case 5:
                nasty = chance.choice(NASTY)
                bad[at : at + len(nasty)] = nasty
            case 6:
                bad[at : at + 4] = struct.pack(
                    chance.choice("<>") + "I", chance.choice([0, 2**31 - 1, 2**32 - 1, len(bad), 2**30])
                )
            case 7:
                other = chance.randrange(len(bad) + 1)
                bad[at : at + span] = bad[other : other + span]
    return bytes(bad)


def mutants(folder, made, count, chance):
    """Cases: files of each format in turn, mutated; some read by the format they have, some by what they seem."""
    names = list(made)
    for number in range(count):
        name = names[number % len(names)]
        forced = name if name in FOLDERS or chance.random() < 0.7 else "auto"
        path = folder / f"mutant-{number}-{made[name].name}"
        if name in FOLDERS:
            shutil.copytree(made[name], path)
            target = chance.choice(sorted(one for one in path.rglob("*") if one.is_file()))
            target.write_bytes(mutated(target.read_bytes(), chance))
        elif name == "docx" and chance.random() < 0.7:  # within its archive, whose checksums would notice otherwise
            _mutated_archive(made[name], path, chance)
        else:
            path.write_bytes(mutated(made[name].read_bytes(), chance))
        yield path, forced, {}


def _mutated_archive(seed, path, chance):
    with zipfile.ZipFile(seed) as given, zipfile.ZipFile(path, "w") as changed:
        chosen = chance.choice(given.namelist())
        for name in given.namelist():
            content = given.read(name)
            changed.writestr(name, mutated(content, chance) if name == chosen else content)
