"""Tests of the provider simulator: what it promises to the other tests, seen by a client that is not ours."""

import json
import os
import socket
import ssl
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]

from client import Client, batch            # noqa: E402
from lib import paths                       # noqa: E402
from lib.sim import Sim                     # noqa: E402
from lib.wait import wait_until             # noqa: E402
from mtsim import codes                     # noqa: E402

NUMBER = "821012345678"


@pytest.fixture(scope="module")
def server():
    with Sim(report_delay_ms=0) as one:
        yield one


@pytest.fixture
def sim(server):
    server.reset()
    server.config(report_delay_ms=0, log_delay_ms=0, dedupe="forever", rejected_ids="taken", max_messages_per_s=0,
                  answer_delay_ms=0)
    yield server
    assert server.stats()["internal_errors"] == 0, server.proc.tail()


@pytest.fixture
def client(sim):
    return Client(sim)


# ---- the API as published -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec():
    pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")
    import openapi
    got = openapi.load(paths.specs_dir())
    if got is None:
        pytest.skip("the provider's API document is not here (MTRELAY_SPECS)")
    return got


def checked(spec, client, method, path, body=None, status=200, **kw):
    got, headers, data = client.request(method, path, body, **kw)
    assert got == status
    assert headers["Content-Type"].startswith("application/json")
    answer = json.loads(data)
    assert spec.check(answer, spec.response_schema(method, path.partition("?")[0], status)) == []
    return answer


def test_answers_follow_the_document(spec, client):
    request = batch([(NUMBER, "s1"), ("821000000001", "s2"), ("821000000002", "s3"), ("821000000010", "s4")],
                    options={"schedule": {"bulkId": "b1"}, "includeSmsCountInResponse": True})
    assert spec.check(request, spec.request_schema("POST", "/sms/3/messages")) == []
    answer = checked(spec, client, "POST", "/sms/3/messages", request)
    assert answer["bulkId"] == "b1" and len(answer["messages"]) == 4
    assert checked(spec, client, "POST", "/sms/3/messages", request)["messages"][0]["status"]["id"] == 23
    assert len(checked(spec, client, "GET", "/sms/3/reports?limit=10")["results"]) == 3
    assert len(checked(spec, client, "GET", "/sms/3/logs?bulkId=b1&limit=1000")["results"]) == 4
    checked(spec, client, "GET", "/sms/3/logs?useCursor=true&limit=2")
    checked(spec, client, "POST", "/sms/3/messages", b"{", 400)
    checked(spec, client, "POST", "/sms/3/messages", {"messages": []}, 400)
    checked(spec, client, "GET", "/sms/3/logs", None, 401, headers={})


def test_the_check_finds_faults(spec):
    schema = spec.response_schema("POST", "/sms/3/messages", 200)
    assert spec.check({"messages": [{"messageId": 7}]}, schema)
    assert spec.check({"messages": [{"message": "x"}]}, schema)
    assert spec.check({}, schema)


def test_every_status_and_error_has_the_published_form(spec):
    report = spec.response_schema("GET", "/sms/3/reports", 200)
    for sid in codes.STATUS:
        for eid in codes.ERROR:
            one = {"results": [{"status": codes.status_obj(sid), "error": codes.error_obj(eid)}]}
            assert spec.check(one, report) == []


def test_authorisation(client):
    for headers in ({}, {"Authorization": "App wrong"}, {"Authorization": "Basic " + client.sim.key()}):
        status, _, body = client.request("GET", "/sms/3/reports", headers=headers)
        assert (status, json.loads(body)["errorCode"]) == (401, "E401")
    status, _, body = client.request("POST", "/sms/3/messages", batch([(NUMBER, "a")]),
                                     headers={"Content-Type": "application/json"})
    assert status == 401 and client.sim.stats()["accepted"] == 0


