"""What an operator decides: mtrelayctl unknown list, unknown resolve, requeue.

The provider takes the messages and cuts the connection before it answers, and the route says hold: so they are HELD. Its
reports wait until a test lets them go.
"""

import json
import subprocess

import pytest

from lib import paths
from lib.db import Sql
from lib.wait import wait_until

READY, SENDING, ACCEPTED, UNKNOWN, HELD, DEFERRED = range(6)
WHO = ("--by", "kim", "--reason", "the provider's desk says so")
YES = "--yes-it-may-arrive-twice"


def policy(on_unknown, **channel):
    return dict(extra={"routes": [{"type": ["SMS"], "channels": ["infobip"], "on_unknown": on_unknown}]}, channel=channel)


def status_of(database, msg):
    return database.one("SELECT status FROM {p}send WHERE msg_id = ?", (msg,))


def wait_status(database, a, status, *msgs):
    wait_until(lambda: all(status_of(database, m) == status for m in msgs), 30, "status %d" % status,
               fail=a.dead_text if a.alive() else None)


def held(database, sim, a, oracle, count=1, taken=True, status=HELD, **columns):
    """So many messages that the provider took (or not) and nobody knows about; the agent runs."""
    sim.pause_reports()
    sim.rule(cut="after_read", accept=taken, name="cut")
    ids = [database.insert(body="held %d" % n, **columns) for n in range(count)]
    oracle.snapshot()
    if not a.alive():
        a.start()
    wait_status(database, a, status, *ids)
    sim.clear_rules("cut")
    return ids


def resolve(a, msg, word, *more, status=0, who=WHO):
    done = a.ctl("unknown", "resolve", msg, word, *more, *who, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def row_of(database, msg):
    return database.rows("send", "msg_id = ?", (msg,))


def events(database, msg):
    return [(r["event"], r["who"], r["reason"], r["from_status"], r["to_status"])
            for r in database.rows("history", "msg_id = ? AND event LIKE 'op%'", (msg,), order="id")]


def refuse_results(database, on=True):
    """A trigger of the customer's that refuses every result (or, later, does not)."""
    d = database.dialect
    if not on:
        database.execute("DROP TRIGGER nope" + (" ON mt_result" if d == "postgresql" else ""))
    elif d == "sqlite":
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result BEGIN SELECT RAISE(ABORT, 'not now'); END")
    elif d == "mysql":
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW "
                         "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'")
    else:
        database.execute("CREATE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS "
                         "'BEGIN RAISE EXCEPTION ''not now''; END'")
        database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW EXECUTE FUNCTION nope()")


# ---- list -----------------------------------------------------------------------------------------------------------


