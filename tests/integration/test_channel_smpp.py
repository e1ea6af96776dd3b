"""The main job through an SMPP centre, over TLS: outcomes, texts octet by octet, receipts of all dialects, sessions."""

import calendar
import time

import pytest

from lib import paths
from lib.sim import Sim
from lib.wait import wait_until

pytestmark = pytest.mark.db("sqlite")

M = "010-0000-%04d"     # recipients with a meaning, see tests/sim/mtsim.py
ROUTES = {"routes": [{"type": ["SMS"], "channels": ["smsc"], "on_unknown": "hold"}]}


@pytest.fixture(autouse=True)
def strict(sim):
    """Whatever a test does: what the agent writes is as the specification has it."""
    yield
    if sim.proc.alive():
        sim.smpp_close()
        assert sim.smpp()["faults"] == []


@pytest.fixture
def smsc(sim, agent):
    """smsc(option of the channel...) -> running agent with that channel alone."""
    def make(extra=None, start=True, **options):
        return agent(channels=[sim.smpp_channel(**options)], extra=dict(ROUTES, **(extra or {})), start=start)
    return make


def bound(sim, count=1):
    return sim.stats()["smpp_bound"] == count


def run_out(a, database, oracle, deadline_s=30):
    database.wait_empty(deadline_s, fail=a.dead_text)
    a.stop()
    return oracle.check()


def held(a):
    return {r["msg_id"] for r in a.ctl_json("unknown", "list", "--limit", 100000, check=False)["rows"]}


# ---- outcomes -----------------------------------------------------------------------------------------------------

FATES = {
    1: ("FAIL", "4001"), 2: ("FAIL", "4003"), 3: ("FAIL", "4011"), 4: ("UNKNOWN", "8001"), 5: ("UNKNOWN", "8001"),
    6: ("FAIL", "7099"), 7: ("OK", "0000"), 8: ("FAIL", "4010"), 9: ("OK", "0000"), 10: ("OK", "0000"), 12: ("FAIL", "7099"),
    13: ("UNKNOWN", "8001"), 14: ("OK", "0000"), 15: ("FAIL", "7099"), 16: ("FAIL", "9099"), 17: ("UNKNOWN", "8002"),
    18: ("UNKNOWN", "8002"), 19: ("OK", "0000"), 20: ("FAIL", "4010"), 21: ("OK", "0000"), 22: ("OK", "0000"),
}


@pytest.mark.db("sqlite", "mariadb")
def test_every_outcome(database, sim, smsc, oracle):
    sim.config(report_delay_ms=20)
    a = smsc({"report": {"close_after": "4s", "window": "20s"}, "times": {"row_lease": "3s", "write_deadline": "500ms"}},
             window=50)
    ids = {n: database.insert(M % n, "fate") for n in FATES}
    plain = [database.insert("010-2000-%04d" % n, "neighbour") for n in range(5)]
    oracle.expect(*ids.values(), *plain)
    # What had no answer is held at once, and listed; the rest has its result before the close.
    wait_until(lambda: held(a) >= {ids[17], ids[18]}, 10, "the two without an answer to be held", fail=a.dead_text)
    got = {n: database.wait_result(m, 30, fail=a.dead_text) for n, m in ids.items()}
    assert {n: (r["result_class"], r["result_code"]) for n, r in got.items()} == FATES
    for m in plain:
        r = database.wait_result(m, fail=a.dead_text)
        assert (r["result_class"], r["sent_type"], r["asked_type"], r["channel"]) == ("OK", "SMS", "AUTO", "smsc")
    assert got[22]["try_no"] == 2 and got[2]["provider_id"]
    truth = sim.truth()[got[2]["client_key"]]
    assert (truth.to, truth.sender, truth.text, truth.last["ton"]) == ("821000000002", "15880000", "fate", [3, 0, 1, 1])
    assert truth.last["registered"] == 1 and truth.last["validity"].endswith("R")
    tally = run_out(a, database, oracle)
    assert tally == {"OK": 12, "FAIL": 9, "UNKNOWN": 5}, tally
    assert sim.stats()["smpp_doubles"] == 0