def test_wrong_address_method_and_body(client):
    assert client.get("/sms/4/messages")[0] == 404
    assert client.get("/sms/3/messages")[0] == 405
    for body in (b"", b"[]", b"{}", b'{"messages":[]}', b'{"messages":[7]}', b'{"messages":[{"destinations":[]}]}',
                 b'{"messages":[{"content":{"text":"x"},"destinations":[{"to":5}]}]}',
                 json.dumps(batch([(NUMBER, "x" * 201)])).encode()):
        status, _, answer = client.request("POST", "/sms/3/messages", body)
        assert status == 400 and json.loads(answer)["violations"], body
    assert client.request("POST", "/sms/3/messages", batch([(NUMBER, "a")]),
                          headers={"Authorization": "App " + client.sim.key()})[0] == 400


def test_balance(client):
    assert client.get("/account/1/balance") == (200, {"balance": 1000.0, "currency": "EUR"})


# ---- messages, reports, logs --------------------------------------------------------------------------------------


def test_delivery_and_truth(sim, client):
    status, answer = client.send((NUMBER, "one"), text="안녕하세요 \"따옴표\" 😀")
    item = answer["messages"][0]
    assert (status, item["messageId"], item["destination"], item["status"]["id"]) == (200, "one", NUMBER, 26)
    got = client.wait_reports(1)
    assert [(r["messageId"], r["to"], r["status"]["groupId"], r["error"]["id"]) for r in got] == [("one", NUMBER, 3, 0)]
    truth = sim.truth()["one"]
    assert (truth.to, truth.sender, truth.text, truth.accepted, truth.phone, truth.outcome, truth.lied) == (
        NUMBER, "15880000", "안녕하세요 \"따옴표\" 😀", 1, 1, "DELIVERED_TO_HANDSET", False)
    assert sim.truth_of("one")["phone"] == 1
    assert sim.truth_of("none") == {"found": False, "accepted": 0, "phone": 0}


def test_duplicate_id_is_refused_and_the_phone_gets_nothing(sim, client):
    client.send((NUMBER, "d1"))
    status, answer = client.send((NUMBER, "d1"), ("821012345679", "d2"), (NUMBER, "d1"))
    assert status == 200
    assert [m["status"]["id"] for m in answer["messages"]] == [23, 26, 23]
    assert answer["messages"][0]["status"]["groupId"] == 5
    truth = sim.truth()
    assert (truth["d1"].phone, truth["d1"].dups, truth["d2"].phone) == (1, 2, 1)
    assert len(client.wait_reports(2)) == 2 and client.reports() == []


def test_a_provider_that_does_not_recognise_keys(sim, client):
    sim.config(dedupe="off")
    client.send((NUMBER, "d1"))
    client.send((NUMBER, "d1"))
    assert sim.truth()["d1"].phone == 2 and sim.truth_of("d1")["phone"] == 2


def test_ids_of_refused_messages(sim, client):
    client.send(("821000000001", "r1"))
    assert client.send(("821000000001", "r1"))[1]["messages"][0]["status"]["id"] == 23
    sim.config(rejected_ids="free")
    assert client.send((NUMBER, "r1"))[1]["messages"][0]["status"]["id"] == 26


def test_reports_are_handed_out_once_and_limited(client):
    client.send(*[(NUMBER, "m%d" % n) for n in range(1200)])
    assert len(client.get("/sms/3/reports")[1]["results"]) == 50
    assert len(client.reports(1)) == 1
    assert len(client.reports(1000)) == 1000
    assert len(client.reports(1000)) == 149
    assert client.reports(1000) == []
    for limit in ("0", "1001", "x", "-1"):
        assert client.get("/sms/3/reports?limit=" + limit)[0] == 400


def test_reports_by_id_and_bulk(client):
    client.send((NUMBER, "a"), (NUMBER, "b"), options={"schedule": {"bulkId": "k1"}})
    client.send((NUMBER, "c"), options={"schedule": {"bulkId": "k2"}})
    assert [r["messageId"] for r in client.reports(messageId="b")] == ["b"]
    assert [r["messageId"] for r in client.reports(bulkId="k2")] == ["c"]
    assert [r["messageId"] for r in client.reports()] == ["a"]


