"""Scenario 11: reports that come too early, too often, too late, for nobody, and against each other.

Each message keeps one result, the history tells what was odd, nothing is written on the row of another message, and who reads the
tables at any moment finds each message in exactly one of them.  Slice: 4 messages of each kind, long form: 500 and every database.
"""

import collections
import threading
import time

import pytest

from lib import proof
from lib.wait import wait_until

pytestmark = pytest.mark.db(*proof.size(("sqlite", "mariadb"), ("sqlite", "mariadb", "postgresql")))

EACH = proof.size(4, 500)
DEADLINE = proof.size(30, 300)
QUICK = {"times": {"unknown_look": "100ms", "care_pass": "100ms", "quiet_time": "700ms"}}
DELIVERED, UNDELIVERABLE = 5, 9
# kind: (reports in their order; None: as the simulator does by itself), class at the end, events in mt_history
KINDS = {
    "plain": (None, "OK", ()),
    "thrice": ([5, {"status": 5, "delay_ms": 100}, {"status": 5, "delay_ms": 300}], "OK", ()),
    "good then bad": ([5, {"status": 9, "delay_ms": 200}], "OK", ("conflict",)),
    "bad then good": ([9, {"status": 5, "delay_ms": 200}], "FAIL", ("conflict",)),
    "on the way, then good": ([3, {"status": 5, "delay_ms": 200}], "OK", ()),
    "wrong ids": ([], "OK", ()),
    "late": ([], "OK", ("revised", "conflict")),
    "too late": ([], "UNKNOWN", ("too_late",)),
}


class Reader(threading.Thread):
    """Someone who looks again and again: is each message in one table, and only there?"""

    def __init__(self, database, count):
        super().__init__(daemon=True)
        self.database, self.count = database, count
        self.looks, self.wrong = 0, collections.Counter()
        self.over = threading.Event()

    def run(self):
        text = "SELECT (SELECT COUNT(*) FROM mt_send), (SELECT COUNT(*) FROM mt_result)"
        conn = None
        while not self.over.wait(0.003):
            try:
                conn = conn or self.database.connect()
                cur = conn.cursor()
                cur.execute(text)
                row = cur.fetchone()
                cur.close()
            except Exception:                   # noqa: BLE001 - the database is down for a while
                conn = None
                continue
            self.looks += 1
            if sum(row) != self.count:
                self.wrong[tuple(row)] += 1

    def end(self):
        self.over.set()
        self.join(30)
        return self.looks, self.wrong


def foreign_ids(key, msg_id):
    """What a provider might make of our key, or another system's key be: none of them names this message."""
    return [key[:1] + ("1" if key[1] == "0" else "0") + key[2:], key[:-1], key + "0", "0" + key, key.upper(), key[::-1],
            key.encode().hex(), str(msg_id), "%x" % msg_id, str(-msg_id)]


def events(database, msg_id):
    return {r["event"] for r in database.rows("history", "msg_id = ?", (msg_id,), order="id")}