# ---- texts --------------------------------------------------------------------------------------------------------

KOREAN = "안녕하세요, 주문하신 상품이 도착했습니다 "
GSM = "Price: 10€ [a] {b} ~^|\\ é ñ Ü Δ @£$ "


def fill(unit, chars):
    return (unit * (chars // len(unit) + 1))[:chars]


# text, octets of the whole as the phone has them (codec, data_coding), parts
TEXTS = [
    ("hello", "gsm", 0, 1), (GSM, "gsm", 0, 1), (fill("a", 160), "gsm", 0, 1), (fill("a", 161), "gsm", 0, 2),
    (fill("€", 80), "gsm", 0, 1), ("€" * 153, "gsm", 0, 3), (fill("ab", 1530), "gsm", 0, 10),
    (fill(KOREAN, 70), "utf-16-be", 8, 1), (fill(KOREAN, 71), "utf-16-be", 8, 2), (fill(KOREAN, 670), "utf-16-be", 8, 10),
    ("한 😀", "utf-16-be", 8, 1), (fill("😀", 66), "utf-16-be", 8, 2), ("x" + fill("😀", 65), "utf-16-be", 8, 2),
]


def sent_as(codec, text):
    from mtsim import smpp_pdu
    return smpp_pdu.gsm_encode(text) if codec == "gsm" else text.encode(codec)


def check_texts(database, sim, a, texts, split):
    rows = [(database.insert("010-3000-%04d" % n, t[0], msg_type="SMS"), *t) for n, t in enumerate(texts)]
    for msg, text, codec, coding, parts in rows:
        r = database.wait_result(msg, fail=a.dead_text)
        assert (r["result_class"], r["sent_type"]) == ("OK", "SMS"), (text[:20], dict(r))
        # Parts that have ids of their own are counted; of others a centre's receipt says how many there were, if at all.
        assert r["parts"] == parts or (r["parts"] is None and (parts == 1 or split == "payload")), (text[:20], r["parts"])
        t = sim.truth()[r["client_key"]]
        assert t.text == text and t.phone == 1, (text[:20], t)
        raw = [bytes.fromhex(p) for p in t.last["raw"]]
        assert b"".join(raw) == sent_as(codec, text) and t.last["dc"] == coding
        pdus = 1 if split == "payload" else parts
        assert len(raw) == pdus and t.last["how"] == (split if parts > 1 and split != "payload" else t.last["how"])
        if pdus > 1:
            # All but the last are as full as their characters allow.
            full = 153 if codec == "gsm" else 134
            assert all(full - 3 <= len(p) <= full for p in raw[:-1]), [len(p) for p in raw]


@pytest.mark.parametrize("split", ["payload", "udh", "sar"])
def test_texts_octet_by_octet(database, sim, smsc, oracle, split):
    a = smsc(window=20, split=split)
    oracle.expect(*(n + 1 for n in range(len(TEXTS))))
    check_texts(database, sim, a, TEXTS, split)
    assert sim.stats()["smpp_incomplete"] == sim.stats()["smpp_parts_mixed"] == sim.stats()["smpp_parts_repeated"] == 0
    run_out(a, database, oracle)


ALPHABETS = [
    (["ksc5601", "ucs2"], {}, [("안녕 hello", "euc-kr", 14, 1), ("똠방각하", "utf-16-be", 8, 1), (fill("가", 71), "euc-kr", 14, 2),
                               ("홍 😀", "utf-16-be", 8, 1)]),
    (["cp949:0", "ucs2"], {"smpp_default_charset": "cp949"}, [("똠방각하 hello", "cp949", 0, 1), ("é", "utf-16-be", 8, 1)]),
    (["ascii", "latin1", "ucs2"], {}, [("plain {}", "ascii", 1, 1), ("Grüße ½ ÿ", "latin-1", 3, 1), ("€", "utf-16-be", 8, 1),
                                       (fill("ü", 141), "latin-1", 3, 2)]),
    (["ucs2"], {}, [("plain", "utf-16-be", 8, 1)]),
]


@pytest.mark.parametrize("charsets,centre,texts", ALPHABETS, ids=lambda v: "-".join(v) if isinstance(v, list) and isinstance(
    v[0], str) else "")
def test_alphabets_as_configured(database, sim, smsc, charsets, centre, texts):
    sim.config(**centre)
    a = smsc(charsets=charsets, split="udh")
    check_texts(database, sim, a, texts, "udh")
    a.stop()


def test_what_no_alphabet_has_is_refused_before_it_is_sent(database, sim, smsc):
    a = smsc(charsets=["gsm"], parts_max=2)
    korean = database.insert("010-3000-0001", "한글")
    long = database.insert("010-3000-0002", "a" * 307)
    database.wait_result(korean, fail=a.dead_text, result_class="FAIL", result_code="2005")
    database.wait_result(long, fail=a.dead_text, result_class="FAIL", result_code="2004")
    assert sim.stats()["smpp_submits"] == 0


def test_parts_of_which_some_are_put_off_or_refused(database, sim, smsc, oracle):
    a = smsc(split="udh", window=20)
    sim.rule(on="submit", match={"part": 2, "to": "0001$"}, throttle=True, times=1)
    sim.rule(on="submit", match={"part": 3, "to": "0002$"}, reject="RINVDSTADR", times=1)
    sim.rule(on="submit", match={"part": 2, "to": "0003$"}, hang=True, times=1)
    sim.rule(on="submit", match={"part": 2, "to": "0004$"}, outcome="UNDELIV")
    text = "part " * 80
    later, refused, silent, failed = (database.insert("010-2000-%04d" % n, text, msg_type="SMS") for n in (1, 2, 3, 4))
    oracle.expect(later, refused, silent, failed)
    database.wait_result(later, fail=a.dead_text, result_class="OK", parts=3)
    database.wait_result(refused, fail=a.dead_text, result_class="FAIL", result_code="4001")
    database.wait_result(failed, fail=a.dead_text, result_class="FAIL")
    wait_until(lambda: held(a) == {silent}, 10, "the one with a part without an answer", fail=a.dead_text)
    stats = sim.stats()
    # Of the refused one two parts stay at the phone, which is as it is; nothing was sent twice.
    assert stats["smpp_parts_repeated"] == 0 and stats["smpp_incomplete"] == 1
    assert stats["smpp_submits"] == 4 * 3 + 1
    a.stop()
    assert oracle.violations(all_done=False) == []


def test_the_receipt_of_a_part_does_not_speak_for_the_message(database, sim, smsc, oracle):
    """The centre hands our key back, before it has answered all the parts."""
    sim.config(smpp_echo_key=True)
    a = smsc(split="udh", window=20)
    sim.rule(on="submit", match={"part": 1}, before_answer=True)
    sim.rule(on="submit", match={"part": 3}, delay_ms=500, outcome="UNDELIV")
    msg = database.insert("010-2000-0001", "part " * 80, msg_type="SMS")
    oracle.expect(msg)
    database.wait_result(msg, fail=a.dead_text, result_class="FAIL", parts=3)
    assert run_out(a, database, oracle) == {"FAIL": 1}


def test_a_sender_by_name_and_numbers_of_all_forms(database, sim, smsc):
    a = smsc()
    ids = [database.insert("010-2000-0001", "x", sender=s) for s in ("MyShop", "02-123-4567", "+82 2 123 4567", "1588-0000")]
    abroad = database.insert("+81 90 1234 5678", "x", sender="15880000")
    rows = [database.wait_result(m, fail=a.dead_text, result_class="OK") for m in (*ids, abroad)]
    truth = [sim.truth()[r["client_key"]] for r in rows]
    assert [(t.sender, t.last["ton"][:2]) for t in truth[:4]] == [
        ("MyShop", [5, 0]), ("021234567", [2, 1]), ("021234567", [2, 1]), ("15880000", [3, 0])]
    assert (truth[4].to, truth[4].last["ton"][2:]) == ("819012345678", [1, 1])


def test_parameters_of_the_configuration(database, sim, smsc):
    a = smsc(tlvs=["0x1400=text:RESELLER1", "0x1402=int2:7"], user_reference=True, service_type="CMT", source_ton=0, source_npi=1)
    r = database.wait_result(database.insert("010-2000-0001", "x"), fail=a.dead_text, result_class="OK")
    line = sim.truth()[r["client_key"]].last
    assert line["tlv"]["1400"].startswith(b"RESELLER1".hex()) and line["tlv"]["1402"] == "0007"
    assert line["tlv"]["0204"] == "%04x" % r["msg_id"] and line["service"] == "CMT" and line["ton"][:2] == [0, 1]


# ---- receipts -----------------------------------------------------------------------------------------------------

DIALECTS = [
    {}, {"smpp_receipts": "tlv"}, {"smpp_receipts": "text"}, {"smpp_receipts": "text", "smpp_fields": "lower"},
    {"smpp_receipts": "text", "smpp_fields": "upper"}, {"smpp_receipts": "text", "smpp_fields": "order"},
    {"smpp_receipts": "text", "smpp_fields": "few"}, {"smpp_receipts": "text", "smpp_dates": "long"},
    {"smpp_receipts": "text", "smpp_dates": "longer"}, {"smpp_receipts": "text", "smpp_receipt_payload": True},
    {"smpp_receipt_pdu": "data_sm"}, {"smpp_receipt_pdu": "data_sm", "smpp_receipts": "tlv"}, {"smpp_receipt_esm": 0x44},
    {"smpp_network_error": "digits"}, {"smpp_id": "text"}, {"smpp_id": "HEX"},
    {"smpp_echo_key": True, "smpp_id_text": "hexzeros", "smpp_id_tlv": "hexzeros"},
]


def test_dialects_of_receipts(database, sim, smsc, oracle):
    a = smsc()
    for settings in DIALECTS:
        sim.config(**sim.defaults)
        sim.config(report_delay_ms=20, **settings)
        good, bad = database.insert("010-2000-0001", "x"), database.insert(M % 2, "x")
        oracle.expect(good, bad)
        ok = database.wait_result(good, 10, fail=a.dead_text, result_class="OK")
        fail = database.wait_result(bad, 10, fail=a.dead_text, result_class="FAIL")
        # Without its parameter or with digits in it the cause is in the text, if at all.
        assert fail["result_code"] in ("4003", "4010"), (settings, dict(fail))
        assert abs(when(ok["done_at"]) - time.time()) < 90, (settings, ok["done_at"])
        assert ok["provider_id"]
    run_out(a, database, oracle)


def when(text):
    """Seconds of a UTC text of SQLite."""
    return calendar.timegm(time.strptime(str(text)[:19], "%Y-%m-%d %H:%M:%S"))


IDS = [
    ({"smpp_id": "hex", "smpp_id_text": "decimal", "smpp_receipts": "text"}, {"id_submit": "hex", "id_receipt": "decimal"}),
    ({"smpp_id": "hex", "smpp_id_text": "hexzeros", "smpp_id_tlv": "decimal"},
     {"id_submit": "hex", "id_receipt": "hex", "id_tlv": "decimal"}),
    ({"smpp_id": "decimal", "smpp_id_text": "HEX", "smpp_receipts": "text"}, {"id_submit": "decimal", "id_receipt": "hex"}),
    ({"smpp_id": "text", "smpp_id_text": "upper", "smpp_id_tlv": "lower"}, {"id_any_case": True}),
    ({"smpp_id": "zeros", "smpp_id_text": "decimal", "smpp_id_tlv": "decimal"}, {"id_strip_zeros": True}),
]


@pytest.mark.parametrize("centre,options", IDS, ids=lambda v: "-".join(map(str, v.values())))
def test_ids_in_another_form_than_the_answer(database, sim, smsc, centre, options):
    sim.config(**centre)
    a = smsc(**options)
    for n in range(5):
        database.insert("010-2000-%04d" % n, "x")
    database.wait_empty(15, fail=a.dead_text)
    assert database.count("result", "result_class = 'OK'") == 5 and database.count("report") == 0
    a.stop()


@pytest.mark.db("sqlite", "mariadb")
def test_receipts_before_the_answer_twice_and_for_nobody(database, sim, smsc, oracle):
    a = smsc(window=50, sessions=2)
    wait_until(lambda: bound(sim, 2), 10, "two sessions", fail=a.dead_text)
    sim.rule(on="submit", match={"probability": 0.5, "seed": 3}, before_answer=True)
    sim.rule(on="deliver", match={"probability": 0.5, "seed": 4}, repeat_item=2)
    sim.smpp_receipt("4711", "UNDELIV")
    database.insert_many(200, recipient=lambda n: "010-2000-%04d" % n)
    oracle.snapshot()
    database.wait_empty(30, fail=a.dead_text)
    wait_until(lambda: sim.stats()["smpp_deliveries_open"] == 0, 10, "all receipts answered", fail=a.dead_text)
    stats = sim.stats()
    assert stats["smpp_receipts_sent"] >= 250 and stats["smpp_deliveries_refused"] == stats["smpp_deliveries_again"] == 0
    # Kept for the one that may come later; nothing was made of it.
    kept = database.rows("report", "provider_id = '4711'", order="id")
    assert [(r["class"], r["client_key"]) for r in kept] == [("FAIL", None)]
    assert run_out(a, database, oracle) == {"OK": 200}


def test_a_receipt_is_answered_when_it_is_kept_and_not_before(failpoints, database, sim, smsc, oracle):
    """The agent dies when it has the receipt and before its journal does: it comes again."""
    a = smsc(start=False)
    database.insert("010-2000-0001", "x")
    oracle.snapshot()
    a.start(wait=False, failpoint="report_before_mark:kill:1")
    assert a.wait_exit(20) < 0
    assert sim.stats()["smpp_receipts_sent"] == 1 and sim.stats()["smpp_receipts_answered"] == 0
    a.start()
    assert run_out(a, database, oracle) == {"OK": 1}
    assert sim.stats()["smpp_deliveries_again"] == 1 and sim.stats()["smpp_receipts_answered"] >= 1


# ---- messages from phones -----------------------------------------------------------------------------------------


@pytest.mark.db("sqlite", "mariadb")
def test_messages_from_phones(database, sim, smsc):
    a = smsc(charsets=["gsm", "ucs2", "ksc5601"])
    wait_until(lambda: bound(sim), 10, "a session", fail=a.dead_text)
    long = "답장입니다, 감사합니다 😀 " * 12
    phones = {"821012340001": ("네, 감사합니다 😀", {"data_coding": 8}), "821012340002": ("Ok {€}", {"data_coding": 0}),
              "821012340003": ("가나다", {"data_coding": 14}), "821012340004": (long, {"data_coding": 8, "parts": 3}),
              "821012340005": (long, {"data_coding": 8, "parts": 3, "shuffle": True}),
              "821012340006": ("00ff1b", {"data_coding": 4, "hex": "00ff1b"})}
    for sender, (text, more) in phones.items():
        sim.smpp_mo(sender, "15880000", text, **more)
    wait_until(lambda: database.count("recv") == len(phones) + 4, 20, "all in mt_recv", fail=a.dead_text)
    got = {}
    for r in database.rows("recv", order="part, recv_id"):
        assert (r["channel"], r["recipient"], r["read_yn"]) == ("smsc", "15880000", "N")
        got.setdefault(r["sender"], []).append(r)
    assert {sender: "".join(r["body"] for r in rows) for sender, rows in got.items()} == {
        sender: text for sender, (text, _) in phones.items()}
    for sender, (_, more) in phones.items():
        parts = [(r["parts"], r["part"]) for r in got[sender]]
        assert parts == ([(3, n) for n in (1, 2, 3)] if "parts" in more else [(None, None)])
        assert len({r["reference"] for r in got[sender]}) == 1
    wait_until(lambda: all(m["answered"] == m["parts"] for m in sim.smpp()["mo"]), 10, "answers", fail=a.dead_text)
    a.stop()


# ---- less speed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["RTHROTTLED", "RMSGQFUL"])
def test_a_centre_that_asks_for_less(database, sim, smsc, oracle, status):
    a = smsc(window=20, throttle_pause="50ms")
    sim.rule(on="submit", match={"probability": 0.2, "seed": 7}, reject=status, times=20)
    database.insert_many(200, recipient=lambda n: "010-2000-%04d" % n)
    oracle.snapshot()
    a.wait_log(r"channel\.state .*state=THROTTLED")
    assert run_out(a, database, oracle, 60) == {"OK": 200}
    stats = sim.stats()
    assert stats["smpp_submits"] == 200 + stats["smpp_refused"] and stats["smpp_doubles"] == 0
    # And it says when that is over.
    assert a.log().rfind("state=UP") > a.log().rfind("state=THROTTLED")


def test_a_congested_centre_and_one_with_a_rate(database, sim, smsc, oracle):
    a = smsc(window=50, throttle_pause="20ms")
    sim.rule(on="submit", match={"nth": "1-5"}, congestion=95)
    database.insert_many(60, recipient=lambda n: "010-2000-%04d" % n)
    oracle.snapshot()
    assert run_out(a, database, oracle) == {"OK": 60}
    assert sim.stats()["smpp_submits"] == 60


# ---- sessions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["after_read", "before_read", "mid_response"])
def test_a_session_that_is_cut_leaves_unknown_what_had_no_answer(database, sim, smsc, oracle, how):
    a = smsc(window=20, sessions=2, answer_timeout="3s")
    # Nothing is answered before the cut, so that the window is full of the unknown.
    sim.config(answer_delay_ms=150)
    sim.rule(on="submit", match={"nth": 30}, cut=how, **({"cut_at": 9} if how == "mid_response" else {}))
    database.insert_many(100, recipient=lambda n: "010-2000-%04d" % n)
    oracle.snapshot()
    rows = {r["msg_id"] for r in database.rows("send")}
    sim.config(answer_delay_ms=50)
    unknown = wait_until(lambda: rows - {m for m in rows if database.result(m)} == held(a) and held(a), 30,
                         "all but the held to end", fail=a.dead_text)
    answered = {oracle.id_of(t.id) for t in sim.truth().values() if t.answered > 0}
    assert unknown == rows - answered
    assert 0 < len(unknown) <= 20, "the window of one session"
    assert sim.stats()["smpp_submits"] <= 100 and sim.stats()["smpp_doubles"] == 0
    a.stop()
    assert oracle.violations(all_done=False) == []


def test_a_receipt_with_our_key_ends_what_was_unknown(database, sim, smsc, oracle):
    sim.config(smpp_echo_key=True, report_delay_ms=1500)
    sim.rule(on="submit", cut="after_read", times=1)
    a = smsc()
    msg = database.insert("010-2000-0001", "x")
    oracle.expect(msg)
    wait_until(lambda: held(a) == {msg}, 10, "it to be held", fail=a.dead_text)
    database.wait_result(msg, fail=a.dead_text, result_class="OK", try_no=1)
    run_out(a, database, oracle)
    assert sim.stats()["smpp_submits"] == 1


def test_a_late_answer_on_a_session_that_lives(database, sim, smsc, oracle):
    sim.rule(on="submit", delay_ms=2500, match={"to": "0001$"})
    sim.rule(on="submit", delay_ms=2500, match={"to": "0002$"}, reject="RINVDSTADR")
    a = smsc(answer_timeout="1s")
    late, refused = database.insert("010-2000-0001", "x"), database.insert("010-2000-0002", "x")
    oracle.expect(late, refused)
    wait_until(lambda: held(a) == {late, refused}, 10, "both to be held", fail=a.dead_text)
    database.wait_result(late, fail=a.dead_text, result_class="OK", try_no=1)
    database.wait_result(refused, fail=a.dead_text, result_class="FAIL", result_code="4001")
    run_out(a, database, oracle)
    assert sim.stats()["smpp_submits"] == 2


def test_pairs_of_sessions(database, sim, smsc, oracle):
    sim.config(smpp_trx=False)
    a = smsc(bind="pair", sessions=2)
    wait_until(lambda: bound(sim, 4), 10, "two pairs", fail=a.dead_text)
    assert sorted(s["bind"] for s in sim.smpp()["sessions"]) == ["rx", "rx", "tx", "tx"]
    for n in range(20):
        database.insert("010-2000-%04d" % n, "x")
    oracle.expect(*range(1, 21))
    assert run_out(a, database, oracle) == {"OK": 20}
    assert sim.stats()["smpp_unbinds"] == 4


def test_the_other_host_takes_over_and_back(database, sim, smsc, oracle):
    a = smsc(hosts=sim.info["smpp_hosts"])
    first = database.insert("010-2000-0001", "x")
    database.wait_result(first, fail=a.dead_text)
    assert [s["listener"] for s in sim.smpp()["sessions"]] == [0]
    sim.smpp_listen(False, listener=0)
    sim.smpp_close()
    second = database.insert("010-2000-0002", "x")
    database.wait_result(second, fail=a.dead_text)
    assert [s["listener"] for s in sim.smpp()["sessions"]] == [1]
    sim.smpp_listen(True, listener=0)
    sim.smpp_listen(False, listener=1)
    sim.smpp_close()
    third = database.insert("010-2000-0003", "x")
    database.wait_result(third, fail=a.dead_text)
    oracle.expect(first, second, third)
    sim.smpp_listen(True)
    assert run_out(a, database, oracle) == {"OK": 3}


def test_a_wrong_password_is_for_an_operator(database, sim, smsc, folder):
    wrong = paths.write_file(folder + "/wrong", "wrong\n")
    a = smsc(password_file=wrong)
    msg = database.insert("010-2000-0001", "x")
    a.wait_log(r"password_file")
    time.sleep(2)           # no fast loop: accounts are locked by that
    assert 1 <= sim.stats()["smpp_binds_refused"] <= 2
    assert sim.stats()["smpp_submits"] == 0 and database.count("send", "status IN (0, 5)") == 1
    a.config["channels"][0]["password_file"] = sim.info["smpp_password_file"]
    a.write()
    a.ctl("reload")
    database.wait_result(msg, fail=a.dead_text, result_class="OK")
    assert "RINVPASWD" in a.log()
    assert sim.smpp()["last_bind"]["system_id"] == "mtsim"
    with open(sim.info["smpp_password_file"]) as f:
        assert f.read().strip() not in a.log()


@pytest.mark.sim(smpp=True, cert_kind="wronghost")
def test_a_centre_with_another_name_gets_nothing(database, sim, smsc):
    a = smsc(hosts=["localhost:%d" % sim.smpp_port])
    database.insert("010-2000-0001", "x")
    a.wait_log(r"smpp\.session .*retry_ms")
    assert sim.stats().get("smpp_binds_asked", 0) == 0
    assert database.count("send", "status IN (0, 5)") == 1


@pytest.mark.sim(smpp=True, smpp_plain=True)
def test_plain_tcp_on_loopback(database, sim, smsc, oracle):
    a = smsc()
    msg = database.insert("010-2000-0001", "x")
    oracle.expect(msg)
    database.wait_result(msg, fail=a.dead_text, result_class="OK")
    run_out(a, database, oracle)


def test_questions_both_ways(database, sim, smsc):
    a = smsc(enquire_link="200ms")
    wait_until(lambda: sim.stats()["smpp_enquiries"] >= 2, 10, "questions", fail=a.dead_text)
    sim.smpp_enquire()
    wait_until(lambda: sim.stats().get("smpp_enquiries_answered"), 10, "an answer", fail=a.dead_text)
    # A centre that hears and does not speak.
    sim.rule(on="enquire_link", hang=True, name="deaf")
    wait_until(lambda: sim.stats()["smpp_binds"] >= 2, 20, "a new session", fail=a.dead_text)
    sim.clear_rules()
    database.wait_result(database.insert(), fail=a.dead_text, result_class="OK")


def test_a_centre_that_ends_sessions(database, sim, smsc, oracle):
    a = smsc(sessions=2, window=20)
    wait_until(lambda: bound(sim, 2), 10, "two sessions", fail=a.dead_text)
    sim.config(answer_delay_ms=100)
    database.insert_many(60, recipient=lambda n: "010-2000-%04d" % n)
    oracle.snapshot()
    wait_until(lambda: sim.stats()["smpp_submits"] > 10, 10, "messages under way", fail=a.dead_text)
    assert sim.smpp_unbind() == 2
    # What was under way was answered before the sessions ended: nothing is unknown.
    assert run_out(a, database, oracle) == {"OK": 60}
    assert sim.stats().get("smpp_unbinds_answered") == 2 and sim.stats()["smpp_doubles"] == 0


def test_the_end_waits_for_answers_and_unbinds(database, sim, smsc, oracle):
    a = smsc(window=20, answer_timeout="5s")
    sim.config(answer_delay_ms=800)
    database.insert_many(10, recipient=lambda n: "010-2000-%04d" % n)
    oracle.snapshot()
    wait_until(lambda: sim.stats()["smpp_submits"] == 10, 10, "all under way", fail=a.dead_text)
    a.stop()
    assert sim.stats()["smpp_unbinds"] == 1
    assert database.count("send", "status IN (1, 3, 4)") == 0
    a.start()
    assert run_out(a, database, oracle) == {"OK": 10}


def test_a_bind_that_is_not_answered_and_one_that_comes_too_early(database, sim, smsc):
    sim.rule(on="bind", hang=True, times=1)
    sim.rule(on="bind", reject="RALYBND", match={"nth": 1})
    a = smsc()
    database.wait_result(database.insert(), 30, fail=a.dead_text, result_class="OK")
    assert sim.stats()["smpp_binds"] == 1


def test_a_centre_of_version_33_gets_no_parameters(database, sim, smsc):
    sim.config(smpp_version=0x33)
    a = smsc(user_reference=True)
    msg = database.insert("010-2000-0001", "a" * 400, msg_type="SMS")
    row = database.wait_result(msg, fail=a.dead_text, result_class="OK", parts=3)
    line = sim.truth()[row["provider_id"]].last
    assert line["how"] == "udh" and line["tlv"] == {}


def test_sessions_and_windows_are_shown(database, sim, smsc):
    a = smsc(sessions=2, window=7)
    wait_until(lambda: bound(sim, 2), 10, "two sessions", fail=a.dead_text)
    database.wait_result(database.insert(), fail=a.dead_text)
    facts = a.ctl_json("status")["pipeline"]["channels"][0]["facts"]
    words = dict(w.split("=", 1) for w in facts.split())
    assert words["sessions"] == "2/2" and words["bound"] == "TRX" and words["window"] == "0/14", facts
    assert words["accepted"] == words["receipts"] == "1" and words["tls"].startswith("TLSv1.") and words["centre"] == "mtsim", facts
    assert "2/2" in a.ctl("status").stdout


def test_mtrelayctl_check_binds(sim, smsc, folder):
    a = smsc(start=False)
    done = a.ctl("check", check=False)
    assert "binds" in done.stdout and sim.stats()["smpp_binds"] == 1, done.stdout + done.stderr
    a.config["channels"][0]["password_file"] = paths.write_file(folder + "/wrong", "wrong\n")
    a.write()
    done = a.ctl("check", check=False)
    assert done.returncode != 0 and "RINVPASWD" in done.stdout + done.stderr


def test_two_channels_the_next_one_takes_what_the_first_certainly_did_not(database, sim, agent, oracle):
    with Sim(smpp=True) as other:
        first = dict(other.smpp_channel("first"))
        a = agent(channels=[first, sim.smpp_channel()], extra={"routes": [{"type": ["SMS"], "channels": ["first", "smsc"]}]})
        wait_until(lambda: bound(other) and bound(sim), 10, "both to be bound", fail=a.dead_text)
        other.smpp_listen(False)
        other.smpp_close()
        a.wait_log(r"channel=first state=DOWN")
        msg = database.insert("010-2000-0001", "x")
        oracle.expect(msg)
        database.wait_result(msg, fail=a.dead_text, result_class="OK", channel="smsc")
        run_out(a, database, oracle)
