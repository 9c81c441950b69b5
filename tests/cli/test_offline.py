"""No network: `extract` asks for none, and with `--offline` no library of the hub may either."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

CODE = """
import sys

def heard(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        print("the network was asked:", event, arguments, file=sys.stderr)

sys.addaudithook(heard)
from gliner_cli.cli.app import main
sys.argv = ["gliner", *sys.argv[1:]]
try:
    main()
finally:
    from huggingface_hub import constants, is_offline_mode
    print("offline" if constants.HF_HUB_OFFLINE and is_offline_mode() else "as ever", file=sys.stderr)
"""


@pytest.mark.parametrize(("flags", "said"), [([], "as ever"), (["--offline"], "offline")])
def test_extract_asks_nobody(flags, said, tmp_path):
    (tmp_path / "a.txt").write_text("Ada Lovelace was born in London.")
    surroundings = {name: value for name, value in os.environ.items() if "OFFLINE" not in name}
    command = [sys.executable, "-c", CODE, "extract", str(tmp_path / "a.txt"), "-l", "person", "-q", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    assert done.stderr.splitlines() == [said]
    assert [entity["text"] for entity in json.loads(done.stdout)["entities"]] == ["Ada Lovelace"]
