"""From INSERT to result row, on each database: every outcome with its code, and what an operator may do meanwhile."""

import json

import pytest

from lib.db import Sql
from lib.wait import wait_until

M = "010-0000-%04d"     # recipients with a meaning, see tests/sim/mtsim.py
CLOSE = {"report": {"close_after": "2500ms", "window": "20s"}, "times": {"row_lease": "2s", "write_deadline": "300ms"}}


def test_three_columns_are_enough(database, sim, agent, oracle):
    a = agent()
    msg = database.insert("010-1234-5678", "hello 안녕")
    oracle.expect(msg)
    row = database.wait_result(msg, fail=a.dead_text, result_class="OK", result_code="0000", sent_type="SMS",
                               asked_type="AUTO", rev=0, late="N", read_yn="N", leg=0, try_no=1, channel="infobip")
    assert row["owner"] == "test-1" and row["sent_at"] and row["done_at"] and row["client_key"]
    assert row["recipient"] == "010-1234-5678"
    truth = sim.truth()[row["client_key"]]
    assert truth.to == "821012345678" and truth.text == "hello 안녕" and truth.sender == "15880000"
    oracle.check()
    a.stop()


def one_fate(database, a, oracle, number, cls, starts):
    good = [database.insert("010-2000-%04d" % i, "neighbour %d" % i) for i in range(3)]
    msg = database.insert(M % number, "fate")
    row = database.wait_result(msg, fail=a.dead_text, result_class=cls)
    assert row["result_code"].startswith(starts) and row["result_code"] != ""
    for g in good:
        database.wait_result(g, result_class="OK")
    oracle.expect(msg, *good)
    oracle.check()


@pytest.mark.parametrize("number,cls,starts", [
    (1, "FAIL", "7099"),      # rejected in the answer
    (2, "FAIL", "4"),         # undeliverable
    (14, "OK", "0000"),       # report before the answer
    (17, "OK", "0000"),       # missing in the answer and taken: found by asking
    (21, "OK", "0000"),       # a report that says duplicate is no failure
])
def test_each_fate_has_its_class(database, sim, agent, oracle, number, cls, starts):
    one_fate(database, agent(), oracle, number, cls, starts)


def test_missing_in_the_answer_and_not_taken_is_sent_again_after_the_quiet_time(database, sim, agent, oracle):
    a = agent()
    sim.config(rejected_ids="free")
    sim.rule(missing="refused", match={"to": "821055556666"}, times=1)
    msg = database.insert("010-5555-6666", "twice handed over, once received")
    database.wait_result(msg, 30, fail=a.dead_text, result_class="OK", try_no=2)
    oracle.expect(msg)
    oracle.check()


@pytest.mark.db("sqlite")
@pytest.mark.parametrize("number,cls,starts", [
    (3, "FAIL", "4011"),      # expired at the provider
    (6, "FAIL", ""),          # accepted, then reported as rejected
    (7, "OK", "0000"),        # delivered to operator, then to handset
    (9, "OK", "0000"),        # the report comes twice
    (10, "OK", "0000"),       # intermediate report first
    (15, "FAIL", "6"),        # flooding filter
    (20, "FAIL", "9099"),     # a status that no map knows: class by its group
])
def test_fates_that_do_not_depend_on_the_database(database, sim, agent, oracle, number, cls, starts):
    one_fate(database, agent(), oracle, number, cls, starts)


def test_a_batch_that_was_taken_in_part(database, sim, agent, oracle):
    a = agent(start=False)
    ids = [database.insert(M % (1 if i % 3 == 0 else 100 + i), "part %d" % i) for i in range(30)]
    oracle.snapshot()
    a.start()
    for i, msg in enumerate(ids):
        database.wait_result(msg, fail=a.dead_text, result_class="FAIL" if i % 3 == 0 else "OK")
    oracle.check()


