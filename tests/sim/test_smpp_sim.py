"""Tests of the simulator's SMPP side: by a raw client, by Debian's Net::SMPP and by tshark's decoder."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]

from lib.sim import Sim                                 # noqa: E402
from lib.wait import wait_until                         # noqa: E402
from mtsim import smpp_pdu as wire                      # noqa: E402
from smpp_client import Closed, SmppClient              # noqa: E402

NUMBER = "821012345678"


@pytest.fixture(scope="module")
def servers():
    with Sim(smpp_port="0,0", report_delay_ms=0) as tls, Sim(smpp=True, smpp_plain=True, report_delay_ms=0) as plain:
        for one in (tls, plain):
            one.defaults = one.call("GET", "/config")
        yield {"tls": tls, "plain": plain}


def fresh(one):
    one.smpp_close()
    wait_until(lambda: not one.smpp()["sessions"], 5, "the end of old sessions")
    one.reset()
    one.config(**one.defaults)
    one.smpp_listen(True)
    return one


@pytest.fixture
def sim(servers):
    one = fresh(servers["tls"])
    yield one
    assert one.stats()["internal_errors"] == 0, one.proc.tail()


@pytest.fixture
def plain(servers):
    one = fresh(servers["plain"])
    yield one
    assert one.stats()["internal_errors"] == 0, one.proc.tail()


def receipt_fields(p):
    return dict(zip(("id", "stat", "err"), [p.sm().octets.decode().partition(k)[2].split(" ")[0] for k in ("id:", "stat:", "err:")]))


# ---- sessions -----------------------------------------------------------------------------------------------------


def test_bind_answers(sim):
    with SmppClient(sim, bind=None) as c:
        answer = c.bind("trx")
        assert (answer.command, answer.status, answer.id()) == (0x80000009, 0, "mtsim")
        assert answer.data.endswith(bytes.fromhex("0210000134"))
        assert c.bind("trx").status == 0x05
        assert c.wait(c.ask(wire.ENQUIRE)).status == 0
        assert c.wait(c.ask(wire.UNBIND)).command == 0x80000006
        with pytest.raises(Closed):
            c.read()
    for kw, status in (({"password": "wrong"}, 0x0E), ({}, 0x0F)):
        with SmppClient(sim, bind=None, **kw) as c:
            assert c.bind("rx", *([] if kw else ["nobody"])).status == status
            assert c.wait(c.submit(NUMBER)).status == 0x04
    assert sim.stats()["smpp_binds"] == 1 and sim.stats()["smpp_malformed"] == 2


def test_bind_settings_and_rules(sim):
    sim.config(smpp_binds=1, smpp_version=None)
    with SmppClient(sim, bind=None) as c:
        assert c.bind("trx").data.endswith(b"mtsim\0")
        with SmppClient(sim, host=1, bind=None) as second:
            assert second.bind("trx").status == 0x05
    sim.config(smpp_binds=0, smpp_trx=False)
    with SmppClient(sim, bind=None) as c:
        assert c.bind("trx").status == 0x0D and c.bind("tx").status == 0
    sim.config(smpp_trx=True)
    sim.rule(on="bind", reject="RALYBND", times=1)
    sim.rule(on="bind", match={"nth": 2}, hang=True)
    sim.rule(on="bind", match={"nth": 3}, cut="after_read", how="rst")
    with SmppClient(sim, bind=None) as c:
        assert c.bind("trx").status == 0x05
        c.ask(wire.BIND_TRX, b"mtsim\0%s\0\0\x34\0\0\0" % c.password.encode())
        with pytest.raises(TimeoutError):
            c.read(0.2)
        with pytest.raises(Closed):
            c.bind("trx")
    sim.rule(on="connect", match={"side": "smpp"}, refuse=True, times=1)
    with pytest.raises((Closed, OSError)):
        SmppClient(sim)
    SmppClient(sim).close()


def test_the_other_side_asks(sim):
    with SmppClient(sim) as c:
        assert sim.smpp_enquire() == 1
        assert c.read().command == wire.ENQUIRE
        wait_until(lambda: sim.smpp().get("smpp_enquiries_answered"), 5)
        sim.config(smpp_enquire_ms=50)
        assert c.read().command == wire.ENQUIRE
        sim.config(smpp_enquire_ms=0)
        assert sim.smpp_unbind() == 1
        got = c.read()
        while got.command != wire.UNBIND:
            got = c.read()
        c.send(wire.pdu(wire.RESP | wire.UNBIND, 0, got.sequence))
        with pytest.raises(Closed):
            c.read()
    with SmppClient(sim) as c:
        sim.rule(on="enquire_link", hang=True, times=1)
        first = c.ask(wire.ENQUIRE)
        assert c.wait(c.ask(wire.ENQUIRE)).sequence == first + 1
        sim.smpp_raw(wire.pdu(wire.OUTBIND, 0, 1, b"a\0b\0"))
        assert c.read().command == wire.OUTBIND
        sim.smpp_close("fin")
        with pytest.raises(Closed):
            c.read()
    assert sim.stats()["smpp_malformed"] == 0


def test_a_listener_that_is_closed(sim):
    assert sim.smpp_listen(False, listener=0) == [False, True]
    with pytest.raises(OSError):
        SmppClient(sim)
    SmppClient(sim, host=1).close()
    assert sim.smpp_listen(True) == [True, True]
    SmppClient(sim).close()


@pytest.mark.parametrize("data,answer,lost", [
    (b"\0\0\0\x0f" + b"\0\0\0\x15" + bytes(4) + b"\0\0\0\1", (0x80000000, 2), True),
    (b"\x7f\0\0\0" + b"\0\0\0\x15" + bytes(4) + b"\0\0\0\1", (0x80000000, 2), True),
    (wire.pdu(0x00000777, 0, 9), (0x80000000, 3), False),
    (wire.pdu(wire.SUBMIT, 0, 9, b"\0\0\0"), (0x80000004, 2), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x", tlvs=b"xx"), (0x80000004, 0xC0), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x", esm=0x04), (0x80000004, 0x43), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", "+8210", b"x"), (0x80000004, 0x0B), False),
    (wire.write_sm(wire.SUBMIT, 9, "name too long", NUMBER, b"x", source_ton=(5, 0)), (0x80000004, 0x0A), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x", validity=b"240230"), (0x80000004, 0x62), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"\x80"), (0x80000004, 0x104), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"\x1b"), (0x80000004, 0x104), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, "😀".encode("utf-16-be")[:2], coding=8), (0x80000004, 0x104), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x" * 161), (0x80000004, 1), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x" * 141, coding=3), (0x80000004, 1), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x", tlvs=wire.tlv(wire.PAYLOAD, b"x")), (0x80000004, 0xC4), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x", tlvs=wire.tlv(wire.SAR_REF, b"x")), (0x80000004, 0xC2), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"x", tlvs=wire.tlv(wire.SAR_REF, b"xx")), (0x80000004, 0xC3), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"\5\0\3\1\2\3x", esm=0x40), (0x80000004, 0x43), False),
    (wire.write_sm(wire.SUBMIT, 9, "1588", NUMBER, b"\5\0\3\1", esm=0x40), (0x80000004, 0x43), False),
])
def test_faults_of_a_client_are_refused_and_counted(sim, data, answer, lost):
    with SmppClient(sim) as c:
        c.sequence = 100
        c.send(data)
        got = c.read()
        assert (got.command, got.status) == answer
        if lost:
            with pytest.raises((Closed, TimeoutError)):
                c.wait(c.ask(wire.ENQUIRE), 0.3)
        else:
            assert c.wait(c.ask(wire.ENQUIRE)).status == 0
    view = sim.smpp()
    assert view["smpp_malformed"] == 1 and len(view["faults"]) == 1, view["faults"]
    assert sim.truth() == {}


def test_a_sequence_number_twice(sim):
    with SmppClient(sim) as c:
        c.sequence = 7
        c.wait(c.submit(NUMBER))
        c.sequence = 7
        c.wait(c.submit(NUMBER))
        c.send(wire.pdu(wire.DELIVER_RESP, 0, 4711, b"\0"))
        wait_until(lambda: sim.smpp()["smpp_unexpected"] == 1, 5)
    assert sim.smpp()["smpp_sequence_reused"] == 1 and sim.smpp()["smpp_malformed"] == 2


# ---- messages -----------------------------------------------------------------------------------------------------


KOREAN = "안녕하세요, 홍길동 님"
TEXTS = [
    (0, "gsm", "plain @£$ ÄÖ ñ ü Δ and {}[]~|\\^€"), (1, "ascii", "plain {}~"), (3, "latin-1", "Grüße ½ ÿ"),
    (8, "utf-16-be", KOREAN + " 😀 €"), (14, "euc-kr", KOREAN),
]


@pytest.mark.parametrize("coding,name,text", TEXTS)
def test_alphabets(sim, coding, name, text):
    data = wire.encode(text, name)
    with SmppClient(sim) as c:
        answer = c.wait(c.submit(NUMBER, data, coding=coding, key="k"))
        assert answer.status == 0 and answer.id().isdigit()
        got = receipt_fields(c.receipt())
        assert got == {"id": answer.id(), "stat": "DELIVRD", "err": "000"}
    t = sim.truth()["k"]
    assert (t.text, t.to, t.sender, t.accepted, t.phone, t.outcome, t.answered) == (text, NUMBER, "15880000", 1, 1, "DELIVRD", 1)
    assert (t.last["dc"], t.last["raw"], t.last["how"], t.last["mid"]) == (coding, [data.hex()], "single", [answer.id()])
    assert sim.truth_of("k")["text"] == text
    assert sim.smpp()["faults"] == []


def test_other_default_alphabets(sim):
    sim.config(smpp_default_charset="cp949", smpp_korean="cp949")
    with SmppClient(sim) as c:
        assert c.wait(c.submit(NUMBER, "똠방 뷁".encode("cp949"), key="a")).status == 0
        assert c.wait(c.submit(NUMBER, "똠".encode("cp949"), coding=14, key="b")).status == 0
        sim.config(smpp_korean="euc-kr")
        assert c.wait(c.submit(NUMBER, "똠".encode("cp949"), coding=14, key="c")).status == 0x104
    assert {k: t.text for k, t in sim.truth().items()} == {"a": "똠방 뷁", "b": "똠"}


def pieces(text, size):
    return [text[i:i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("how", ["udh", "udh16", "sar"])
def test_parts_in_any_order(sim, how):
    text = KOREAN * 20
    parts = [(n, p.encode("utf-16-be")) for n, p in enumerate(pieces(text, 66), 1)]
    total = len(parts)
    with SmppClient(sim) as c:
        for n, data in reversed(parts):
            tlvs, esm = b"", 0x40
            if how == "udh":
                data = bytes((5, 0, 3, 9, total, n)) + data
            elif how == "udh16":
                data = bytes((6, 8, 4, 1, 9, total, n)) + data
            else:
                esm = 0
                tlvs = wire.tlv(wire.SAR_REF, b"\1\2") + wire.tlv(wire.SAR_TOTAL, bytes((total,))) + \
                    wire.tlv(wire.SAR_SEQ, bytes((n,)))
            assert sim.stats().get("phone", 0) == 0
            assert c.wait(c.submit(NUMBER, data, esm=esm, coding=8, tlvs=tlvs, key="long")).status == 0
        for _ in parts:
            c.receipt()
    t = sim.truth()["long"]
    assert (t.text, t.accepted, t.phone, t.parts, t.parts_told) == (text, 1, 1, total, total)
    assert t.last["how"] == how[:3] and len(set(t.last["mid"])) == total
    assert bytes.fromhex("".join(t.last["raw"])).decode("utf-16-be") == text
    assert sim.stats()["smpp_incomplete"] == 0 and sim.smpp()["faults"] == []


def test_a_part_is_missing_or_comes_twice(sim):
    with SmppClient(sim) as c:
        for key, n in (("a", 1), ("a", 1), ("a", 2), ("b", 1)):
            ref = 1 if key == "a" else 2
            c.wait(c.submit(NUMBER, bytes((5, 0, 3, ref, 2, n)) + b"x", esm=0x40, key=key))
    truth = sim.truth()
    assert (truth["a"].phone, truth["a"].parts, truth["b"].phone, truth["b"].parts) == (1, 3, 0, 1)
    stats = sim.stats()
    assert (stats["smpp_parts_repeated"], stats["smpp_incomplete"], stats["smpp_parts_mixed"]) == (1, 2, 0)


def test_parts_without_a_key(sim):
    with SmppClient(sim) as c:
        ids = [c.wait(c.submit(NUMBER, bytes((5, 0, 3, 1, 2, n)) + b"x", esm=0x40)).id() for n in (2, 1)]
    t = sim.truth()[ids[0]]
    assert (t.phone, t.text, t.last["mid"]) == (1, "xx", ids[::-1]) and sim.stats()["smpp_parts_mixed"] == 0


def test_payload(sim):
    text = "long " * 300
    with SmppClient(sim) as c:
        c.wait(c.submit(NUMBER, text.encode(), key="p"))
    assert sim.truth()["p"].text == text and sim.truth()["p"].last["how"] == "payload"


def test_keys_are_not_recognised(sim):
    with SmppClient(sim) as c:
        ids = {c.wait(c.submit(NUMBER, key="twice")).id() for _ in range(2)}
    assert len(ids) == 2 and sim.truth()["twice"].phone == 2 and sim.stats()["smpp_doubles"] == 1


def test_without_a_key_the_answer_is_the_id(sim):
    with SmppClient(sim) as c:
        mid = c.wait(c.submit(NUMBER)).id()
    assert sim.truth()[mid].phone == 1


# ---- receipts -----------------------------------------------------------------------------------------------------


def test_registered_delivery(sim):
    with SmppClient(sim) as c:
        for key, registered in (("no", 0), ("yes", 1), ("failures", 2)):
            c.wait(c.submit(NUMBER, key=key, registered=registered))
        mid = c.wait(c.submit("821000000002", registered=2)).id()
        got = [c.receipt() for _ in range(2)]
        assert {receipt_fields(g)["stat"] for g in got} == {"DELIVRD", "UNDELIV"}
        assert receipt_fields(got[1])["id"] == mid
    assert sim.stats()["smpp_receipts_sent"] == 2


@pytest.mark.parametrize("settings,check", [
    ({}, lambda p, mid: p.sm().tlvs[0x1E] == mid.encode() + b"\0" and p.sm().tlvs[0x427] == b"\2" and b"id:" in p.sm().short),
    ({"smpp_receipts": "tlv"}, lambda p, mid: not p.sm().octets and p.sm().tlvs[0x1E] == mid.encode() + b"\0"),
    ({"smpp_receipts": "text"}, lambda p, mid: not p.sm().tlvs and receipt_fields(p)["id"] == mid),
    ({"smpp_receipt_payload": True}, lambda p, mid: not p.sm().short and p.sm().octets.startswith(b"id:" + mid.encode())),
    ({"smpp_receipt_esm": 0x44}, lambda p, mid: p.sm().esm == 0x44),
    ({"smpp_id_text": "hex"}, lambda p, mid: receipt_fields(p)["id"] == "%x" % int(mid)),
    ({"smpp_id": "hex", "smpp_id_text": "decimal"}, lambda p, mid: receipt_fields(p)["id"] == str(int(mid, 16))),
    ({"smpp_id": "hex", "smpp_id_text": "hexzeros"}, lambda p, mid: receipt_fields(p)["id"] == mid.zfill(12)),
    ({"smpp_id": "text", "smpp_id_text": "upper"}, lambda p, mid: receipt_fields(p)["id"] == mid.upper() != mid),
    ({"smpp_dates": "long"}, lambda p, mid: len(p.sm().octets.partition(b"done date:")[2].split(b" ")[0]) == 12),
    ({"smpp_fields": "lower"}, lambda p, mid: b"stat:delivrd" in p.sm().octets),
    ({"smpp_fields": "few"}, lambda p, mid: p.sm().octets == b"id:%s stat:DELIVRD" % mid.encode()),
    ({"smpp_echo_key": True}, lambda p, mid: p.sm().tlvs[0x1401] == b"the key"),
])
def test_dialects(sim, settings, check):
    sim.config(**settings)
    with SmppClient(sim) as c:
        mid = c.wait(c.submit(NUMBER, key="the key")).id()
        got = c.receipt()
        m = got.sm()
        assert (m.source, m.dest, m.esm & 0x3C) == (NUMBER, "15880000", 0x04)
        assert check(got, mid), m.octets


def test_receipts_by_data_sm(sim):
    sim.config(smpp_receipt_pdu="data_sm", smpp_receipts="tlv")
    with SmppClient(sim) as c:
        mid = c.wait(c.submit(NUMBER)).id()
        got = c.receipt()
        assert got.command == wire.DATA and wire.tlv(0x1E, mid.encode() + b"\0") in got.data
        wait_until(lambda: sim.stats()["smpp_receipts_answered"] == 1, 5)


def test_a_receipt_is_sent_again_until_it_is_answered_well(sim):
    with SmppClient(sim, bind="tx") as tx:
        tx.wait(tx.submit(NUMBER))
        with SmppClient(sim, bind="rx") as rx:
            rx.auto = False
            first = rx.receipt()
            rx.send(wire.pdu(wire.DELIVER_RESP, 0x64, first.sequence, b"\0"))
            second = rx.receipt()
            assert second.data[16:] == first.data[16:]
        with SmppClient(sim, host=1, bind="rx") as rx:
            third = rx.receipt()
            assert third.data[16:] == first.data[16:]
            wait_until(lambda: sim.stats()["smpp_receipts_answered"] == 1, 5)
            sim.config(smpp_deliver_timeout_ms=100)
            rx.auto = False
            tx.wait(tx.submit(NUMBER))
            one = rx.receipt()
            two = rx.receipt()
            assert one.data[16:] == two.data[16:]
            rx.send(wire.pdu(wire.DELIVER_RESP, 0, two.sequence, b"\0"))
            wait_until(lambda: sim.stats()["smpp_receipts_answered"] == 2, 5)
    assert sim.smpp()["refusals"] == {"100": 1} and sim.stats()["smpp_malformed"] == 0


def test_the_window_of_receipts(sim):
    sim.config(smpp_window=3)
    with SmppClient(sim) as c:
        c.auto = False
        for n in range(5):
            c.submit(NUMBER)
        got = []
        while len(got) < 3:
            p = c.read()
            if p.command == wire.DELIVER:
                got.append(p)
        with pytest.raises(TimeoutError):
            while True:
                assert c.read(0.2).command != wire.DELIVER
        c.send(b"".join(wire.pdu(wire.DELIVER_RESP, 0, p.sequence, b"\0") for p in got))
        assert c.receipt() and c.receipt()


def test_messages_from_phones(sim):
    with SmppClient(sim) as c:
        n = sim.smpp_mo(NUMBER, "15880000", "네 감사합니다 😀", data_coding=8)
        got = c.receipt().sm()
        assert (got.source, got.dest, got.esm, got.octets.decode("utf-16-be")) == (NUMBER, "15880000", 0, "네 감사합니다 😀")
        wait_until(lambda: sim.smpp()["mo"][n]["answered"] == 1, 5)
        n = sim.smpp_mo(NUMBER, "15880000", "abcdef", data_coding=0, parts=3, shuffle=True)
        got = [c.receipt().sm() for _ in range(3)]
        assert sorted((g.octets[5], g.octets[6:]) for g in got) == [(1, b"ab"), (2, b"cd"), (3, b"ef")]
        wait_until(lambda: sim.smpp()["mo"][n]["answered"] == 3, 5)
        sim.smpp_receipt("no such id", "UNDELIV", error=6, id="late", phone=False)
        got = c.receipt()
        assert receipt_fields(got) == {"id": "no", "stat": "UNDELIV", "err": "006"}
        assert got.sm().tlvs[0x423] == b"\3\0\6"


# ---- recipients with a meaning, faults ------------------------------------------------------------------------------


@pytest.mark.parametrize("n,status,states,phone", [
    (1, 0x0B, [], 0), (2, 0, ["UNDELIV"], 0), (3, 0, ["EXPIRED"], 0), (4, 0, [], 1), (5, 0, ["ENROUTE"], 0), (6, 0, ["REJECTD"], 0),
    (7, 0, ["ACCEPTD", "DELIVRD"], 1), (8, 0, ["UNDELIV", "DELIVRD"], 1), (9, 0, ["DELIVRD"] * 3, 1),
    (10, 0, ["ENROUTE", "DELIVRD"], 1), (12, 0x45, [], 0), (13, 0, ["UNKNOWN"], 1), (15, 0x66, [], 0), (16, 0x401, [], 0),
    (19, 0, ["DELIVRD", "UNDELIV"], 1), (20, 0, ["UNDELIV"], 0), (21, 0, ["STRANGE", "DELIVRD"], 1),
])
def test_recipients_with_a_meaning(sim, n, status, states, phone):
    with SmppClient(sim) as c:
        assert c.wait(c.submit("82100000%04d" % n, key="m")).status == status
        assert [receipt_fields(c.receipt())["stat"] for _ in states] == states
    t = sim.truth()["m"]
    assert (t.phone, t.accepted, t.lied) == (phone, status == 0, n in (8, 19))


def test_silent_early_and_throttled_recipients(sim):
    with SmppClient(sim) as c:
        asked = c.submit("821000000014", key="early")
        assert c.read().command == wire.DELIVER
        assert c.read().sequence == asked
        c.submit("821000000017", key="got")
        c.submit("821000000018", key="not")
        assert c.wait(c.submit("821000000022", key="t")).status == 0x58
        assert c.wait(c.submit("821000000022", key="t")).status == 0
        with pytest.raises(TimeoutError):
            while True:
                got = c.read(0.2)
                assert got.command == wire.DELIVER or got.sequence not in (asked + 1, asked + 2)
    truth = sim.truth()
    assert [(truth[k].phone, truth[k].answered) for k in ("early", "got", "not", "t")] == [(1, 1), (1, 0), (0, 0), (1, 2)]


@pytest.mark.parametrize("do,status,phone,answered", [
    ({"reject": "RMSGQFUL"}, 0x14, 0, 1), ({"reject": "RSYSERR", "accept": True}, 8, 1, 1), ({"throttle": True}, 0x58, 0, 1),
    ({"nack": "RINVCMDID"}, 3, 0, 1), ({"delay_ms": 50}, 0, 1, 1), ({"delay_max_ms": 50}, 0, 1, 1), ({"hang": True}, None, 1, 0),
    ({"hang": True, "accept": False}, None, 0, 0), ({"cut": "before_read"}, "cut", 0, 0), ({"cut": "after_read"}, "cut", 1, 0),
    ({"cut": "after_read", "how": "rst"}, "cut", 1, 0), ({"cut": "mid_response", "cut_at": 17}, "cut", 1, 0),
    ({"cut": "after_read", "accept": False}, "cut", 0, 0), ({"wrong_sequence": True}, None, 1, 0),
    ({"congestion": 80}, 0, 1, 1), ({"message_id": ""}, 0, 1, 1), ({"phone": False}, 0, 0, 1), ({"outcome": "EXPIRED"}, 0, 0, 1),
])
def test_rules_for_submits(sim, do, status, phone, answered):
    sim.rule(do, on="submit", match={"to": "5678$"}, times=1)
    with SmppClient(sim) as c:
        before = c.submit("821099999999", key="before")
        asked = c.submit(NUMBER, key="k")
        assert c.wait(before).status == 0
        if status == "cut":
            with pytest.raises(Closed):
                c.wait(asked)
        elif status is None:
            with pytest.raises((TimeoutError, AssertionError)):
                c.wait(asked, 0.3)
        else:
            answer = c.wait(asked)
            assert answer.status == status
            assert ("congestion" in do) == answer.data.endswith(bytes.fromhex("0428000150"))
    t = sim.truth()["k"]
    assert (t.phone, t.answered) == (phone, answered)
    assert sim.truth()["before"].answered == 1


def test_answers_that_the_session_did_not_live_to_give(sim):
    sim.config(answer_delay_ms=5000)
    with SmppClient(sim) as c:
        for n in range(5):
            c.submit(NUMBER, key="k%d" % n)
        wait_until(lambda: sim.smpp()["sessions"][0]["outstanding"] == 5, 5)
        sim.smpp_close()
    assert [(t.phone, t.answered) for t in sim.truth().values()] == [(1, 0)] * 5
    assert sim.smpp()["max_outstanding"] == 5


def test_repeated_answers_and_receipts_before_them(sim):
    sim.rule(on="submit", repeat_item=2, before_answer=True, times=1)
    with SmppClient(sim) as c:
        asked = c.submit(NUMBER)
        got = [c.read() for _ in range(3)]
        assert [g.command for g in got] == [wire.DELIVER, wire.SUBMIT_RESP, wire.SUBMIT_RESP]
        assert got[1].sequence == got[2].sequence == asked and receipt_fields(got[0])["id"] == got[1].id()


@pytest.mark.parametrize("kind", ["truncated", "wrong_length", "huge_length", "short_length", "no_id_end", "unknown_command",
                                  "submit", "zeros", "long_id"])
def test_garbage(sim, kind):
    sim.rule(on="submit", garbage=kind, times=1)
    with SmppClient(sim) as c:
        c.submit(NUMBER, key="g")
        c.sock.settimeout(5)
        data = c.sock.recv(1000)
    is_right = (data[4:8] == b"\x80\0\0\4" and int.from_bytes(data[:4], "big") == len(data) <= 16 + 65 and data[-1:] == b"\0")
    assert not is_right
    assert (sim.truth()["g"].phone, sim.truth()["g"].answered) == (1, 0)


def test_rules_by_part_probability_and_for_deliveries(sim):
    sim.rule(on="submit", match={"part": 2}, reject="RSYSERR", times=1)
    with SmppClient(sim) as c:
        status = [c.wait(c.submit(NUMBER, bytes((5, 0, 3, 1, 2, n)) + b"x", esm=0x40, key="k")).status for n in (1, 2)]
        assert status == [0, 8]
        assert sim.truth()["k"].phone == 0 and sim.truth()["k"].parts == 1
        c.receipt()
        sim.clear_rules()
        sim.rule(on="submit", match={"probability": 0.3, "seed": 5}, throttle=True)
        assert 10 < sum(c.wait(c.submit(NUMBER)).status == 0x58 for _ in range(60)) < 26
    for cut, seen in (("before_read", 0), ("mid_response", 0), ("after_read", 1)):
        fresh(sim)
        sim.rule(on="deliver", cut=cut, times=1)
        with SmppClient(sim) as c:
            c.auto = False
            n = 0
            try:
                c.submit(NUMBER)
                while True:
                    n += c.read(5).command == wire.DELIVER
            except Closed:
                pass
            assert n == seen
        with SmppClient(sim) as c:
            assert c.receipt()
            wait_until(lambda: sim.stats()["smpp_receipts_answered"] == 1, 5)


def test_a_bad_rule_is_refused(sim):
    for spec in ({"on": "submit", "do": {"status": 5}}, {"on": "submit", "do": {"reject": "NO SUCH"}},
                 {"on": "submit", "do": {"outcome": "NO SUCH"}}, {"on": "submit", "match": {"http": "2"}, "do": {"hang": True}},
                 {"on": "bind", "do": {"throttle": True}}, {"on": "submit", "do": {"garbage": "huge"}},
                 {"on": "submit", "do": {"raw": "xyz"}}):
        with pytest.raises(ValueError):
            sim.rules(spec)


def test_restart_keeps_ports(sim):
    with Sim(smpp_port="0,0") as one:
        hosts, password = one.info["smpp_hosts"], open(one.info["smpp_password_file"]).read()
        one.restart()
        assert one.info["smpp_hosts"] == hosts and open(one.info["smpp_password_file"]).read() == password
        assert len(password.strip()) == 8


@pytest.mark.slow
def test_speed_and_window(plain):
    """Far more than the agent's tests need of one core."""
    plain.config(truth_text="digest", smpp_window=500)
    count = 5000
    with SmppClient(plain) as c:
        began = time.monotonic()
        c.sock.settimeout(None)
        c.auto = False
        answers = receipts = 0
        sent = 0
        while answers < count or receipts < count:
            batch = b""
            while sent < count and sent - answers < 200:
                sent += 1
                batch += wire.write_sm(wire.SUBMIT, sent, "15880000", NUMBER, b"speed", registered=1)
            if batch:
                c.send(batch)
            got = c.read()
            if got.command == wire.SUBMIT_RESP:
                answers += 1
            else:
                receipts += 1
                c.send(wire.pdu(wire.DELIVER_RESP, 0, got.sequence, b"\0"))
        took = time.monotonic() - began
    print("%d messages a second, with their receipts" % (count / took))
    assert plain.stats()["phone"] == count and 100 <= plain.smpp()["max_outstanding"] <= 200