def test_report_delay_and_pause(sim, client):
    sim.config(report_delay_ms=400)
    start = time.monotonic()
    client.send((NUMBER, "late"))
    assert client.reports() == []
    assert len(client.wait_reports(1)) == 1 and time.monotonic() - start >= 0.4
    sim.config(report_delay_ms=0)
    sim.pause_reports()
    client.send((NUMBER, "held"))
    assert client.reports() == []
    sim.resume_reports()
    assert len(client.reports()) == 1


def test_logs(sim, client):
    client.send((NUMBER, "l1"), ("821000000002", "l2"), ("821000000005", "l3"), ("821000000018", "l4"))
    for _ in range(2):
        got = {r["messageId"]: r["status"]["id"] for r in client.logs("l1", "l2", "l3", "l4", "nobody")}
        assert got == {"l1": 5, "l2": 9, "l3": 7}
    status, answer = client.get("/sms/3/logs?messageId=l1&messageId=l2")
    assert status == 200 and len(answer["results"]) == 2
    assert client.logs("l1")[0]["content"] == {"text": "hello"}
    assert client.get("/sms/3/logs?messageId=" + ",".join(["x" * 30] * 70))[0] == 400
    assert [r["messageId"] for r in client.logs(destination="821000000002")] == ["l2"]
    sim.config(log_delay_ms=60000)
    assert client.logs("l1") == []


def test_log_shows_pending_until_the_report_is_due(sim, client):
    sim.config(report_delay_ms=300)
    client.send((NUMBER, "p"))
    assert client.logs("p")[0]["status"]["id"] == 7
    wait_until(lambda: client.logs("p")[0]["status"]["id"] == 5, 5, "the final status in the log")


def test_log_cursor(client):
    client.send(*[(NUMBER, "m%d" % n) for n in range(25)])
    seen, cursor = [], None
    while True:
        args = {"useCursor": "true", "limit": 10}
        if cursor:
            args["cursor"] = cursor
        status, answer = client.get("/sms/3/logs?" + "&".join("%s=%s" % a for a in args.items()))
        seen += [r["messageId"] for r in answer["results"]]
        cursor = answer["cursor"].get("nextCursor")
        if not cursor:
            break
    assert seen == ["m%d" % n for n in range(25)]


MAGIC = [
    # suffix, status in the answer (None: missing), status ids of the reports, phone, lied
    ("0001", 6, [], 0, False), ("0002", 26, [9], 0, False), ("0003", 26, [15], 0, False), ("0004", 26, [], 1, False),
    ("0005", 26, [], 0, False), ("0006", 26, [10], 0, False), ("0007", 26, [2, 5], 1, False),
    ("0008", 26, [9, 5], 1, True), ("0009", 26, [5, 5], 1, False), ("0010", 26, [3, 5], 1, False),
    ("0012", 21, [], 0, False), ("0013", 26, [29], 1, False), ("0014", 26, [5], 1, False), ("0015", 20, [], 0, False),
    ("0016", 12, [], 0, False), ("0017", None, [5], 1, False), ("0018", None, [], 0, False),
    ("0019", 26, [5, 9], 1, True), ("0020", 26, [777], 0, False), ("0021", 26, [23, 5], 1, False),
    ("0022", 23, [], 0, False),
]


@pytest.mark.parametrize("suffix,answer,reports,phone,lied", MAGIC)
def test_recipients_with_a_meaning(sim, client, suffix, answer, reports, phone, lied):
    status, got = client.send(("82100000" + suffix, "x"))
    assert status == 200
    assert [m["status"]["id"] for m in got["messages"]] == ([] if answer is None else [answer])
    seen = [r["status"]["id"] for r in client.wait_reports(len(reports))]
    assert seen == reports
    truth = sim.truth()["x"]
    assert (truth.phone, truth.lied) == (phone, lied)
    assert truth.accepted == (answer in (26, None) and suffix != "0018")


def test_ordinary_numbers_have_no_meaning(sim, client):
    client.send(*[("8210%08d" % (10000000 + n), "n%d" % n) for n in range(30)])
    assert sim.stats()["phone"] == 30


# ---- faults -------------------------------------------------------------------------------------------------------