def test_expired_unsent_also_while_the_channel_is_stopped(database, sim, agent, oracle):
    a = agent()
    a.ctl("pause", "infobip")
    late = database.insert(body="too late", expire_at=database_sql(database, 0.5))
    msg = database.insert(body="in time")
    database.wait_result(late, fail=a.dead_text, result_class="FAIL", result_code="3008")
    assert database.result(msg) is None
    assert not sim.truth()
    a.ctl("resume", "infobip")
    database.wait_result(msg, result_class="OK")
    oracle.expect(late, msg)
    oracle.check()


def ctl_json(a, *words):
    return json.loads(a.ctl("--json", *words).stdout)


def database_sql(database, seconds):
    return Sql(database.later_sql(seconds))


def test_cancelled_before_and_too_late(database, sim, agent, oracle):
    a = agent()
    waits = database.insert(body="cancelled", send_at=database_sql(database, 3600), group_key="g1")
    sent = database.insert(M % 11, "too late to cancel", group_key="g1")       # delivered after 3 s
    wait_until(lambda: database.one("SELECT status FROM {p}send WHERE msg_id = ?", (sent,)) == 2, 10, "accepted",
               fail=a.dead_text)
    database.execute("UPDATE {p}send SET cancel_yn = 'Y' WHERE group_key = 'g1'")
    database.wait_result(waits, result_class="FAIL", result_code="3007")
    database.wait_result(sent, result_class="OK", result_code="0000")
    oracle.expect(waits, sent)
    oracle.check()


def test_reserved_for_later(database, sim, agent):
    a = agent()
    msg = database.insert(body="later", send_at=database_sql(database, 2))
    now = database.insert(body="now")
    database.wait_result(now, fail=a.dead_text, result_class="OK")
    assert database.result(msg) is None
    row = database.wait_result(msg, result_class="OK")
    first = database.one("SELECT COUNT(*) AS n FROM {p}result WHERE msg_id = ? AND sent_at < send_at", (msg,))
    assert first == 0, row


def test_no_report_by_the_close_time_and_a_late_one_afterwards(database, sim, agent, oracle):
    a = agent(extra=CLOSE)
    msg = database.insert(M % 5, "no report")
    row = database.wait_result(msg, fail=a.dead_text, result_class="UNKNOWN", result_code="8001", rev=0, late="N")
    database.execute("UPDATE {p}result SET read_yn = 'Y' WHERE msg_id = ?", (msg,))
    sim.inject(row["client_key"], 5, phone=1)
    row = wait_until(lambda: database.result(msg)["rev"] == 1 and database.result(msg), 10, "the revision", fail=a.dead_text)
    assert (row["result_class"], row["result_code"], row["late"], row["read_yn"]) == ("OK", "0000", "Y", "N")
    assert row["changed_at"]
    assert database.count("history", "msg_id = ?", (msg,)) >= 1
    # OK and FAIL never change into each other
    sim.inject(row["client_key"], 9)
    a.wait_log("report.conflict")
    assert database.result(msg)["result_class"] == "OK" and database.result(msg)["rev"] == 1


def test_a_report_that_fits_nothing_is_kept(database, sim, agent):
    a = agent()
    sim.inject("no-key-of-ours-7", 5)
    wait_until(lambda: database.count("report") == 1, 10, "the report in mt_report", fail=a.dead_text)


def test_auto_becomes_sms_or_lms_by_bytes(database, sim, agent):
    a = agent()
    short = database.insert(body="가" * 45)
    long = database.insert(body="가" * 46)
    database.wait_result(short, fail=a.dead_text, sent_type="SMS", result_class="OK")
    row = database.wait_result(long, sent_type="LMS", asked_type="AUTO", result_class="OK")
    assert sim.truth()[row["client_key"]].text == "가" * 46


def test_auto_without_a_route_for_lms_is_too_long(database, sim, agent):
    a = agent(extra={"routes": [{"type": ["SMS"], "channels": ["infobip"]}]})
    msg = database.insert(body="가" * 46)
    database.wait_result(msg, fail=a.dead_text, result_class="FAIL", result_code="2004")


