"""Many rows: one result for each, as the phones have it, in bounded memory that does not grow.

MTRELAY_ROWS sets how many (default 20,000; by hand 100,000: MTRELAY_ROWS=100000 pytest integration/test_volume.py).
"""

import os

import pytest

from lib import volume
from lib.agent import Agent

ROWS = int(os.environ.get("MTRELAY_ROWS", "20000"))
GROWTH_MIB = 3         # what is under way differs by so much from moment to moment


@pytest.mark.sim(report_delay_ms=50, truth_text="digest")
def test_each_of_many_rows_has_one_result_in_bounded_memory(database, sim, folder, oracle, record_property):
    rows = ROWS if volume.memory_bound_mib(database) else min(ROWS, 10000)
    agent = Agent(folder, database, sim, **volume.config())
    try:
        # SMS and LMS, three priorities, some with a key of the application, and one in 1000 to a number that fails.
        database.insert_many(rows - rows // 10, body=lambda n: "인증번호는 %06d 입니다" % n,
                             recipient=lambda n: "010%08d" % (2 if n % 1000 == 999 else 20000000 + n))
        database.insert_many(rows // 20, body="긴 문자 " * 30, subject="제목", priority=2)
        database.insert_many(rows // 10 - rows // 20, body="urgent", priority=0, msg_type="SMS")
        assert oracle.snapshot() == rows
        run = volume.relay(agent, database, rows, 60 + rows / 100)
        assert database.count("send") == 0
        tally = oracle.check()
        failed = len([n for n in range(rows - rows // 10) if n % 1000 == 999])
        assert tally == {"OK": rows - failed, "FAIL": failed}
        assert run.stats["settle_stale"] == 0 and run.stats["reports_kept"] <= rows // 10
        print("%s: %s" % (database.kind, run))
        record_property("rows_per_s", round(run.rate))
        limit = volume.memory_bound_mib(database)
        if limit:
            assert run.peak_kib / 1024 < limit, str(run)
            assert run.growth_mib() < GROWTH_MIB, "%s\n%s" % (run, run.samples)
        agent.stop()
    finally:
        agent.close()