def test_reports_out_of_order(database, sim, agent, oracle):
    seed = proof.seed()
    sim.config(report_delay_ms=30, dedupe="off")
    by_kind = {}
    for kind, (reports, _, _) in KINDS.items():
        if reports is not None:
            phone = any((r if isinstance(r, int) else r["status"]) == 5 for r in reports) or not reports
            sim.rule(reports=reports, phone=phone, match={"text": "^%s$" % kind})
        database.insert_many(EACH, body=kind)
    database.insert_many(EACH, body="early", recipient=lambda n: "01000000014")
    oracle.snapshot()
    for r in database.query("SELECT msg_id, body FROM {p}send"):
        by_kind.setdefault(r["body"], []).append(r["msg_id"])
    total = (len(KINDS) + 1) * EACH
    reader = Reader(database, total)
    reader.start()
    a = agent(extra=QUICK, channel={"batch": 100, "log_queries_per_minute": 6000})
    no_report = by_kind["wrong ids"] + by_kind["late"] + by_kind["too late"]

    def waiting():
        return {r["msg_id"]: r for r in database.query("SELECT msg_id, status, client_key FROM {p}send")}

    rows = wait_until(lambda: (lambda w: set(w) == set(no_report) and {r["status"] for r in w.values()} == {2} and w)(
        waiting()), DEADLINE, "the reports that come by themselves", fail=a.dead_text)
    key = {m: r["client_key"] for m, r in rows.items()}

    # Ids that are nobody's, all of them with bad news.
    wrong = by_kind["wrong ids"]
    strange = 0
    for m in wrong:
        ids = foreign_ids(key[m], m)
        strange += len(ids)
        for one in ids:
            sim.inject(one, UNDELIVERABLE)
    wait_until(lambda: sim.stats()["reports_pending"] == 0, DEADLINE, "the strange ones are fetched", fail=a.dead_text)
    # The right one comes behind them, on a later page; when it is there, the strange ones have been looked at.
    for m in wrong:
        sim.inject(key[m], DELIVERED)
    wait_until(lambda: set(waiting()) == set(no_report) - set(wrong), DEADLINE, "the right ones", fail=a.dead_text)

    # No report by the close time, and then one.
    late, too_late = by_kind["late"], by_kind["too late"]
    sim.rule(on="logs", find=False)
    ago = database.later_sql(-47 * 3600 - 60)
    database.execute("UPDATE {p}send SET first_sent_at = %s, due_at = %s WHERE status = 2" % (ago, database.later_sql(-1)))
    wait_until(lambda: not waiting(), DEADLINE, "closed without a report", fail=a.dead_text)
    assert {(r["result_class"], r["result_code"], r["rev"]) for r in database.rows("result")
            if r["msg_id"] in set(late + too_late)} == {("UNKNOWN", "8001", 0)}
    for m in too_late:
        database.execute("UPDATE {p}result SET done_at = %s WHERE msg_id = ?" % database.later_sql(-8 * 86400), (m,))
    for m in late + too_late:
        sim.inject(key[m], DELIVERED)
        sim.inject(key[m], DELIVERED, delay_ms=50)
    wait_until(lambda: database.count("result", "late = 'Y'") >= len(late), DEADLINE, "late reports", fail=a.dead_text)
    for m in late:
        sim.inject(key[m], UNDELIVERABLE, lied=1)
    want = {m: set(ev) for kind, (_, _, ev) in KINDS.items() for m in by_kind[kind] if ev}
    wait_until(lambda: all(events(database, m) >= ev for m, ev in want.items()), DEADLINE, "the history", pause_s=0.2,
               fail=a.dead_text)
    a.stop()
    looks, half = reader.end()
    results = collections.defaultdict(list)
    for r in database.rows("result"):
        results[r["msg_id"]].append(r)
    kept = database.count("report")
    proof.record("scenario 11", database.kind, seed, messages=total, strange_reports=strange, kept_reports=kept,
                 looks_of_a_reader=looks, half_states=sum(half.values()))
    assert looks > 20 and not half, half
    assert all(len(r) == 1 for r in results.values()) and len(results) == total
    for kind, (_, cls, ev) in KINDS.items():
        for m in by_kind[kind]:
            assert results[m][0]["result_class"] == cls, (kind, results[m])
            assert events(database, m) == set(ev), (kind, m, events(database, m))
            revised = kind == "late"
            assert (results[m][0]["rev"], results[m][0]["late"]) == (revised, "Y" if revised else "N"), results[m]
    assert {results[m][0]["result_class"] for m in by_kind["early"]} == {"OK"}
    # Kept for a week, applied to nobody: each id with its class once.
    assert kept == strange
    assert {r["class"] for r in database.rows("report", order="id")} == {"FAIL"}
    oracle.check()


def test_a_report_for_another_message_of_the_same_id(database, sim, agent, oracle):
    """After TRUNCATE ids come again: what is said of the first message 7 is not said of the second one, before its result or after."""
    sim.rule(reports=[], phone=True)
    a = agent(extra=QUICK)
    msg = database.insert()
    row = wait_until(lambda: [r for r in database.rows("send") if r["status"] == 2], 20, "acceptance", fail=a.dead_text)[0]
    key = row["client_key"]
    strangers = [key[:-1] + one for one in "0123456789" if one != key[-1]]
    for one in strangers:
        sim.inject(one, UNDELIVERABLE, lied=1)
    wait_until(lambda: database.count("report") == len(strangers), 20, "kept reports", fail=a.dead_text)
    assert database.count("send", "status = 2") == 1
    sim.inject(key, DELIVERED)
    wait_until(lambda: database.count("result", "client_key = ?", (key,)) == 1, 20, "the result", fail=a.dead_text)
    # Whoever deletes rows that are on their way finds their results all the same: each on a row of its own.
    wait_until(lambda: database.count("result", "msg_id = ?", (msg,)) == 1 + len(strangers), 20, "the others' results",
               fail=a.dead_text)
    a.stop()
    mine = database.rows("result", "client_key = ?", (key,))
    assert [(r["result_class"], r["rev"], str(r["created_at"])) for r in mine] == [("OK", 0, str(row["created_at"]))]
    others = database.rows("result", "client_key <> ?", (key,))
    assert {r["client_key"] for r in others} == set(strangers)
    assert all(r["result_class"] == "FAIL" and r["recipient"] is None and r["created_at"] != mine[0]["created_at"] for r in others)