def outcome(client, *destinations):
    """What a client sees: a status, "closed" or "reset"."""
    try:
        return client.send(*destinations)[0]
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except (ssl.SSLError, ConnectionError, OSError, ValueError):
        return "closed"
    except Exception as e:                              # noqa: BLE001 - http.client has many names for a cut
        return type(e).__name__


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_error_status(sim, client, status):
    sim.rule(status=status, times=1)
    assert client.send((NUMBER, "e"))[0] == status
    assert sim.stats()["accepted"] == 0
    assert client.send((NUMBER, "e"))[0] == 200 and sim.truth()["e"].phone == 1


def test_error_status_although_taken(sim, client):
    sim.rule(status=503, accept=True)
    assert client.send((NUMBER, "e"))[0] == 503
    assert sim.truth()["e"].phone == 1


def test_throttle_and_redirect(sim, client):
    sim.rule(status=429, retry_after=7, times=1)
    status, headers, body = client.request("POST", "/sms/3/messages", batch([(NUMBER, "t")]))
    assert (status, headers["Retry-After"], json.loads(body)["errorCode"]) == (429, "7", "E429")
    sim.rule(status=307, headers={"Location": "https://127.0.0.1:1/x"}, times=1)
    status, headers, _ = client.request("POST", "/sms/3/messages", batch([(NUMBER, "t")]))
    assert (status, headers["Location"]) == (307, "https://127.0.0.1:1/x")
    sim.config(max_messages_per_s=10)
    assert client.send(*[(NUMBER, "q%d" % n) for n in range(10)])[0] == 200
    assert client.send((NUMBER, "q10"))[0] == 429


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("cut,accept,phone", [("before_read", None, 0), ("mid_read", None, 0), ("after_read", None, 1),
                                              ("after_read", False, 0), ("mid_response", None, 1)])
def test_cuts(sim, client, cut, accept, phone, how):
    do = {"cut": cut, "how": how}
    if accept is not None:
        do["accept"] = accept
    sim.rule(do, times=1)
    assert outcome(client, (NUMBER, "c"), *[("821011112222", "f%d" % n) for n in range(20)]) != 200
    assert sim.truth_of("c")["phone"] == phone
    assert outcome(client, (NUMBER, "again")) == 200


def test_reset_is_a_reset_and_fin_is_an_end(sim):
    with Sim(plain=True, report_delay_ms=0) as plain:
        client = Client(plain)
        for how, expected in (("fin", b""), ("rst", ConnectionResetError)):
            plain.rule(cut="after_read", how=how, times=1)
            sock = client.raw()
            client.raw_send(sock, batch([(NUMBER, how)]))
            if expected == b"":
                assert sock.recv(100) == b""
            else:
                with pytest.raises(expected):
                    sock.recv(100)
            sock.close()


def test_kept_connection_dies_at_the_next_request(sim, client):
    sim.rule(cut="after_read", accept=False, match={"reused": True}, times=1)
    assert client.send((NUMBER, "k1"), keep=True)[0] == 200
    with pytest.raises(Exception):
        client.send((NUMBER, "k2"), keep=True)
    client.conn = None
    assert client.send((NUMBER, "k3"), keep=True)[0] == 200
    client.conn.close()
    client.conn = None
    assert {t.id: t.phone for t in sim.truth().values() if t.phone} == {"k1": 1, "k3": 1}


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_kept_connection_closed_after_the_answer(sim, client, how):
    sim.rule(close_after=how, times=1)
    sock = client.raw()
    client.raw_send(sock, batch([(NUMBER, "k1")]))
    assert b" 200 " in sock.recv(65536)
    try:
        assert sock.recv(100) == b""
    except OSError:
        assert how == "rst" or isinstance(sock, ssl.SSLSocket)
    sock.close()


