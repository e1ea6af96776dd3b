"""Hours that come once a year: a database that lost its last commits, a freeze, a reload and an end in the middle of it.

Each of these went wrong once.  Where a second sending would be the fault, the provider does not recognise a key that it had
before (dedupe off), so that it reaches the phone and the oracle sees it.
"""

import contextlib
import signal
import socket
import sqlite3
import time

import pytest

from lib.conf import Raw
from lib.wait import wait_until

pytestmark = pytest.mark.db("sqlite")

QUICK = {"times": {"quiet_time": "700ms", "unknown_look": "100ms", "care_pass": "100ms"}}
ASK = {"log_queries_per_minute": 6000}
TWO = {"channels": [{"name": "one", "driver": "null"}, {"name": "two", "driver": "null"}],
       "extra": {"routes": [{"type": ["SMS"], "channels": ["one"]}, {"type": ["LMS"], "channels": ["two"]}]}}
SEND = "/sms/3/messages"


def in_memory(a):
    return a.ctl_json("status")["pipeline"]["in_memory"]


def accepted_and_settled(database, a, count=1):
    """The provider has them, the database knows it, and the agent knows that the database does."""
    wait_until(lambda: database.count("send", "status = 2") == count, 20, "%d accepted" % count, fail=a.dead_text)
    wait_until(lambda: in_memory(a) == 0, 10, "nothing under way", fail=a.dead_text)


def stats(a):
    return a.ctl_json("stats")["stats"]


def handed_over(sim):
    """Messages in requests that the provider has read."""
    return sim.stats().get("items_in", 0)


def run_out(a, database, oracle, deadline_s=30):
    database.wait_empty(deadline_s, fail=a.dead_text)
    a.stop()
    oracle.check()
    assert {r["result_class"] for r in database.rows("result")} == {"OK"}


# ---- commits that the database lost ----


@contextlib.contextmanager
def put_back(database):
    """Remembers the database as it is now; at the end it is that again. The agents are to be dead by then."""
    with contextlib.closing(sqlite3.connect(":memory:")) as copy:
        database.conn.backup(copy)
        yield
        database.forget()
        copy.backup(database.conn)
    database.forget()


def test_a_row_whose_settle_was_lost_is_not_taken_for_an_unsent_one(failpoints, database, sim, agent, oracle):
    """The scan for the rows of a claim whose COMMIT is in doubt meets a row whose attempt the journal has seen."""
    a = agent(start=False, channel=ASK, extra=QUICK)
    sim.config(dedupe="off")
    sim.pause_reports()
    a.start(failpoint="claim_after_commit:unsure:2")
    victim = database.insert("010-2000-0001", "victim")
    accepted_and_settled(database, a)
    database.execute("UPDATE {p}send SET status = 1, fence = fence - 1, provider_id = NULL, channel = NULL")
    second = database.insert("010-2000-0002", "second")
    a.wait_log(r"claim\.failed .*class=UNSURE")
    # The provider's log of sendings tells what became of it.
    database.wait_result(victim, fail=a.dead_text, result_class="OK", try_no=1)
    accepted_and_settled(database, a)
    assert stats(a)["unknown_resolved"] == 1 and handed_over(sim) == 2
    sim.resume_reports()
    oracle.expect(victim, second)
    run_out(a, database, oracle)


