"""The CP949 table against the codec it was made from."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(os.environ.get("MTRELAY_SRCDIR", Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get("MTRELAY_BUILDDIR", TOP))


def code(cp):
    try:
        return int.from_bytes(chr(cp).encode("cp949"), "big")
    except UnicodeEncodeError:
        return None


def test_table_in_the_tree_is_what_the_generator_makes():
    made = subprocess.run([sys.executable, str(TOP / "scripts/gen-cp949")], check=True, capture_output=True).stdout
    assert made == (TOP / "agent/cp949_table.h").read_bytes()


def test_every_code_point_is_as_in_python():
    program = BUILD / "tests/unit/test_cp949"
    if not program.exists():
        pytest.skip("tests/unit/test_cp949 is not built (make check)")
    listed = subprocess.run([str(program), "list"], check=True, capture_output=True, text=True).stdout.split()
    ours = dict(zip((int(x, 16) for x in listed[::2]), (int(x, 16) for x in listed[1::2])))
    theirs = {cp: code(cp) for cp in range(0x110000) if not 0xD800 <= cp <= 0xDFFF and code(cp) is not None}
    assert ours == theirs
    assert len(ours) == 128 + 8226 + 8822  # ASCII, KS X 1001 with Euro and registered sign, the other Hangul
