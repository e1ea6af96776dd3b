"""The same job on the servers beyond the usual three: a MySQL of 2014 and MariaDB through ODBC."""

import pytest

from lib.db import NULL
from lib.wait import wait_until

pytestmark = pytest.mark.db("mysql56", "mariadb-odbc")


def test_messages_go_out_and_bad_rows_are_refused(database, sim, agent, oracle):
    a = agent(start=False)
    good = [database.insert("010-1234-%04d" % i, "hello 안녕 %d" % i) for i in range(120)]
    lms = database.insert(body="가" * 60)
    bad = {database.insert(recipient=NULL): "2001", database.insert(body=""): "2003",
           database.insert(msg_type="FAX"): "2006", database.insert(priority=7): "2006",
           database.insert(vars="{"): "2009"}
    oracle.snapshot()
    a.start()
    for msg in good:
        database.wait_result(msg, fail=a.dead_text, result_class="OK", result_code="0000", sent_type="SMS")
    database.wait_result(lms, result_class="OK", sent_type="LMS")
    for msg, code in bad.items():
        database.wait_result(msg, result_class="FAIL", result_code=code)
    oracle.check()
    a.stop()


def test_cancel_expiry_and_unknown(database, sim, agent, oracle):
    a = agent(start=False)
    sim.rule(cut="after_read", times=1)
    ids = [database.insert(body="cut %d" % i) for i in range(20)]
    oracle.snapshot()
    a.start()
    for msg in ids:
        database.wait_result(msg, 40, fail=a.dead_text, result_class="OK")
    oracle.check()
    a.ctl("pause")
    waits = database.insert(body="waits", group_key="g")
    database.execute("UPDATE {p}send SET cancel_yn = 'Y' WHERE group_key = 'g'")
    database.wait_result(waits, fail=a.dead_text, result_class="FAIL", result_code="3007")


def test_killed_and_started_again(database, sim, agent, oracle):
    a = agent(start=False, extra={"times": {"quiet_time": "500ms", "unknown_look": "100ms"}})
    sim.config(answer_delay_ms=100)
    database.insert_many(200)
    oracle.snapshot()
    a.start()
    wait_until(lambda: database.count("send", "status = 1") > 0, 20, "claimed rows", fail=a.dead_text)
    a.kill9()
    a.start()
    database.wait_empty(fail=a.dead_text)
    oracle.check()
    assert database.count("result", "result_class = 'OK'") == 200