@pytest.mark.db("sqlite", "mariadb", "postgresql")
def test_the_result_of_a_deleted_row_is_refused_for_a_while(database, sim, agent):
    """Its report is all that there is; it waits until the database takes the result."""
    sim.rule(reports=[], phone=True)
    a = agent(extra=QUICK)
    msg = database.insert()
    row = wait_until(lambda: [r for r in database.rows("send") if r["status"] == 2], 20, "acceptance", fail=a.dead_text)[0]
    refuse(database)
    database.execute("DELETE FROM {p}send WHERE msg_id = ?", (msg,))
    sim.inject(row["client_key"], DELIVERED)
    wait_until(lambda: database.count("report") == 1, 20, "the report is kept", fail=a.dead_text)
    # Care comes by more than once.
    end = time.monotonic() + 1
    wait_until(lambda: time.monotonic() > end or database.count("report") == 0, 10, "a second")
    assert database.count("report") == 1 and database.count("result") == 0
    relent(database)
    database.wait_result(msg, fail=a.dead_text, result_class="OK", client_key=row["client_key"])
    wait_until(lambda: database.count("report") == 0, 20, "nothing kept", fail=a.dead_text)
    a.stop()


def refuse(database):
    """No results of deleted rows."""
    if database.dialect == "sqlite":
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result WHEN NEW.recipient IS NULL "
                         "BEGIN SELECT RAISE(ABORT, 'not this one'); END")
    elif database.dialect == "mysql":
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW IF NEW.recipient IS NULL THEN "
                         "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF")
    else:
        database.execute("ALTER TABLE mt_result ADD CONSTRAINT nope CHECK (recipient IS NOT NULL)")


def relent(database):
    database.execute("ALTER TABLE mt_result DROP CONSTRAINT nope" if database.dialect == "postgresql" else "DROP TRIGGER nope")


def test_reports_while_the_database_is_away(servers, database, sim, agent, oracle):
    """They were handed out once and the database is not there: the journal has them, also when the process is killed."""
    seed = proof.seed()
    count = proof.size(60, 5000)
    sim.config(report_delay_ms=0)
    sim.pause_reports()
    database.insert_many(count)
    oracle.snapshot()
    a = agent(extra=QUICK, channel={"report_limit": 20})
    wait_until(lambda: database.count("send", "status = 2") == count, DEADLINE, "all accepted", fail=a.dead_text)
    # Nothing is under way any more: what is handed out from here on meets no database.
    wait_until(lambda: a.ctl_json("status")["pipeline"]["in_memory"] == 0, DEADLINE, "quiet", fail=a.dead_text)
    server = servers(database.kind)
    lock = None
    if database.kind == "sqlite":
        lock = database.connect()
        lock.execute("BEGIN EXCLUSIVE")
    else:
        database.forget()
        server.stop()
    sim.resume_reports()
    wait_until(lambda: sim.stats()["reports_handed_out"] >= 20, DEADLINE, "a page", fail=a.dead_text)
    # The next page is asked for when this one is synced: then it is on disk for certain.
    asked = sim.stats()["requests_reports"]
    end = time.monotonic() + 3
    wait_until(lambda: sim.stats()["requests_reports"] > asked + 1 or time.monotonic() > end, 10, "a further question")
    handed = sim.stats()["reports_handed_out"]
    a.kill9()
    if lock is not None:
        lock.execute("ROLLBACK")
        lock.close()
    else:
        server.start()
    sim.rule(on="logs", find=False)     # no other source than the journal
    a.start()
    database.wait_empty(DEADLINE, fail=a.dead_text)
    a.stop()
    tally = oracle.check()
    proof.record("scenario 11 database away", database.kind, seed, messages=count, handed_out_without_database=handed)
    assert 20 <= handed and tally == {"OK": count}
    assert database.count("result") == count