@pytest.mark.parametrize("died", ["settled", "answered", "marked"])
def test_a_start_on_a_copy_without_the_last_commits_texts_nobody_twice(failpoints, database, sim, agent, oracle, died):
    """The claims of three messages are missing in the copy: not even their keys are known there.

    died: the agent ended when the database had acknowledged everything, when only the journal had the answer, or between
    the journal's mark and the first byte."""
    a = agent(start=False, channel=ASK, extra=QUICK)
    sim.config(dedupe="off")
    a.start(failpoint={"answered": "answer_after_mark:kill:2", "marked": "wire_after_mark:kill:2"}.get(died))
    first = database.insert("010-2000-0001", "before the copy")
    database.wait_result(first, fail=a.dead_text, result_class="OK")
    a.ctl("pause", "infobip")
    database.insert_many(3, body=lambda n: "lost %d" % n)
    lost = {r["msg_id"] for r in database.rows("send")}
    sim.pause_reports()
    with put_back(database):
        a.ctl("resume", "infobip")
        if died == "settled":
            accepted_and_settled(database, a, 3)
            a.kill9()
        else:
            assert a.wait_exit() == -signal.SIGKILL
    assert database.count("send", "status = 0") == 3
    oracle.expect(first, *lost)
    a.start()
    line = a.wait_log(r"relay\.frozen .*lost acknowledged commits.* touched=(\d+) .*every listed agent has replayed")
    assert int(line.group(1)) == 3
    assert database.one("SELECT frozen FROM {p}meta") == "N"
    assert [h["event"] for h in database.rows("history", "event IN ('freeze', 'unfreeze')", order="id")] == \
        ["freeze", "unfreeze"]
    sim.resume_reports()
    run_out(a, database, oracle)
    # What had reached the provider was asked for, what had not was sent again after the quiet time.
    assert handed_over(sim) == 4
    tries = {r["try_no"] for r in database.rows("result") if r["msg_id"] in lost}
    assert tries == ({2} if died == "marked" else {1})


def test_a_copy_without_the_last_claim_of_a_row_under_way_is_told_of_it(database, sim, agent, oracle):
    """In the copy the row is SENDING, with the first of two legs. The second has arrived, and nobody may send it once more."""
    a = agent(start=False, channel=ASK, extra=dict(QUICK, routes=[{"type": ["LMS", "SMS"], "channels": ["infobip"]}]))
    sim.config(dedupe="off")
    sim.pause_reports()
    sim.rule(reject=6, times=1, delay_ms=2500, match={"text": "^first"})
    a.start()
    msg = database.insert("010-2000-0001", "first leg", msg_type="LMS", fallback_type="SMS", fallback_body="second leg")
    wait_until(lambda: handed_over(sim) == 1 and database.count("send", "status = 1") == 1, 20, "the first leg at the provider",
               fail=a.dead_text)
    oracle.snapshot()
    with put_back(database):
        accepted_and_settled(database, a)
        assert database.one("SELECT leg FROM {p}send") == 1
        a.kill9()
    assert database.query("SELECT status, leg, try_no FROM {p}send") == [{"status": 1, "leg": 0, "try_no": 1}]
    a.start()
    a.wait_log(r"relay\.frozen .*lost acknowledged commits.* touched=1 ")
    wait_until(lambda: stats(a)["unknown_resolved"] == 1, 20, "the second leg found", fail=a.dead_text)
    sim.resume_reports()
    run_out(a, database, oracle)
    assert handed_over(sim) == 2
    assert [(r["leg"], r["sent_type"], r["asked_type"], r["msg_id"]) for r in database.rows("result")] == [(1, "SMS", "LMS", msg)]


def test_a_row_that_another_agent_claimed_anew_is_not_sent_again(failpoints, database, sim, agent, oracle):
    """The copy does not have the claim of the one; the other claimed the row as it stands there, dies, and can prove that it has
    sent nothing. Only the journal of the one knows that somebody did."""
    a, b = (agent(start=False, channel=ASK, extra=QUICK) for _ in range(2))
    sim.config(dedupe="off")
    sim.pause_reports()
    a.start()
    a.ctl("pause", "infobip")
    database.insert("010-2000-0001", "claimed twice")
    oracle.snapshot()
    with put_back(database):
        a.ctl("resume", "infobip")
        accepted_and_settled(database, a)
        a.kill9()
    b.start(wait=False, failpoint="claim_after_commit:kill:1")
    assert b.wait_exit() == -signal.SIGKILL
    assert database.query("SELECT status, try_no FROM {p}send") == [{"status": 1, "try_no": 1}]
    a.start()
    a.wait_log(r"relay\.frozen .*lost acknowledged commits.* touched=1 ")
    b.start()
    wait_until(lambda: database.one("SELECT frozen FROM {p}meta") == "N", 20, "the end of the freeze", fail=a.dead_text)
    sim.resume_reports()
    database.wait_empty(20, fail=a.dead_text)
    b.stop()
    run_out(a, database, oracle)
    assert handed_over(sim) == 1


