"""The statements of the store on real servers: the cases of tests/unit/test_store.c, which the build runs on the SQLite of the
test process, against every database that the tests know. The C program is told where to go by its environment."""

import os
import subprocess

import pytest

from lib import paths
from lib.db import PASSWORD

pytestmark = pytest.mark.noschema


def test_store(database):
    block = database.agent_config()
    env = dict(os.environ, MTRELAY_STORE_DRIVER=block["driver"], CMOCKA_MESSAGE_OUTPUT="TAP")
    for key in ("connection", "host", "port", "name", "user"):
        if key in block:
            env["MTRELAY_STORE_" + key.upper()] = str(block[key])
    if "user" in block:
        env["MTRELAY_STORE_PASSWORD"] = PASSWORD
    program = os.path.join(paths.BUILDDIR, "tests", "unit", "test_store")
    if not os.access(program, os.X_OK):
        pytest.fail("%s is not built: run make check first" % program)
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=300)
    passed = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert done.returncode == 0 and len(passed) > 30, done.stdout + done.stderr