def test_hang_delay_and_trickle(sim, client):
    sim.rule(delay_ms=300, times=1)
    start = time.monotonic()
    assert client.send((NUMBER, "w1"))[0] == 200 and time.monotonic() - start >= 0.3
    sim.rule(trickle_ms=10, trickle_bytes=20, times=1)
    start = time.monotonic()
    assert client.send((NUMBER, "w2"))[0] == 200 and time.monotonic() - start >= 0.1
    sim.rule(hang=True, times=1)
    sock = client.raw()
    client.raw_send(sock, batch([(NUMBER, "w3")]))
    wait_until(lambda: sim.truth_of("w3")["phone"], 5, "the message of the hanging request")
    sock.settimeout(0.3)
    with pytest.raises((socket.timeout, TimeoutError)):
        sock.recv(1)
    sock.close()
    sim.rule(delay_before_ms=300, times=1)
    sock = client.raw()
    client.raw_send(sock, batch([(NUMBER, "w4")]))
    time.sleep(0.05)
    assert not sim.truth_of("w4")["found"]
    assert b" 200 " in sock.recv(65536) and sim.truth_of("w4")["phone"] == 1
    sock.close()


def test_partial_batch_shuffle_missing_and_unknown_items(sim, client):
    sim.rule(reject={"status": 13}, match={"to": "5555$"})
    status, answer = client.send((NUMBER, "a"), ("821012345555", "b"), (NUMBER, "c"))
    assert [m["status"]["id"] for m in answer["messages"]] == [26, 13, 26]
    sim.clear_rules()
    ids = ["s%d" % n for n in range(50)]
    sim.rule(shuffle=True, drop_items=10, extra_items=2, times=1)
    status, answer = client.send(*[(NUMBER, i) for i in ids])
    got = [m["messageId"] for m in answer["messages"]]
    known = [ids.index(g) for g in got if g in ids]
    assert len(got) == 42 and len(known) == 40 and known != sorted(known)
    assert sim.stats()["phone"] == 52
    sim.rule(missing="refused", match={"id": "^m1$"})
    sim.rule(missing=True, match={"id": "^m2$"})
    sim.rule(repeat_item=2, match={"id": "^m3$"})
    sim.rule(answer_status=7, match={"id": "^m4$"})
    status, answer = client.send(*[(NUMBER, "m%d" % n) for n in range(1, 5)])
    assert [(m["messageId"], m["status"]["id"]) for m in answer["messages"]] == [("m3", 26), ("m3", 26), ("m4", 7)]
    truth = sim.truth()
    assert [truth["m%d" % n].phone for n in range(1, 5)] == [0, 1, 1, 1]


def test_scripted_reports(sim, client):
    sim.rule(reports=[{"status": 3}, {"status": "UNDELIVERABLE_NOT_DELIVERED", "error": 1, "delay_ms": 50},
                      {"status": 5, "delay_ms": 100}], match={"id": "^r1$"})
    sim.rule(outcome=15, match={"id": "^r2$"})
    sim.rule(reports=[], phone=True, match={"id": "^r3$"})
    sim.rule(phone=False, reports=[5], match={"id": "^r4$"})
    client.send(*[(NUMBER, "r%d" % n) for n in range(1, 5)])
    got = client.wait_reports(5)
    assert sorted((r["messageId"], r["status"]["id"], r["error"]["id"]) for r in got) == [
        ("r1", 3, 0), ("r1", 5, 0), ("r1", 9, 1), ("r2", 15, 4101), ("r4", 5, 0)]
    truth = sim.truth()
    assert [(truth[i].phone, truth[i].lied) for i in ("r1", "r2", "r3", "r4")] == [
        (1, True), (0, False), (1, False), (0, True)]


def test_reports_before_the_answer(sim, client):
    sim.config(report_delay_ms=60000)
    sim.rule(before_answer=True, delay_ms=500, times=1)
    sock = client.raw()
    client.raw_send(sock, batch([(NUMBER, "early")]))
    assert [r["messageId"] for r in client.wait_reports(1, 0.4)] == ["early"]
    assert b" 200 " in sock.recv(65536)
    sock.close()