# ---- judges that we did not write ---------------------------------------------------------------------------------

NET_SMPP = r"""
use strict; use warnings; use Net::SMPP;
my ($port, $password) = @ARGV;
my $s = Net::SMPP->new_transceiver("127.0.0.1", port => $port, system_id => "mtsim", password => $password,
	interface_version => 0x34, smpp_version => 0x34, async => 1) or die "connect";
my @calls = (
	sub { $s->submit_sm(destination_addr => "821012345678", source_addr => "15880000", short_message => "from perl", seq => 11,
		registered_delivery => 1, dest_addr_ton => 1, dest_addr_npi => 1, source_addr_ton => 1, source_addr_npi => 1) },
	sub { $s->submit_sm(destination_addr => "821000000001", source_addr => "15880000", short_message => "refused", seq => 12) },
	sub { $s->submit_sm(destination_addr => "821000000002", source_addr => "15880000", short_message => "lost", seq => 13,
		registered_delivery => 1) },
	sub { $s->enquire_link(seq => 14) },
);
my $open = 6;       # three answers, two receipts, enquire_link
my $first = $s->read_pdu() or die "no answer to bind";
printf "bind_resp %d %s %s\n", $first->{status}, $first->{system_id}, unpack("H*", $first->{sc_interface_version} // "");
for my $call (@calls) { $call->(); }
while (my $p = $s->read_pdu()) {
	if ($p->{cmd} == 0x80000004) { printf "submit_sm_resp %d %d %s\n", $p->{seq}, $p->{status}, $p->{message_id} // ""; }
	elsif ($p->{cmd} == 5) {
		printf "deliver_sm %d %s %s %s\n", $p->{esm_class}, $p->{source_addr}, unpack("C", $p->{message_state}),
			$p->{short_message};
		$s->deliver_sm_resp(seq => $p->{seq}, message_id => "");
	} else { printf "0x%08x %d\n", $p->{cmd}, $p->{status}; }
	last if $p->{cmd} == 0x80000006;
	$s->unbind(seq => 15) if --$open == 0;
}
"""


