"""The Python interface in five lines. Run: python examples/five_lines.py"""

import gliner_cli as gliner

extractor = gliner.load()
for entity in extractor("Ada Lovelace met Charles Babbage in London in 1833.", ["person", "city", "year"]):
    print(entity.label, entity.text, round(entity.score or 0, 2))