def test_faults_of_the_report_call(sim, client):
    client.send((NUMBER, "a"))
    sim.rule(on="reports", status=503, times=1)
    assert client.get("/sms/3/reports")[0] == 503
    sim.rule(on="reports", repeat=2, extra_items=1, times=1)
    got = [r["messageId"] for r in client.reports()]
    assert got.count("a") == 2 and len(got) == 3
    client.send((NUMBER, "b"))
    sim.rule(on="reports", cut="mid_response", times=1)      # handed out, and never seen
    with pytest.raises(Exception):
        client.reports()
    assert client.reports() == []
    client.send((NUMBER, "c"))
    sim.rule(on="reports", cut="after_read", accept=False, times=1)
    with pytest.raises(Exception):
        client.reports()
    assert [r["messageId"] for r in client.reports()] == ["c"]


def test_injected_report(sim, client):
    client.send(("821000000005", "i"))
    assert client.reports() == []
    sim.inject("i", 5, phone=True)
    assert [(r["messageId"], r["to"], r["status"]["id"]) for r in client.reports()] == [("i", "821000000005", 5)]
    assert sim.truth()["i"].phone == 1
    sim.inject("stranger", 9, to="821099998888")
    assert [r["to"] for r in client.reports()] == ["821099998888"]


def test_faults_of_the_log_call(sim, client):
    client.send((NUMBER, "a"), (NUMBER, "b"))
    sim.rule(on="logs", find=False, match={"id": "^a$"})
    assert [r["messageId"] for r in client.logs("a", "b")] == ["b"]
    sim.clear_rules()
    sim.rule(on="logs", log_status=3, match={"id": "^b$"})
    assert {r["messageId"]: r["status"]["id"] for r in client.logs("a", "b")} == {"a": 5, "b": 3}


GARBAGE = ["non_json", "truncated", "huge", "deep", "wrong_types", "empty", "bad_utf8", "null", "array", "nul",
           "wrong_ct", "bignum"]


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage(sim, client, kind):
    sim.rule(garbage=kind, times=1)
    status, headers, body = client.request("POST", "/sms/3/messages", batch([(NUMBER, "g")]))
    assert status == 200 and sim.truth()["g"].phone == 1
    if kind == "huge":
        assert len(body) > 1 << 20
        json.loads(body)
    elif kind in ("non_json", "truncated", "empty"):
        with pytest.raises(ValueError):
            json.loads(body)
    elif kind == "deep":
        assert body.count(b"[") > 10000
    elif kind == "bad_utf8":
        with pytest.raises(UnicodeDecodeError):
            body.decode()
    elif kind == "wrong_ct":
        assert headers["Content-Type"] == "text/html"
    elif kind == "bignum":
        assert json.loads(body)["messages"][0]["status"]["groupId"] > 1 << 64


def test_endless_answer_is_sent_in_chunks(sim, client):
    sim.rule(garbage="endless", times=1)
    sock = client.raw()
    client.raw_send(sock, batch([(NUMBER, "g")]))
    got = 0
    while got < 4 << 20:
        n = len(sock.recv(1 << 20))
        assert n
        got += n
    sock.close()
    assert outcome(client, (NUMBER, "g2")) == 200


# ---- rules --------------------------------------------------------------------------------------------------------


def test_rules_count_and_choose(sim, client):
    for nth, expected in ((2, [200, 503, 200, 200]), ([1, 4], [503, 200, 200, 503]), ("2-3", [200, 503, 503, 200]),
                          ("3-", [200, 200, 503, 503]), ({"every": 2}, [200, 503, 200, 503])):
        sim.clear_rules()
        sim.rule(status=503, match={"nth": nth})
        assert [client.send((NUMBER, "z"))[0] for _ in range(4)] == expected, nth
    sim.clear_rules()
    sim.rule(status=503, match={"to": "999$"}, name="only", times=1)
    assert [client.send((NUMBER, "z"))[0], client.send(("821012340999", "y"))[0],
            client.send(("821012340999", "y"))[0]] == [200, 503, 200]
    assert sim.fired("only") == 1
    seen = []
    for _ in range(2):
        sim.clear_rules()
        sim.rule(reject=21, match={"probability": 0.5, "seed": 42})
        answer = client.send(*[(NUMBER, "p%d-%d" % (len(seen), n)) for n in range(40)])[1]
        seen.append([m["status"]["id"] for m in answer["messages"]])
    assert seen[0] == seen[1] and set(seen[0]) == {21, 26}
    assert sim.clear_rules("rule-unknown") == {"removed": 0}


