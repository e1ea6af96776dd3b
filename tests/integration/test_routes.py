"""A route with two channels, and a channel that comes back: a row goes to the second only if the first cannot have it.

Neither provider recognises a key that it had before, so that a phone that is texted twice is seen.
"""

import shutil

import pytest

from lib.db import Sql
from lib.sim import Sim
from lib.wait import wait_until

QUICK = {"quiet_time": "700ms", "unknown_look": "100ms", "care_pass": "100ms"}


@pytest.fixture
def two():
    with Sim(dedupe="off", report_delay_ms=20) as one, Sim(dedupe="off", report_delay_ms=20) as other:
        yield one, other


def both(two, **more):
    channels = [two[n].channel(name, log_queries_per_minute=6000, **more) for n, name in enumerate(("first", "second"))]
    return dict(channels=channels, extra={
        "times": QUICK, "routes": [{"type": ["SMS", "LMS"], "channels": ["first", "second"]}]})


def phones(sim):
    return sum(t.phone for t in sim.truth().values())


def taken(sim):
    return sim.stats().get("items_in", 0)


def sizes(sim):
    """Messages in each request, in order."""
    return [r["items"] for r in sim.requests("/sms/3/messages")]


def test_the_second_channel_carries_while_the_first_cannot_be_reached(database, two, agent):
    first, second = two
    a = agent(**both(two))
    one = database.insert("010-2000-0001")
    assert database.wait_result(one, fail=a.dead_text, result_class="OK")["channel"] == "first"
    first.listen(False)
    first.close_connections()
    a.wait_log(r"channel\.state channel=first state=DOWN")
    ids = [database.insert("010-2000-1%03d" % n) for n in range(20)]
    for msg in ids:
        assert database.wait_result(msg, fail=a.dead_text, result_class="OK")["channel"] == "second"
    first.listen(True)
    wait_until(lambda: "first=UP" in (database.one("SELECT channels FROM {p}agent") or ""), 30, "the first channel", fail=a.dead_text)
    one = database.insert("010-2000-0002")
    assert database.wait_result(one, fail=a.dead_text, result_class="OK")["channel"] == "first"
    assert phones(first) == 2 and phones(second) == 20


@pytest.mark.parametrize("lost", ["answer", "request"])
def test_an_unknown_outcome_stays_with_the_first_channel(database, two, agent, lost):
    """The first channel is asked, and gets it again if it has not got it; the second never sees it."""
    first, second = two
    first.rule(cut="after_read", accept=lost == "answer", times=1)
    a = agent(**both(two))
    msg = database.insert("010-2000-0001")
    got = database.wait_result(msg, fail=a.dead_text, result_class="OK")
    assert got["channel"] == "first" and got["try_no"] == (1 if lost == "answer" else 2)
    assert phones(first) == 1 and taken(second) == 0


def test_without_its_journal_a_row_still_knows_its_channel(failpoints, database, two, agent):
    """The claim has written it: whoever takes the row over asks there and nowhere else."""
    first, second = two
    a = agent(start=False, **both(two))
    msg = database.insert("010-2000-0001")
    a.start(wait=False, failpoint="answer_before_mark:kill:1")
    a.wait_exit()
    row = database.rows("send")[0]
    assert (row["status"], row["channel"]) == (1, "first")
    shutil.rmtree(a.state_dir)
    a.start()
    assert database.wait_result(msg, fail=a.dead_text, result_class="OK")["channel"] == "first"
    assert phones(first) == 1 and taken(second) == 0


def test_a_channel_that_comes_back_is_met_slowly(database, two, agent):
    """What has waited does not go out at once: ten messages, and twice as many with each good answer."""
    first, _ = two
    conf = both(two, connections=2, batch=100)
    conf["extra"]["routes"] = [{"type": ["SMS"], "channels": ["first"]}]
    a = agent(start=False, **conf)
    first.config(answer_delay_ms=20)
    first.listen(False)
    database.insert_many(400)
    a.start()
    a.wait_log(r"channel\.state .*state=DOWN")
    assert sizes(first) == []
    first.listen(True)
    database.wait_empty(60, fail=a.dead_text)
    sent = sizes(first)
    under_way = 10
    for n, size in enumerate(sent[:4]):
        assert size <= under_way, "request %d of %s" % (n, sent)
        under_way *= 2
    assert max(sent) == 100 and sum(sent) == 400
    assert phones(first) == 400


@pytest.mark.db("sqlite", "mariadb", "postgresql")
def test_an_attempt_that_waits_for_its_channel_is_closed_in_time(database, sim, agent, oracle):
    """Sent again by an operator, and the channel is stopped: 47 h after the first sending it is unknown, however long it is valid."""
    a = agent(start=False, extra={"times": QUICK, "routes": [{"type": ["SMS"], "channels": ["infobip"], "on_unknown": "hold"}]})
    sim.pause_reports()
    sim.rule(cut="after_read", accept=True, times=1)
    msg = database.insert("010-2000-0001", expire_at=Sql(database.later_sql(500000)))
    oracle.snapshot()
    a.start()
    wait_until(lambda: database.count("send", "status = 4") == 1, 20, "held", fail=a.dead_text)
    a.ctl("pause", "infobip")
    a.ctl("unknown", "resolve", msg, "resend", "--yes-it-may-arrive-twice", "--by", "kim", "--reason", "test")
    assert database.rows("send")[0]["status"] == 0
    database.execute("UPDATE {p}send SET first_sent_at = %s" % database.later_sql(-47 * 3600 - 10))
    got = database.wait_result(msg, fail=a.dead_text)
    assert (got["result_class"], got["result_code"]) == ("UNKNOWN", "8002")
    a.stop()
    oracle.check()