def test_a_copy_without_the_last_resend_is_noticed(database, sim, agent, oracle):
    """No claim is missing in it, but an attempt is."""
    a = agent(start=False, channel=ASK, extra={"times": dict(QUICK["times"], quiet_time="3s")})
    sim.config(dedupe="off")
    sim.pause_reports()
    sim.rule(cut="before_read", times=1)
    a.start()
    msg = database.insert("010-2000-0001", "sent again")
    wait_until(lambda: database.count("send", "status = 3") == 1, 20, "an unknown outcome", fail=a.dead_text)
    oracle.snapshot()
    with put_back(database):
        accepted_and_settled(database, a)
        assert stats(a)["resends"] == 1
        a.kill9()
    assert database.query("SELECT status, try_no FROM {p}send") == [{"status": 3, "try_no": 1}]
    a.start()
    a.wait_log(r"relay\.frozen .*lost acknowledged commits.* touched=1 ")
    assert database.one("SELECT try_no FROM {p}send WHERE msg_id = ?", (msg,)) == 2
    sim.resume_reports()
    run_out(a, database, oracle)
    assert handed_over(sim) == 1


def test_a_recovery_that_meets_a_deadlock_tries_again(failpoints, database, sim, agent, oracle):
    a = agent(start=False)
    database.insert_many(20, msg_type="SMS")
    oracle.snapshot()
    a.start(wait=False, failpoint="answer_after_mark:kill:1")
    assert a.wait_exit() == -signal.SIGKILL
    assert database.count("send", "status = 1") == 20
    a.start(failpoint="settle_before_commit:again:1")
    assert a.log_has(r"relay\.waiting for=recovery class=AGAIN") and a.log_has(r"relay\.recovered .*answered=20")
    run_out(a, database, oracle)


# ---- a freeze ----


def test_a_freeze_stops_what_is_being_claimed(failpoints, database, sim, agent, oracle):
    a = agent(start=False, extra={"times": {"write_deadline": "12s", "row_lease": "30s"}})
    # Another agent that has not told what its journal knows: the freeze stays.
    database.execute("INSERT INTO {p}agent (agent_id) VALUES ('silent')")
    database.insert_many(20, msg_type="SMS")
    oracle.snapshot()
    a.start(failpoint="claim_after_commit:stall=4000:1")
    wait_until(lambda: database.count("send", "status = 1") == 20, 20, "a claim", fail=a.dead_text)
    database.execute("UPDATE {p}meta SET frozen = 'Y', freeze_reason = 'test', freeze_epoch = freeze_epoch + 1")
    a.wait_log(r"relay\.frozen", 3)
    wait_until(lambda: database.count("send", "status = 0") == 20, 20, "everything given back", fail=a.dead_text)
    assert handed_over(sim) == 0
    assert database.count("send", "first_sent_at IS NOT NULL") == 0
    a.ctl("unfreeze", "--by", "test", "--reason", "replayed")
    run_out(a, database, oracle)