def test_bad_rules_are_refused(sim):
    for spec in ({"do": {"nonsense": 1}}, {"match": {"colour": "x"}, "do": {"status": 500}}, {"on": "mars", "do": {"status": 1}},
                 {"do": {}}, {"do": {"cut": "somewhere"}}, {"when": 1, "do": {"status": 500}}, {"do": {"outcome": "NO_SUCH"}},
                 {"do": {"status": 500}, "match": {"nth": "x"}}, {"do": {"status": 500}, "match": {"to": "("}}):
        with pytest.raises(ValueError):
            sim.rules(spec)
    assert sim.rules() == []
    with pytest.raises(ValueError):
        sim.config(no_such_setting=1)


def test_rules_from_a_file(tmp_path):
    script = tmp_path / "rules.json"
    script.write_text(json.dumps({"config": {"report_delay_ms": 1}, "rules": [{"do": {"status": 500}, "times": 1}]}))
    with Sim(rules=str(script), plain=True) as one:
        client = Client(one)
        assert [client.send((NUMBER, "f"))[0] for _ in range(2)] == [500, 200]
        assert one.call("GET", "/config")["report_delay_ms"] == 1


# ---- connections --------------------------------------------------------------------------------------------------


def test_refused_connections(sim, client):
    sim.listen(False)
    with pytest.raises(ConnectionRefusedError):
        client.send((NUMBER, "a"))
    sim.listen(True)
    assert client.send((NUMBER, "a"))[0] == 200
    sim.listen(False, ms=200)
    wait_until(lambda: outcome(client, (NUMBER, "b")) == 200, 5, "the port to be open again")
    sim.rule(on="connect", refuse=True, times=1)
    assert outcome(client, (NUMBER, "c")) != 200
    assert outcome(client, (NUMBER, "c")) == 200


def test_connections_closed_by_the_test(sim, client):
    client.send((NUMBER, "a"), keep=True)
    assert sim.close_connections("rst")["closed"] == 1
    with pytest.raises(Exception):
        client.send((NUMBER, "b"), keep=True)
    client.conn = None
    assert sim.truth().keys() == {"a"}


def test_pipelined_and_chunked_requests(sim, client):
    sock = client.raw()
    for n in range(3):
        client.raw_send(sock, batch([(NUMBER, "q%d" % n)]))
    got = b""
    while got.count(b"HTTP/1.1 200") < 3:
        got += sock.recv(65536)
    body = json.dumps(batch([(NUMBER, "chunked")])).encode()
    sock.sendall(b"POST /sms/3/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: App "
                 + sim.key().encode() + b"\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    assert b"100 Continue" in sock.recv(65536)
    for at in range(0, len(body), 40):
        part = body[at:at + 40]
        sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    sock.sendall(b"0\r\n\r\n")
    assert b" 200 " in sock.recv(65536)
    sock.close()
    assert set(sim.truth()) == {"q0", "q1", "q2", "chunked"}


def test_request_log_hides_the_key(sim, client):
    client.send((NUMBER, "a"), (NUMBER, "b"))
    entry = sim.requests("/sms/3/messages")[-1]
    assert (entry["method"], entry["items"], entry["status"], entry["http"]) == ("POST", 2, 200, "1.1")
    assert sim.key() not in json.dumps(sim.requests())
    assert sim.requests(since=entry["n"]) == []


def h2():
    return pytest.importorskip("h2", reason="python3-h2 is not installed")


def test_http2(sim, client):
    h2()
    many = batch([(NUMBER, "h%d" % n) for n in range(2000)], text="가" * 60)
    code, last, body = client.curl("/sms/3/messages", many)
    assert (code, last) == (0, "2 200") and len(json.loads(body)["messages"]) == 2000
    code, last, body = client.curl("/sms/3/reports?limit=1000")
    assert (code, last) == (0, "2 200") and len(json.loads(body)["results"]) == 1000
    assert sim.stats()["phone"] == 2000 and sim.requests("/sms/3/messages")[-1]["http"] == "2"
    assert client.curl("/sms/3/messages", batch([(NUMBER, "one")]), http2=False)[1] == "1.1 200"


@pytest.mark.parametrize("do,phone", [({"cut": "before_read"}, 0), ({"cut": "mid_read"}, 0), ({"cut": "after_read"}, 1),
                                      ({"cut": "after_read", "h2": "rst_stream"}, 1),
                                      ({"cut": "after_read", "accept": False, "h2": "refused_stream", "times": 99}, 0),
                                      ({"cut": "mid_response"}, 1), ({"cut": "after_read", "h2": "goaway"}, 1)])
def test_http2_cuts(sim, client, do, phone):
    h2()
    sim.rule(do={k: v for k, v in do.items() if k != "times"})
    code, last, _ = client.curl("/sms/3/messages", batch([(NUMBER, "h")]))
    assert code != 0
    assert sim.truth_of("h")["phone"] == phone


def test_http2_can_be_left_out():
    with Sim(http="1.1") as one:
        assert Client(one).curl("/account/1/balance")[1] == "1.1 200"


# ---- certificates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind,text", [("good", None), ("expired", "expired"), ("notyet", "not yet valid"),
                                       ("selfsigned", "self-signed"), ("unknownca", "unable to get local issuer"),
                                       ("wronghost", "IP address mismatch")])
