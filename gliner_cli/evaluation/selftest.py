"""Three sentences whose entities and scores are known: whether this installation computes what it should.

After another starter checkpoint: `python -m gliner_cli.evaluation.selftest` prints the table anew.
"""

from __future__ import annotations

from collections.abc import Iterator

TOLERANCE = 1e-3  # of a score; other processors and versions of torch differ in the sixth digit

Found = tuple[tuple[str, str, float], ...]  # text, label, score

KNOWN: tuple[tuple[str, tuple[str, ...], Found], ...] = (
    (
        "Marie Curie was born in Warsaw and moved to Paris in 1891.",
        ("person", "city", "date"),
        (
            ("Marie Curie", "person", 0.88759),
            ("Warsaw", "city", 0.90639),
            ("Paris", "city", 0.92328),
            ("1891", "date", 0.8737),
        ),
    ),
    (
        "Toyota opened a factory in Kentucky, and Ford answered with two in Ohio.",
        ("company", "state"),
        (
            ("Toyota", "company", 0.89371),
            ("Kentucky", "state", 0.94661),
            ("Ford", "company", 0.81533),
            ("Ohio", "state", 0.95111),
        ),
    ),
    (
        "The doctor prescribed ibuprofen for migraine and amoxicillin for the infection.",
        ("drug", "disease"),
        (
            ("ibuprofen", "drug", 0.94406),
            ("migraine", "disease", 0.91351),
            ("amoxicillin", "drug", 0.90291),
            ("infection", "disease", 0.76646),
        ),
    ),
)


def answers() -> Iterator[Found]:
    """What the starter finds in the sentences, one after the other."""
    from gliner_cli.inference.extractor import load

    extractor = load()
    for text, labels, _ in KNOWN:
        yield tuple((one.text, one.label, one.score or 0.0) for one in extractor(text, labels))


def differences(found: Iterator[Found]) -> list[str]:
    """In words, what is other than it should be; nothing where all is well."""
    said = []
    for (text, _, known), now in zip(KNOWN, found, strict=True):
        if [one[:2] for one in known] != [one[:2] for one in now]:
            said.append(f"in {text!r} it found {_listed(now)}; it should find {_listed(known)}")
            continue
        for (name, _, before), (_, _, score) in zip(known, now, strict=True):
            if not abs(before - score) <= TOLERANCE:  # NaN is other, too
                said.append(f"{name!r} has the score {score:.4f}; it should have {before:.4f}")
    return said


def _listed(found: Found) -> str:
    return ", ".join(f"{name} ({label})" for name, label, _ in found) or "nothing"


if __name__ == "__main__":
    for row, fresh in zip(KNOWN, answers(), strict=True):
        print((*row[:2], tuple((name, label, round(score, 5)) for name, label, score in fresh)))