def test_a_heartbeat_that_waited_for_the_database_is_no_jump_of_its_clock(database, agent):
    a = agent(extra={"times": {"heartbeat": "500ms", "agent_lease": "30s"}})
    database.wait_result(database.insert(), fail=a.dead_text)
    until = time.monotonic() + 8        # longer than what counts as a jump
    with contextlib.closing(sqlite3.connect(database.path, timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: time.monotonic() > until, 10, "the end of a long transaction", fail=a.dead_text)
        other.execute("ROLLBACK")
    for _ in range(3):
        beat = database.one("SELECT heartbeat_at FROM {p}agent")
        wait_until(lambda: database.one("SELECT heartbeat_at FROM {p}agent") != beat, 20, "a heartbeat",
                   fail=a.dead_text)
    database.wait_result(database.insert(), fail=a.dead_text, result_class="OK")
    assert not a.log_has(r"clock\.jump|relay\.frozen"), a.log()
    assert database.one("SELECT frozen FROM {p}meta") == "N"


# ---- claims ----


def test_rows_of_a_channel_without_room_are_no_reason_to_spin(database, agent):
    a = agent(**TWO)
    a.ctl("pause", "two")
    waits = database.insert(body="x" * 150, msg_type="LMS")
    database.wait_result(database.insert(msg_type="SMS"), fail=a.dead_text, result_class="OK")
    window_s = 1.5
    used, end = a.proc.cpu_s(), time.monotonic() + window_s
    wait_until(lambda: time.monotonic() > end, 10, "the end of the window", fail=a.dead_text)
    used = a.proc.cpu_s() - used
    assert used < window_s / 2, "%.2f s of CPU in %.1f s" % (used, window_s)
    assert database.result(waits) is None
    a.ctl("resume", "two")
    database.wait_result(waits, fail=a.dead_text, result_class="OK", sent_type="LMS")


def test_a_claim_whose_texts_do_not_fit_gets_smaller(database, agent, oracle):
    """500 rows with 58 KiB of text each are more than one claim may hold in memory."""
    a = agent(start=False, channel={"lms_bytes": 10000},
              extra={"limits": {"body": "20KiB"}, "times": {"agent_lease": "30s", "write_deadline": "10s",
                                                            "row_lease": "60s"}})
    filler = "y" * 16000
    database.insert_many(500, body="b" * 9900, payload='{"a":"%s"}' % filler, vars='{"a":"%s"}' % filler,
                         fallback_body=filler, msg_type="LMS")
    oracle.snapshot()
    a.start()
    run_out(a, database, oracle, 90)
    assert database.count("result") == 500


def test_five_refusals_for_now_do_not_use_up_the_sendings_of_a_message(database, sim, agent, oracle):
    a = agent(channel=ASK, extra=QUICK)
    sim.config(dedupe="off")
    sim.rule(match={"nth": "1-5"}, status=429)
    sim.rule(match={"nth": 6}, cut="after_read", accept=False)
    msg = database.insert("010-2000-0001", "refused five times, then cut off")
    oracle.expect(msg)
    database.wait_result(msg, 40, fail=a.dead_text, result_class="OK", try_no=7)
    assert not database.rows("history", "event LIKE '%hold%' OR event LIKE '%held%'", order="id")
    run_out(a, database, oracle)


# ---- a reload ----


def under_way(database, sim, a, count, **kw):
    """A request with so many messages that the provider has read and not answered."""
    before = handed_over(sim)
    database.insert_many(count, **kw)
    wait_until(lambda: handed_over(sim) == before + count, 10, "%d at the provider" % count, fail=a.dead_text)


def hang_up(a, done):
    a.signal(signal.SIGHUP)
    a.wait_log(r"relay\.reload .*done=%s" % done)


def sizes(sim):
    return [r["items"] for r in sim.requests(SEND)]


def test_a_reload_without_a_change_leaves_messages_under_way_alone(database, sim, agent, oracle):
    a = agent(channel={"answer_timeout": "5s"}, extra={"times": {"row_lease": "30s"}})
    sim.config(answer_delay_ms=800)
    under_way(database, sim, a, 20)
    hang_up(a, "yes")
    oracle.expect(*[r["msg_id"] for r in database.rows("send")])
    assert database.count("send", "status = 1") == 20, "they must still be under way after the reload"
    database.wait_empty(20, fail=a.dead_text)
    got = stats(a)
    assert (got["messages_unsure"], got["messages_accepted"], got["resends"]) == (0, 20, 0)
    run_out(a, database, oracle)


def test_a_channel_with_a_changed_option_ends_what_it_has_before_it_is_opened_anew(database, sim, agent, oracle):
    a = agent(channel={"answer_timeout": "5s"}, extra={"times": {"row_lease": "30s"}})
    sim.rule(delay_ms=800, times=1)
    under_way(database, sim, a, 20, msg_type="SMS")
    first = sizes(sim)
    a.config["channels"][0]["batch"] = 5
    a.write()
    hang_up(a, "yes")
    assert database.count("send", "status = 1") == 20, "they must still be under way after the reload"
    database.insert_many(20, msg_type="SMS")
    oracle.expect(*[r["msg_id"] for r in database.rows("send")])
    database.wait_empty(20, fail=a.dead_text)
    assert database.count("result") == 40
    after = sizes(sim)[len(first):]
    assert sum(after) == 20 and max(after) <= 5, (first, after)
    got = stats(a)
    assert (got["messages_unsure"], got["messages_accepted"], got["resends"]) == (0, 40, 0)
    run_out(a, database, oracle)


@pytest.mark.parametrize("bad", [
    {"agent": Raw("{ id = ;")},                         # cannot be read at all
    {"limits": {"no_such_option": 3}},
    {"channels": "missing_key_file"},
])
def test_a_reload_of_a_bad_file_keeps_the_old_configuration(database, sim, agent, oracle, bad):
    a = agent(channel={"answer_timeout": "5s"}, extra={"times": {"row_lease": "30s"}})
    sim.config(answer_delay_ms=800)
    under_way(database, sim, a, 20)
    oracle.expect(*[r["msg_id"] for r in database.rows("send")])
    if bad.get("channels"):
        bad = {"channels": [dict(a.config["channels"][0], api_key_file=a.dir + "/nowhere")]}
    good = a.config
    a.write(bad)
    hang_up(a, "no")
    sim.config(answer_delay_ms=0)
    after = database.insert("010-2000-0001", "with the old configuration")
    oracle.expect(after)
    database.wait_result(after, fail=a.dead_text, result_class="OK")
    database.wait_empty(20, fail=a.dead_text)
    a.config = good
    a.write()
    hang_up(a, "yes")
    assert stats(a)["messages_unsure"] == 0
    run_out(a, database, oracle)


# ---- the end ----


def test_the_end_comes_soon_although_a_claim_is_under_way(failpoints, database, sim, agent, oracle):
    a = agent(start=False, extra={"times": {"drain": "20s"}})
    database.insert_many(20, msg_type="SMS")
    oracle.snapshot()
    a.start(failpoint="claim_after_commit:stall=1500:1")
    wait_until(lambda: database.count("send", "status = 1") == 20, 20, "a claim", fail=a.dead_text)
    a.signal(signal.SIGTERM)
    assert a.wait_exit(8) == 0, "well before the time to drain is over"
    assert database.count("send", "status = 0") == 20
    assert handed_over(sim) == 0
    a.start()
    run_out(a, database, oracle)


def test_a_page_of_reports_that_is_on_its_way_at_the_end_is_not_lost(database, sim, agent, oracle):
    """The provider hands it out once; the answer comes after SIGTERM."""
    a = agent(channel={"answer_timeout": "5s"}, extra={"times": {"row_lease": "30s"}})
    sim.pause_reports()
    oracle.expect(*[database.insert("010-2000-%04d" % n, "reported at the end") for n in range(5)])
    accepted_and_settled(database, a, 5)
    sim.rule(on="reports", delay_ms=1200)
    sim.resume_reports()
    wait_until(lambda: sim.stats()["reports_handed_out"] == 5, 10, "a page on its way", fail=a.dead_text)
    a.stop()
    sim.clear_rules()
    a.start()
    run_out(a, database, oracle)


def test_signals_are_obeyed_while_the_database_is_waited_for(database, agent):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        a = agent(start=False)
        a.config["database"] = {"driver": "mysql", "host": "127.0.0.1", "port": server.getsockname()[1],
                                "name": "nobody", "user": "nobody"}
        a.write()
        a.start(wait=False)
        for sig in (None, signal.SIGHUP, signal.SIGUSR1, signal.SIGHUP):
            if sig is not None:
                a.signal(sig)
            server.accept()[0].close()          # it tried once more
            assert a.alive()
        a.wait_log(r"relay\.waiting for=database")
        began = time.monotonic()
        a.signal(signal.SIGTERM)
        assert a.wait_exit(10) == 0
        assert time.monotonic() - began < 3, "at once, not after the pause"


def test_a_failed_leg_that_is_reported_again_ends_no_deleted_row(database, sim, agent):
    """The application deleted the row while the second leg was on its way; then the first one's failure came once more."""
    a = agent(extra=QUICK)
    sim.rule(match={"text": "first leg"}, outcome=9, times=1)
    sim.rule(match={"text": "second leg"}, reports=[])
    msg = database.insert("010-2000-0001", "first leg", msg_type="LMS", fallback_type="SMS", fallback_body="second leg")
    wait_until(lambda: database.count("send", "leg = 1 AND status = 2"), 20, "the second leg at the provider", fail=a.dead_text)
    first = database.one("SELECT client_key FROM mt_history WHERE msg_id = %d AND event = 'leg_failed'" % msg)
    second = database.one("SELECT client_key FROM mt_send WHERE msg_id = %d" % msg)
    database.execute("DELETE FROM mt_send WHERE msg_id = %d" % msg)
    sim.inject(first, 9)
    sim.inject(second, 5, phone=1)
    database.wait_result(msg, fail=a.dead_text, result_class="OK", leg=1)