def test_urgent_and_bulk_and_oddly_written_types_all_go_out(database, sim, agent, oracle):
    a = agent()
    ids = [database.insert("010-3000-%04d" % n, "p%d" % p, priority=p, msg_type=t)
           for n, (p, t) in enumerate([(0, "SMS"), (1, " sms "), (2, "Lms"), (0, "auto"), (1, ""), (2, "  AUTO")])]
    for msg in ids:
        database.wait_result(msg, fail=a.dead_text, result_class="OK")
    oracle.expect(*ids)
    oracle.check()


def test_a_repeated_key_while_waiting_and_after_the_result(database, sim, agent):
    a = agent()
    msg = database.insert(body="first", req_key="order-1")
    database.wait_result(msg, fail=a.dead_text, result_class="OK")
    database.insert(body="waits", req_key="order-2", send_at=database_sql(database, 3600))
    with pytest.raises(Exception, match="(?i)unique|duplicate"):
        database.insert(body="repeat", req_key="order-2")
    database.forget()
    again = database.insert(body="again", req_key="order-1")
    database.wait_result(again, result_class="FAIL", result_code="2011")
    assert len([t for t in sim.truth().values() if t.text == "again"]) == 0


def test_a_deleted_row_still_gets_its_result(database, sim, agent):
    a = agent()
    msg = database.insert(M % 11, "deleted while under way")        # delivered after 3 s
    wait_until(lambda: database.one("SELECT status FROM {p}send WHERE msg_id = ?", (msg,)) == 2, 10, "accepted",
               fail=a.dead_text)
    database.execute("DELETE FROM {p}send WHERE msg_id = ?", (msg,))
    database.wait_result(msg, result_class="OK", result_code="0000")


def test_a_row_inserted_with_the_agents_columns_set_is_new(database, sim, agent, oracle):
    a = agent()
    one = database.insert(body="status two", status=2)
    two = database.insert(body="status one", status=1, try_no=7, leg=3, owner="nobody", channel="gone")
    for msg in (one, two):
        database.wait_result(msg, fail=a.dead_text, result_class="OK", leg=0, try_no=1)
    oracle.expect(one, two)
    oracle.check()


def test_a_stop_while_messages_wait_and_a_start_afterwards(database, sim, agent, oracle):
    a = agent(start=False)
    database.insert_many(300)
    oracle.snapshot()
    sim.rule(delay_ms=100)
    a.start()
    wait_until(lambda: database.count("result") > 0, 20, "a first result", fail=a.dead_text)
    a.stop()
    assert database.count("send", "status = 1") == 0, "a drain leaves nothing in SENDING"
    sim.clear_rules()
    a.start()
    database.wait_empty(fail=a.dead_text)
    oracle.check()


def test_status_is_true_and_machine_readable(database, sim, agent):
    a = agent()
    database.wait_result(database.insert(), fail=a.dead_text)
    text = a.ctl("status").stdout
    assert "agent     test-1, version" in text and "infobip is UP" in text
    assert max(len(line) for line in text.splitlines()) <= 100, text
    got = ctl_json(a, "status")
    assert got["pipeline"]["claimed"] == 1 and got["pipeline"]["channels"][0]["state"] == "UP"
    assert got["database_ok"] is True and got["is_frozen"] is False
    assert "messages_accepted        1" in a.ctl("stats").stdout


@pytest.mark.parametrize("locale", ["C", "ko_KR.eucKR"])
def test_the_locale_of_the_host_does_not_matter(database, sim, agent, locale):
    a = agent(env={"LC_ALL": locale, "LANG": locale})
    text = "안녕하세요 €"
    database.wait_result(database.insert(body=text), fail=a.dead_text, result_class="OK", body=text)
    assert [t.text for t in sim.truth().values()] == [text]
    assert a.ctl("check", env={"LC_ALL": locale, "LANG": locale}).stdout.splitlines()[-1].startswith("OK: ")


def test_bodies_and_numbers_are_in_no_log(database, sim, agent):
    a = agent()
    for number in ("010-9876-5432", M % 1, "010-abc"):
        database.wait_result(database.insert(number, "canary-in-the-body"), fail=a.dead_text)
    a.stop()
    assert "canary-in-the-body" not in a.log()
    assert "98765432" not in a.log() and "9876-5432" not in a.log()
    assert sim.key() not in a.log()