def test_certificates(kind, text):
    with Sim(cert_kind=kind) as one:
        client = Client(one)
        if text is None:
            assert client.send((NUMBER, "c"))[0] == 200
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match=text):
                client.send((NUMBER, "c"))
            wait_until(lambda: one.stats()["tls_errors"] or one.stats()["connections"], 5, "the failed handshake")
            assert one.stats()["requests_send"] == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_only():
    with Sim(tls_min="1.1", tls_max="1.1") as one:
        with pytest.raises(ssl.SSLError):
            Client(one).send((NUMBER, "c"))
        old = ssl.create_default_context(cafile=one.ca_file)
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        assert Client(one, old).send((NUMBER, "c"))[0] == 200


def test_client_certificate():
    with Sim(require_client_cert=True, tls_max="1.2") as one:
        with pytest.raises((ssl.SSLError, OSError)):
            Client(one).send((NUMBER, "c"))
        for name, good in (("client", True), ("client-bad", False)):
            ctx = ssl.create_default_context(cafile=one.ca_file)
            ctx.load_cert_chain(one.cert(name + ".pem"), one.cert(name + ".key"))
            if good:
                assert Client(one, ctx).send((NUMBER, "c"))[0] == 200
            else:
                with pytest.raises((ssl.SSLError, OSError)):
                    Client(one, ctx).send((NUMBER, "d"))


def test_restart_keeps_port_and_key(tmp_path):
    with Sim(plain=True) as one:
        port, key = one.port, one.key()
        Client(one).send((NUMBER, "a"))
        one.restart()
        assert (one.port, one.key(), one.truth()) == (port, key, {})


# ---- speed --------------------------------------------------------------------------------------------------------


def test_speed(sim, client):
    """A floor far below what it does on an idle machine (tens of thousands a second), to notice a loss by the order."""
    total, size = 20000, 500
    bodies = [json.dumps(batch([("8210%08d" % (10000000 + n), "v%d-%d" % (b, n)) for n in range(size)])).encode()
              for b in range(total // size)]
    start = time.monotonic()
    for body in bodies:
        assert client.request("POST", "/sms/3/messages", body, keep=True)[0] == 200
    got = 0
    while got < total:
        got += len(json.loads(client.request("GET", "/sms/3/reports?limit=1000", keep=True)[2])["results"])
    rate = total / (time.monotonic() - start)
    client.conn.close()
    client.conn = None
    assert sim.stats()["phone"] == total
    assert rate > 2000, "only %.0f messages a second" % rate