def test_list_shows_exactly_what_is_unknown_or_held(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    done = a.ctl("unknown", "list")
    assert done.stdout == "no message is unknown or held\n"
    assert a.ctl_json("unknown", "list") == {"ok": True, "more": False, "rows": []}
    ids = held(database, sim, a, oracle, 3, recipient="01087654321")
    others = [database.insert(body="accepted"), database.insert(send_at=Sql(database.later_sql(3600)))]
    wait_status(database, a, ACCEPTED, others[0])
    refused = database.insert("010-0000-0001")
    database.wait_result(refused, fail=a.dead_text, result_class="FAIL")
    for running in (True, False):
        if not running:
            a.stop()
        done = a.ctl("unknown", "list", "--json", check=False)
        assert done.returncode == 1
        got = json.loads(done.stdout)
        assert sorted(r["msg_id"] for r in got["rows"]) == sorted(ids) and not got["more"]
        for r in got["rows"]:
            assert (r["status"], r["msg_type"], r["channel"], r["tries"], r["hold_code"]) == \
                ("HELD", "SMS", "infobip", 1, "8002"), r
            assert len(r["client_key"]) == 30 and r["since"].endswith("Z") and r["due"] > r["since"]
            assert r["recipient"] == "010****4321" and 46 * 3600000 < r["due_in_ms"] <= 47 * 3600000
    done = a.ctl("unknown", "list", "--limit", 2, check=False)
    assert done.returncode == 1 and "2 held, 0 unknown, and there are more" in done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 2 * 2 + 1 and max(len(line) for line in lines) <= 100, done.stdout
    assert "010****4321" in done.stdout and "01087654321" not in done.stdout
    assert "mtrelayctl unknown resolve" in a.ctl("explain", ids[0], check=False).stdout
    for wrong in (["--limit", "0"], ["--limit", "x"], ["more"]):
        assert a.ctl("unknown", "list", *wrong, check=False).returncode == 64


# ---- sent, failed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False])
def test_sent_waits_for_a_report(database, sim, agent, oracle, running):
    a = agent(start=False, **policy("hold"))
    msg, = held(database, sim, a, oracle)
    if not running:
        a.kill9()
    text = resolve(a, msg, "sent")
    assert "is ACCEPTED" in text and "8001 in 46 h" in text
    row = row_of(database, msg)[0]
    assert row["status"] == ACCEPTED and row["hold_code"] is None and row["channel"] == "infobip"
    assert events(database, msg) == [("op_sent", "kim", WHO[3], HELD, ACCEPTED)]
    assert "kim: the provider's desk says so" in a.ctl("trace", msg).stdout
    assert "is ACCEPTED: the provider has it" in resolve(a, msg, "sent", status=2)
    if not running:
        a.start()
    sim.resume_reports()
    database.wait_result(msg, fail=a.dead_text, result_class="OK", result_code="0000", rev=0)
    oracle.check()


def test_sent_without_a_report_ends_as_unknown(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    a.write({"report": {"close_after": "6s"}, "times": {"row_lease": "4s", "write_deadline": "1s"}})
    msg, = held(database, sim, a, oracle, recipient="010-0000-0004")
    sim.rule(on="logs", find=False)
    resolve(a, msg, "sent")
    database.wait_result(msg, fail=a.dead_text, result_class="UNKNOWN", result_code="8001")
    oracle.check()


@pytest.mark.parametrize("running", [True, False])
def test_failed_is_unknown_and_a_late_report_corrects_it(database, sim, agent, oracle, running):
    a = agent(start=False, **policy("hold"))
    msg, = held(database, sim, a, oracle, fallback_type="LMS", fallback_body="long")
    if not running:
        a.stop()
    assert "UNKNOWN 8002, not FAIL" in resolve(a, msg, "failed")
    row = database.result(msg)
    assert (row["result_class"], row["result_code"], row["rev"], row["leg"]) == ("UNKNOWN", "8002", 0, 0)
    assert "closed by an operator" in row["result_text"] and "kim" not in row["result_text"]
    assert row_of(database, msg) == [] and events(database, msg) == [("op_failed", "kim", WHO[3], HELD, None)]
    if not running:
        a.start()
    sim.resume_reports()
    row = wait_until(lambda: database.rows("result", "msg_id = ? AND rev = 1", (msg,)), 20, "a revision", fail=a.dead_text)[0]
    assert (row["result_class"], row["result_code"], row["late"]) == ("OK", "0000", "Y")
    oracle.check()


def test_a_row_that_the_agent_still_asks_about(database, sim, agent, oracle):
    a = agent(start=False, **policy("auto", log_queries_per_minute=6000))
    sim.rule(on="logs", status=503, name="logs")
    ids = held(database, sim, a, oracle, 2, status=UNKNOWN)
    done = a.ctl("unknown", "list", check=False)
    assert done.returncode == 1 and "0 held, 2 unknown" in done.stdout
    resolve(a, ids[0], "failed")
    resolve(a, ids[1], "sent")
    assert "mtrelayctl unknown resolve is for such" in a.ctl("requeue", ids[0], *WHO, check=False).stderr \
        or database.result(ids[0])
    assert events(database, ids[1])[0][3:] == (UNKNOWN, ACCEPTED)
    sim.clear_rules("logs")
    sim.resume_reports()
    database.wait_result(ids[1], fail=a.dead_text, result_class="OK")
    wait_until(lambda: database.result(ids[0])["result_class"] == "OK", 20, "the late report", fail=a.dead_text)
    oracle.check()


# ---- resend ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False])
def test_resend_sends_what_was_not_taken(database, sim, agent, oracle, running):
    a = agent(start=False, **policy("hold"))
    msg, = held(database, sim, a, oracle, taken=False)
    before = row_of(database, msg)
    text = resolve(a, msg, "resend", status=2)
    assert YES in text and row_of(database, msg) == before and not database.rows("try", order="id")
    if not running:
        a.kill9()
    assert "is READY and is sent again" in resolve(a, msg, "resend", YES)
    assert events(database, msg) == [("op_resend", "kim", WHO[3], HELD, READY)]
    tries = database.rows("try", "msg_id = ?", (msg,), order="id")
    assert [(t["outcome"], t["client_key"], t["generation"]) for t in tries] == [("OPEN", before[0]["client_key"], 0)]
    if not running:
        row = row_of(database, msg)[0]
        assert (row["status"], row["generation"], row["due_at"], row["hold_code"]) == (READY, 1, None, None)
        assert row["first_sent_at"] == before[0]["first_sent_at"] and row["client_key"] != before[0]["client_key"]
        a.start()
    sim.resume_reports()
    row = database.wait_result(msg, fail=a.dead_text, result_class="OK", try_no=2)
    assert row["client_key"] != before[0]["client_key"]
    oracle.check()


def test_the_first_attempt_still_counts_while_the_second_waits(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    delivered, = held(database, sim, a, oracle)
    failed, = held(database, sim, a, oracle, taken=False)
    key = {m: row_of(database, m)[0]["client_key"] for m in (delivered, failed)}
    a.ctl("pause")
    for msg in (delivered, failed):
        resolve(a, msg, "resend", YES)
    sim.inject(key[failed], 9, error=27, to="821012345678")
    sim.resume_reports()
    row = database.wait_result(delivered, fail=a.dead_text, result_class="OK", result_code="0000")
    assert row["client_key"] == key[delivered]
    # The failure of the first attempt ends that one; the second still goes out.
    wait_until(lambda: [t["outcome"] for t in database.rows("try", "msg_id = ?", (failed,), order="id")] == ["FAILED"],
               20, "the report of the other", fail=a.dead_text)
    assert status_of(database, failed) == READY
    a.ctl("resume")
    database.wait_result(failed, fail=a.dead_text, result_class="OK")
    oracle.check()


def test_a_refusal_of_the_second_says_nothing_about_the_first(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    msg, = held(database, sim, a, oracle)
    key = row_of(database, msg)[0]["client_key"]
    sim.rule(reject=6)
    resolve(a, msg, "resend", YES)
    wait_until(lambda: sorted(t["outcome"] for t in database.rows("try", "msg_id = ?", (msg,), order="id"))
               == ["FAILED", "OPEN"], 20, "the refusal", fail=a.dead_text)
    wait_status(database, a, HELD, msg)
    # The one that is open is the one that was sent.
    resolve(a, msg, "sent")
    assert [t["outcome"] for t in database.rows("try", "msg_id = ? AND client_key = ?", (msg, key), order="id")] == ["ACCEPTED"]
    sim.resume_reports()
    row = database.wait_result(msg, fail=a.dead_text, result_class="OK")
    assert row["client_key"] == key
    oracle.check()


def test_a_second_that_is_not_there_is_not_sent_a_third_time_by_itself(database, sim, agent, oracle):
    """Its key is asked for and not found; the first, which the provider has, went out under another key."""
    a = agent(start=False, **policy("auto", log_queries_per_minute=6000))
    sim.rule(on="logs", status=503, name="logs")
    msg, = held(database, sim, a, oracle, status=UNKNOWN)
    key = row_of(database, msg)[0]["client_key"]
    sim.rule(cut="after_read", accept=False, times=1)
    resolve(a, msg, "resend", YES)
    wait_until(lambda: row_of(database, msg)[0]["try_no"] == 2, 20, "the second attempt", fail=a.dead_text)
    sim.clear_rules("logs")
    wait_status(database, a, HELD, msg)
    sim.resume_reports()
    assert database.wait_result(msg, fail=a.dead_text, result_class="OK")["client_key"] == key
    oracle.check()


@pytest.mark.parametrize("taken", [True, False])
def test_a_provider_that_recognises_keys_needs_no_confirmation(database, sim, agent, oracle, taken):
    a = agent(start=False, **policy("hold", dedup_window="3d"))
    msg, = held(database, sim, a, oracle, taken=taken)
    late, = held(database, sim, a, oracle, taken=taken, expire_at=Sql(database.later_sql(70 * 3600)))
    key = row_of(database, msg)[0]["client_key"]
    assert "recognise" in resolve(a, late, "resend", status=2)      # it may be sent when the window is over
    resolve(a, late, "failed")
    assert "under the same key" in resolve(a, msg, "resend")
    assert not database.rows("try", order="id")
    # Taken or refused as a repeat, which says the same.
    wait_status(database, a, ACCEPTED, msg)
    sim.resume_reports()
    row = database.wait_result(msg, fail=a.dead_text, result_class="OK", try_no=2)
    assert row["client_key"] == key
    wait_until(lambda: not taken or database.result(late)["rev"] == 1, 20, "the late report", fail=a.dead_text)
    oracle.check()


def test_many_operators_at_once(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    ids = held(database, sim, a, oracle, 3, taken=False)
    argv = [paths.program("mtrelayctl"), "-c", a.config_path, "unknown", "resolve"]
    for msg in ids:
        all_of = [subprocess.Popen(argv + [str(msg), word] + list(WHO) + more, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                  for word, more in (("resend", [YES]), ("resend", [YES]), ("sent", []), ("failed", []))]
        texts = [p.communicate(timeout=60)[1].decode() for p in all_of]
        assert sorted(p.returncode for p in all_of)[0] == 0, texts
        # "sent" of what somebody sends again just now may find it UNKNOWN once more; nothing else is decided twice.
        assert 1 <= len(events(database, msg)) <= 2, events(database, msg)
        assert sum(p.returncode == 0 for p in all_of) == len(events(database, msg)), texts
    sim.resume_reports()
    a.stop()
    oracle.check(all_done=False, allow_wrong=ids)


# ---- requeue --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("running", [True, False])
def test_requeue_of_what_certainly_failed(database, sim, agent, oracle, running):
    a = agent(start=False, **policy("hold"))
    a.start()
    refuse_results(database)
    sim.rule(reject=6, name="no")
    msg = database.insert(body="once more")
    oracle.expect(msg)
    wait_status(database, a, HELD, msg)
    sim.clear_rules("no")
    row = row_of(database, msg)[0]
    assert row["pend_class"] == "FAIL"
    for word in ("sent", "failed", "resend"):
        assert "the outcome of message %d is known (FAIL " % msg in resolve(a, msg, word, status=2)
    assert row_of(database, msg)[0]["fence"] == row["fence"]
    if not running:
        a.stop()
    refuse_results(database, False)
    done = a.ctl("requeue", msg, *WHO)
    assert "is READY and is sent anew" in done.stdout
    assert events(database, msg) == [("op_requeue", "kim", WHO[3], HELD, READY)]
    if not running:
        now = row_of(database, msg)[0]
        assert (now["status"], now["generation"], now["first_sent_at"], now["pend_class"]) == \
            (READY, row["generation"] + 1, None, None)
        a.start()
    got = database.wait_result(msg, fail=a.dead_text, result_class="OK", try_no=2)
    assert got["client_key"] != row["client_key"]
    oracle.check()


def test_requeue_is_only_for_what_certainly_failed(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    msg, = held(database, sim, a, oracle)
    done = a.ctl("requeue", msg, *WHO, check=False)
    assert done.returncode == 2 and "may have been taken" in done.stderr and "resend" in done.stderr
    refuse_results(database)
    sim.resume_reports()
    wait_until(lambda: row_of(database, msg)[0]["pend_class"] == "OK", 20, "the outcome", fail=a.dead_text)
    done = a.ctl("requeue", msg, *WHO, check=False)
    assert done.returncode == 2 and "is known (OK 0000)" in done.stderr
    assert events(database, msg) == []
    refuse_results(database, False)
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 4" % database.later_sql(-1))
    database.wait_result(msg, fail=a.dead_text, result_class="OK")
    oracle.check()


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_what_is_refused_changes_nothing(database, sim, agent, oracle):
    a = agent(start=False, **policy("hold"))
    msg, = held(database, sim, a, oracle)
    done = database.insert("010-0000-0001")
    oracle.expect(done)
    database.wait_result(done, fail=a.dead_text, result_class="FAIL")
    a.stop()
    before = row_of(database, msg)
    key = before[0]["client_key"]
    commands = [["unknown", "resolve", msg, w] for w in ("sent", "failed", "resend")] + [["requeue", msg]]
    for command in commands:
        for who in ([], ["--by", "kim"], ["--reason", "x"], ["--by", " ", "--reason", "x"], ["--by", "kim", "--reason", ""]):
            got = a.ctl(*command, *who, check=False)
            assert got.returncode == 64 and "--by" in got.stderr, got.stderr
        for who in (["--by", "k" * 65, "--reason", "x"], ["--by", "kim", "--reason", "가" * 201]):
            got = a.ctl(*command, *who, check=False)
            assert got.returncode == 64 and "at most" in got.stderr, got.stderr
    for wrong in (["unknown"], ["unknown", "resolve", msg, *WHO], ["unknown", "resolve", msg, "delivered", *WHO],
                  ["unknown", "resolve", "x", "sent", *WHO], ["unknown", "resolve", msg, "sent", YES, *WHO],
                  ["unknown", "resolve", msg, msg, "sent", *WHO], ["requeue", *WHO], ["requeue", msg, YES, *WHO]):
        assert a.ctl(*wrong, check=False).returncode == 64, wrong
    assert row_of(database, msg) == before
    for gone, word in ((done, "is done, it has its result FAIL"), (987654, "there is no message 987654")):
        for command in (["unknown", "resolve", gone, "sent"], ["requeue", gone]):
            got = a.ctl(*command, *WHO, check=False)
            assert got.returncode == 2 and word in got.stderr, got.stderr
    for status, word in ((READY, "READY"), (SENDING, "SENDING"), (ACCEPTED, "ACCEPTED"), (DEFERRED, "DEFERRED")):
        database.execute("UPDATE {p}send SET status = ? WHERE msg_id = ?", (status, msg))
        for command in commands:
            got = a.ctl(*command, *WHO, check=False)
            assert got.returncode == 2 and "is %s: " % word in got.stderr and "Nothing was changed" in got.stderr, got.stderr
    database.execute("UPDATE {p}send SET status = 4 WHERE msg_id = ?", (msg,))
    assert row_of(database, msg) == before
    for column, value, word in (("expire_at", database.later_sql(-620), "was over 10 min ago"), ("cancel_yn", "'y'", "cancel_yn"),
                                ("first_sent_at", database.later_sql(-47 * 3600), "too near"),
                                ("generation", "63", "no further key"), ("client_key", "'mine'", "was never sent"),
                                ("client_key", "NULL", "was never sent")):
        database.execute("UPDATE {p}send SET %s = %s WHERE msg_id = ?" % (column, value), (msg,))
        assert word in resolve(a, msg, "resend", YES, status=2), column
        database.execute("UPDATE {p}send SET expire_at = NULL, cancel_yn = 'N', generation = 0, client_key = ?, first_sent_at = "
                         "last_sent_at WHERE msg_id = ?", (key, msg))
    assert row_of(database, msg)[0]["fence"] == before[0]["fence"] and events(database, msg) == []
    assert not database.rows("try", order="id")
    got = a.ctl("unknown", "resolve", 987654, "sent", *WHO, "--json", check=False)
    assert got.returncode == 2 and json.loads(got.stdout)["ok"] is False
    got = a.ctl_json("unknown", "resolve", msg, "failed", *WHO)
    assert got == {"ok": True, "msg_id": msg, "from": "HELD", "to": "UNKNOWN 8002", "keeps_key": False}
    oracle.check()