def test_a_foreign_client(plain, tmp_path):
    """Debian's Net::SMPP reads what we write and is read by us."""
    if subprocess.run(["perl", "-MNet::SMPP", "-e", "1"], capture_output=True).returncode:
        pytest.skip("libnet-smpp-perl is not installed")
    with open(plain.info["smpp_password_file"]) as f:
        password = f.read().strip()
    done = subprocess.run(["perl", "-e", NET_SMPP, str(plain.smpp_port), password], capture_output=True, text=True, timeout=30)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines[0] == "bind_resp 0 mtsim 34"
    assert [ln.split()[0] for ln in lines[1:]].count("submit_sm_resp") == 3
    assert "submit_sm_resp 12 11 " in lines
    got = [ln for ln in lines if ln.startswith("deliver_sm")]
    assert len(got) == 2 and got[0].startswith("deliver_sm 4 821012345678 2 id:") and "stat:UNDELIV err:027" in got[1]
    assert "0x80000015 0" in lines and lines[-1] == "0x80000006 0"
    assert plain.smpp()["faults"] == []
    texts = sorted(t.text for t in plain.truth().values())
    assert texts == ["from perl", "lost", "refused"]


def test_tshark_finds_nothing_wrong(plain, tmp_path):
    """A third decoder sees all PDUs of both ways."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    capture = str(tmp_path / "smpp.pcap")
    port = plain.smpp_port
    spy = subprocess.Popen(["tshark", "-q", "-i", "lo", "-f", "tcp port %d" % port, "-w", capture], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    try:
        line = spy.stderr.readline()
        while line and "Capturing" not in line:
            line = spy.stderr.readline()
        if not line:
            pytest.skip("tshark may not capture here")

        def seen_something():
            SmppClient(plain).close()
            return os.path.exists(capture) and os.path.getsize(capture) > 2000
        wait_until(seen_something, 20, "tshark to see something", pause_s=0.1)
        with SmppClient(plain) as c:
            text = KOREAN.encode("utf-16-be")
            for n in (1, 2):
                c.wait(c.submit(NUMBER, bytes((5, 0, 3, 7, 2, n)) + text, esm=0x40, coding=8, key="udh"))
            c.wait(c.submit(NUMBER, b"x" * 300, key="payload"))
            c.wait(c.submit("821000000001"))
            sim_mo = plain.smpp_mo(NUMBER, "15880000", "답장")
            plain.smpp_enquire()
            wait_until(lambda: (c.receipt(), plain.smpp()["mo"][sim_mo]["answered"])[1], 5)
            c.wait(c.ask(wire.ENQUIRE))
            c.wait(c.ask(wire.UNBIND))
        seen = []

        def decoded():
            done = subprocess.run(["tshark", "-r", capture, "-d", "tcp.port==%d,smpp" % port, "-T", "json", "-J", "smpp", "-Y",
                                   "smpp || _ws.malformed"], capture_output=True, text=True)
            seen[:] = [done.stdout]
            return '"smpp.command_id": "0x80000006"' in done.stdout
        wait_until(decoded, 20, "the whole capture", pause_s=0.2)
    finally:
        spy.terminate()
        spy.wait(20)
    assert "malformed" not in seen[0].lower()
    for command in ("0x00000009", "0x80000009", "0x00000004", "0x80000004", "0x00000005", "0x80000005", "0x00000015", "0x80000015",
                    "0x00000006", "0x80000006"):
        assert '"smpp.command_id": "%s"' % command in seen[0], command
    assert json.loads(seen[0])
