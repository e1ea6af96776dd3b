"""What can go wrong between the agent and its provider, seen from the tables and from the phones (reliability.md 2.3, HTTPS).

tests/integration/test_channel_infobip.py shows the driver alone; here the whole agent is at work, and the oracle compares.  Nothing
of this depends on the kind of database: one is enough, and the long form takes them all where a number grows.
"""

import os
import random
import signal
import socket
import ssl
import threading
import time

import pytest

from lib import paths, proof
from lib.oracle import Oracle
from lib.sim import Sim
from lib.wait import wait_until
from mtsim import certs

pytestmark = pytest.mark.db(*proof.size(("sqlite",), ("sqlite", "mariadb", "postgresql")))

QUICK = {"times": {"unknown_look": "100ms", "care_pass": "100ms", "quiet_time": "700ms"}}
ASK = {"log_queries_per_minute": 6000}


def channel_of(a, n=0):
    return a.ctl_json("status", check=False)["pipeline"]["channels"][n]


def reopen(a, **options):
    """Other options by a reload: the channel begins anew, without what it has backed off."""
    block = dict(a.config["channels"][0], **options)
    block.setdefault("connections", 4)
    block["connections"] = 4 + (block["connections"] + 1) % 4
    a.write({"channels": [block]})
    a.ctl("reload")


def reopen_up(a, **options):
    reopen(a, **options)
    wait_until(lambda: channel_of(a)["state"] == "UP", 20, "the channel", fail=a.dead_text)


def run_out(a, database, oracle, deadline_s=60):
    database.wait_empty(deadline_s, fail=a.dead_text)
    a.stop()
    return oracle.check()


def handed_over(database, msg_id):
    """The row is no longer on its way to the provider."""
    rows = database.rows("send", "msg_id = ?", (msg_id,))
    return not rows or rows[0]["status"] not in (0, 1)


# ---- nobody there -------------------------------------------------------------------------------------------------


def test_a_name_that_nobody_knows_and_an_address_that_refuses(database, sim, agent, oracle):
    """Rows 36, 58: certainly not sent, so they wait in the table; then the same rows go out."""
    database.insert_many(20)
    oracle.snapshot()
    a = agent(channel=dict(ASK, url="https://no-such-host.invalid"))
    a.wait_log("no address for the host of no-such-host.invalid")
    assert database.count("send", "status IN (0, 5)") == 20 and database.count("send", "first_sent_at IS NOT NULL") == 0
    reopen(a, url="https://127.0.0.1:%d" % paths.free_port())
    wait_until(lambda: "no connection to 127.0.0.1" in channel_error(a), 20, "a refusal", fail=a.dead_text)
    assert database.count("send", "first_sent_at IS NOT NULL") == 0
    assert sim.stats().get("items_in", 0) == 0
    assert database.count("send") == 20 and database.count("history") == 0
    reopen(a, url=sim.url)
    assert run_out(a, database, oracle) == {"OK": 20}


def channel_error(a):
    return a.ctl_json("status", check=False)["last_error"] or ""


def test_the_environment_names_a_proxy(database, sim, agent, oracle):
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    database.insert_many(5)
    oracle.snapshot()
    a = agent(env={n: "http://127.0.0.1:%d" % paths.free_port() for n in names})
    assert run_out(a, database, oracle) == {"OK": 5}


# ---- answers ------------------------------------------------------------------------------------------------------

UNSURE = (500, 502, 503, 504, 507, 408, 409, 417, 418, 301, 302, 303, 307, 308, 299, 204)
NOT_TAKEN = (401, 403, 404, 405, 406, 410, 415, 426, 429)
MALFORMED = (400, 413, 414, 422, 431)


def test_every_status(database, sim, agent, oracle):
    """Rows 39, 42: what proves nothing is asked for, whether it was taken or not; what says no is tried later."""
    seed = proof.seed()
    rng = random.Random(seed)
    sim.config(dedupe="off", report_delay_ms=20)
    a = agent(extra=QUICK, channel=dict(ASK, batch=1))
    want = {}
    for status in UNSURE + NOT_TAKEN + MALFORMED:
        taken = status in UNSURE and rng.random() < 0.5
        name = "%d%s" % (status, " taken" if taken else "")
        sim.rule(name=name, status=status, accept=taken, times=1, match={"text": "^%s$" % name},
                 headers={"Location": "/sms/3/messages", "WWW-Authenticate": "Basic realm=x", "Connection": "keep-alive"})
        reopen_up(a)
        msg = database.insert(body=name)
        want[msg] = name
        oracle.expect(msg)
        wait_until(lambda: sim.fired(name) and handed_over(database, msg), 20, "status " + name, fail=a.dead_text)
        row = database.rows("send", "msg_id = ?", (msg,))
        if status in UNSURE:
            assert not database.result(msg) or database.result(msg)["result_class"] == "OK", name
        elif status in NOT_TAKEN:
            assert row and row[0]["status"] == 5 and not database.result(msg), (name, row)
        else:
            database.wait_result(msg, fail=a.dead_text, result_class="FAIL", result_code="7099")
    sim.clear_rules()
    reopen_up(a)
    # What waits for an operator to mend the account waits some seconds.
    database.execute("UPDATE {p}send SET due_at = %s WHERE status = 5" % database.later_sql(0))
    tally = run_out(a, database, oracle)
    assert tally == {"OK": len(want) - len(MALFORMED), "FAIL": len(MALFORMED)}
    assert {t.accepted for t in sim.truth().values() if t.phone} == {1}
    proof.record("channel statuses", database.kind, seed, statuses=len(want))


GARBAGE = ("non_json", "truncated", "huge", "deep", "wrong_types", "empty", "bad_utf8", "null", "array", "nul", "bignum",
           "endless", "wrong_ct")


def test_answers_that_cannot_be_read(database, sim, agent, oracle):
    """Row 41: taken, and the answer is nothing of the kind: unknown, asked for, found; and memory stays as it was."""
    sim.config(dedupe="off", report_delay_ms=20)
    sim.pause_reports()
    a = agent(extra=QUICK, channel=dict(ASK, batch=5))
    reopen_up(a, answer_timeout="5s")
    before = a.rss_kib(peak=True)
    sim.rule(on="logs", status=500, name="no logs")
    for n, kind in enumerate(GARBAGE):
        sim.rule(name=kind, garbage=kind, times=1, match={"text": "^%s$" % kind})
        database.insert_many(3, body=kind)
        wait_until(lambda: database.count("send", "status IN (2, 3)") == 3 * n + 3, 30, "unknown after " + kind,
                   fail=a.dead_text)
        states = {r["status"] for r in database.rows("send", "body = ?", (kind,))}
        # One part of a batch may be readable; never is one called failed.
        assert states == {2} if kind == "wrong_ct" else 3 in states, (kind, states)
        reopen_up(a)
    grown = a.rss_kib(peak=True) - before
    sim.clear_rules()
    sim.resume_reports()
    oracle.expect(*(r["msg_id"] for r in database.rows("send")))
    assert run_out(a, database, oracle) == {"OK": 3 * len(GARBAGE)}
    with open(paths.program("mtrelayd"), "rb") as f:
        keeps_what_is_freed = b"__asan_init" in f.read()
    assert grown < (256 if keeps_what_is_freed else 32) * 1024, "%d KiB more" % grown
    assert sim.stats()["requests_send"] == len(GARBAGE)


def test_items_are_missing_strange_twice_and_in_another_order(database, sim, agent, oracle):
    """Row 44: each message by its own key; what nobody asked for is an alarm."""
    seed = proof.seed()
    count = proof.size(200, 5000)
    sim.config(dedupe="off", report_delay_ms=300)
    sim.rule(shuffle=True)
    sim.rule(extra_items=2, match={"nth": {"every": 3}})
    sim.rule(drop_items=3, match={"nth": {"every": 4}})
    sim.rule(repeat_item=3, match={"text": "7$"})
    database.insert_many(count, body=lambda n: "number %d" % n)
    oracle.snapshot()
    a = agent(extra=QUICK, channel=dict(ASK, batch=20))
    tally = run_out(a, database, oracle, proof.size(60, 300))
    assert tally == {"OK": count}
    assert sim.stats()["items_in"] == count
    assert a.log_has(r"infobip.answer .*missing=3 ") and a.log_has(r"infobip.answer .*unknown=2 ")
    assert a.log_has(r"infobip.answer .*twice=[1-9]")
    proof.record("channel items", database.kind, seed, messages=count)


def test_a_key_that_the_provider_claims_to_know(database, sim, agent, oracle):
    """Row 45: "duplicate" to a first attempt is no failure and no acceptance: unknown, and an alarm."""
    sim.pause_reports()
    sim.rule(on="logs", status=500)
    a = agent(extra=QUICK)
    msg = database.insert("01000000022")
    a.wait_log("channel.duplicate id=%d " % msg)
    wait_until(lambda: [r["status"] for r in database.rows("send")] == [3], 20, "unknown", fail=a.dead_text)
    assert database.count("result") == 0
    a.stop()


def test_the_second_attempt_is_refused_and_the_first_one_arrived(database, sim, agent, oracle):
    """Row 45a: no to the second attempt says nothing about the first."""
    sim.config(dedupe="off")
    sim.pause_reports()
    sim.rule(on="logs", log_status=7)
    sim.rule(hang=True, times=1, name="first")
    sim.rule(reject=6, match={"nth": "2-"}, name="second")
    msg = database.insert()
    oracle.snapshot()
    a = agent(extra=QUICK, channel=dict(ASK, dedup_window="10min"))
    wait_until(lambda: sim.fired("second") >= 1, 20, "a second attempt", fail=a.dead_text)
    wait_until(lambda: [r["status"] for r in database.rows("send")] == [2], 30, "found in the provider's log", fail=a.dead_text)
    assert database.count("result") == 0
    sim.resume_reports()
    database.wait_result(msg, fail=a.dead_text, result_class="OK")
    a.stop()
    oracle.check()


# ---- too much, too slow -------------------------------------------------------------------------------------------


def test_a_storm_of_429(database, sim, agent, oracle):
    """Row 43: at random and by the second; the provider's pause is kept, nothing is lost and nothing sent twice."""
    seed = proof.seed()
    count = proof.size(100, 3000)
    sim.config(dedupe="off", report_delay_ms=20)
    sim.rule(status=429, retry_after=1, accept=False, match={"probability": 0.3, "seed": seed}, name="storm")
    database.insert_many(count)
    oracle.snapshot()
    a = agent(extra=QUICK, channel=dict(ASK, batch=15))
    tally = run_out(a, database, oracle, proof.size(60, 600))
    refused = sim.fired("storm")
    proof.record("channel 429", database.kind, seed, messages=count, refusals=refused)
    assert tally == {"OK": count} and refused > 0
    assert sum(t.accepted for t in sim.truth().values()) == count
    assert database.count("result", "try_no > 5") == 0


STORMS = {
    "503": {"status": 503, "accept": False},
    "cut taken": {"cut": "after_read"},
    "503 taken": {"status": 503, "accept": True},
    "429": {"status": 429},
    "cut": {"cut": "before_read"},
}


@pytest.mark.parametrize("storm", list(STORMS)[:proof.size(2, None)])
def test_a_provider_that_always_fails_is_asked_seldom(database, sim, agent, storm):
    """Row 52: with 500 messages waiting, attempts become fewer and fewer."""
    connections = 4
    sim.config(dedupe="off")
    sim.rule(STORMS[storm])
    database.insert_many(500)
    a = agent(extra=QUICK, channel={"batch": 1, "connections": connections})
    begin = time.time()
    wait_until(lambda: sim.stats()["requests_send"] > 0, 20, "the first attempt", fail=a.dead_text)
    window = 5.0
    wait_until(lambda: time.time() > begin + window, 10, "some seconds")
    at = [r["t"] for r in sim.requests("/sms/3/messages")]
    questions = sim.stats()["requests_logs"]
    a.stop()
    # The first of each connection, and then at 0.5, 1, 2, 4 s: one at a time, further and further apart.
    assert len(at) <= connections + 6, ["%.2f" % (t - at[0]) for t in at]
    later = [t for t in at if t > at[0] + 0.4]
    gaps = [b - c for c, b in zip(later, later[1:])]
    assert not gaps or max(gaps) >= 0.4, gaps
    assert questions <= 2 * window + 4, questions
    assert database.count("send") == 500 - database.count("result")


@pytest.mark.parametrize("what", ["database", "process"])
def test_our_own_slowness_is_not_the_providers(database, sim, agent, oracle, what):
    """Row 49: the answers were there in time, only we were not."""
    count = 40
    sim.config(dedupe="off", report_delay_ms=20)
    a = agent(extra={"times": {"row_lease": "20s", "stuck_limit": "60s"}}, channel=dict(ASK, batch=10, answer_timeout="1s"))
    sim.rule(delay_ms=300)
    # A page of reports is on its way as well, and they are handed out once.
    sim.rule(on="reports", delay_ms=200)
    database.insert_many(count)
    oracle.snapshot()
    wait_until(lambda: sim.stats().get("items_in", 0) == count, 20, "all requests", fail=a.dead_text)
    # The answers come now, and find nobody for twice the answer timeout.
    lock = None
    if what == "process":
        a.signal(signal.SIGSTOP)
    elif database.kind == "sqlite":
        lock = database.connect()
        lock.execute("BEGIN EXCLUSIVE")
    elif database.kind == "mariadb":
        lock = database.connect(user="root").cursor()
        lock.execute("FLUSH TABLES WITH READ LOCK")
    else:
        lock = database.connect().cursor()
        lock.execute("BEGIN")
        lock.execute("LOCK TABLE mt_send IN EXCLUSIVE MODE")
    end = time.monotonic() + 2
    wait_until(lambda: time.monotonic() > end, 10, "two seconds")
    if what == "process":
        a.signal(signal.SIGCONT)
    elif database.kind == "mariadb":
        lock.execute("UNLOCK TABLES")
    else:
        lock.execute("ROLLBACK")
    assert run_out(a, database, oracle) == {"OK": count}
    assert sim.stats()["requests_logs"] == 0, "somebody's outcome was unknown"
    assert sim.stats()["items_in"] == count


# ---- a route with two channels --------------------------------------------------------------------------------------


@pytest.fixture
def pair(folder):
    with Sim(dedupe="off", report_delay_ms=20) as one, Sim(dedupe="off", report_delay_ms=20) as two:
        yield one, two


def two_channels(agent, pair, on_unknown="auto", **options):
    a = agent(start=False, sim=pair[0], extra=QUICK, channels=[
        sim.channel(name, **dict(ASK, connections=4, **options)) for sim, name in zip(pair, ("one", "two"))])
    a.write({"routes": [dict(r, on_unknown=on_unknown) for r in a.config["routes"]]})
    return a


def check_pair(oracle, pair, folder, **kw):
    """The oracle sees both providers' phones."""
    both = "".join(read(sim.truth_file) for sim in pair)
    oracle.truth_file = paths.write_file(os.path.join(folder, "both.jsonl"), both)
    return oracle.check(**kw)


def given(sim, when=lambda e: True):
    """Messages in requests that this provider has read."""
    return {Oracle.id_of(key) for e in sim.requests("/sms/3/messages") if when(e) for key in e.get("ids", ())}


CERTAINLY_NOT = {
    "refused": None,
    "401": {"status": 401},
    "no credit": {"reject": 12},
    "429": {"status": 429},
}


@pytest.mark.parametrize("fault", CERTAINLY_NOT)
def test_the_second_channel_takes_what_the_first_certainly_did_not(database, pair, agent, oracle, folder, fault):
    one, two = pair
    database.insert_many(60)
    oracle.snapshot()
    a = two_channels(agent, pair, batch=5)
    if fault == "refused":
        one.listen(False)
    else:
        one.rule(CERTAINLY_NOT[fault], name="fault", match={"nth": "3-"}, times=3 if fault == "429" else None)
    a.start()
    database.wait_empty(60, fail=a.dead_text)
    if fault != "429":
        assert two.stats()["accepted"] > 0
        assert fault == "refused" or one.fired("fault") > 0
    by = {r["msg_id"]: r["channel"] for r in database.rows("result")}
    for sim, name in ((one, "one"), (two, "two")):
        took = {Oracle.id_of(t.id) for t in sim.truth().values() if t.accepted}
        assert took == {m for m, channel in by.items() if channel == name}
    # When it is well again it is the first one again.
    one.clear_rules()
    one.listen(True)
    before = one.stats()["accepted"]
    sent = 60

    def back():
        nonlocal sent
        oracle.expect(database.insert())
        sent += 1
        database.wait_empty(20, fail=a.dead_text)
        return one.stats()["accepted"] > before

    wait_until(back, 60, "the first channel again", pause_s=0.2)
    a.stop()
    oracle.expect(*(m for m, _ in oracle.inserted))
    del oracle.inserted
    assert check_pair(oracle, pair, folder) == {"OK": sent}
    assert one.stats()["requests_logs"] + two.stats()["requests_logs"] == 0, "an outcome was unknown"


NOBODY_KNOWS = {
    "no answer": {"hang": True},
    "cut": {"cut": "after_read"},
    "503 taken": {"status": 503, "accept": True},
    "503": {"status": 503, "accept": False},
    "garbage": {"garbage": "non_json"},
    "redirect": {"status": 307, "accept": True},
    "missing": {"missing": True},
    "missing, not taken": {"missing": "refused"},
}


@pytest.mark.parametrize("fault,policy", [(fault, policy) for fault in NOBODY_KNOWS for policy in ("hold", "auto")
                                          if policy == "hold" or proof.long_form() or fault in ("no answer", "503")])
def test_the_second_channel_never_gets_what_the_first_may_have(database, pair, agent, oracle, folder, fault, policy):
    one, two = pair
    database.insert_many(40, body=lambda n: "doubt" if n % 4 == 0 else "plain")
    oracle.snapshot()
    one.rule(NOBODY_KNOWS[fault], match={"text": "doubt"}, times=3, name="doubt")
    one.pause_reports()
    two.pause_reports()
    a = two_channels(agent, pair, on_unknown=policy, batch=1).start()
    wait_until(lambda: one.fired("doubt") and database.count("send", "status IN (0, 1, 5)") == 0, 60, "all handed over",
               fail=a.dead_text)
    # Now the first one is away: what is new goes the other way, what is in doubt waits.
    one.listen(False)
    one.close_connections()
    wait_until(lambda: channel_of(a)["state"] == "DOWN", 20, "the first channel is down", fail=a.dead_text)
    database.insert_many(20, body="new")
    wait_until(lambda: database.count("send", "body = 'new' AND status <> 2") == 0, 30, "the new ones", fail=a.dead_text)
    assert database.count("send", "body = 'new' AND channel <> 'two'") == 0
    oracle.snapshot()
    one.listen(True)
    wait_until(lambda: database.count("send", "status NOT IN (2, 4)") == 0, 60, "a decision about each", fail=a.dead_text)
    doubtful = given(one, lambda e: "doubt" in e["rules"])
    assert 1 <= len(doubtful) <= 3 and len(given(two)) >= 20
    assert not doubtful & given(two), "given to the second channel although the first may have it"
    # Nothing was given to both without a refusal in between.
    assert not given(one) & given(two)
    held = {r["msg_id"] for r in database.rows("send", "status = 4")}
    assert held == (doubtful if policy == "hold" else set())
    if policy == "hold":
        assert sum(len(e.get("ids", ())) for e in one.requests("/sms/3/messages")) == len(given(one))
    assert {r["channel"] for r in database.rows("send", "status = 4")} <= {"one"}
    one.resume_reports()
    two.resume_reports()
    lost = policy == "hold" and fault in ("503", "missing, not taken")
    left = len(doubtful) if lost else 0
    wait_until(lambda: database.count("send") == left, 60, "the reports", fail=a.dead_text)
    a.stop()
    assert check_pair(oracle, pair, folder, all_done=not lost) == {"OK": 60 - left}


# ---- a long outage ------------------------------------------------------------------------------------------------


@pytest.mark.db(*proof.size(("mariadb",), ("sqlite", "mariadb", "postgresql")))
def test_a_provider_comes_back_to_a_large_backlog(database, sim, agent, oracle):
    """Row 51: what expired is closed unsent, the first requests are few and small, and fresh urgent rows overtake the rest."""
    seed = proof.seed()
    backlog, urgent, expiring = proof.size((2000, 40, 200), (50000, 200, 5000))
    rate = proof.size(500, 4000)
    sim.config(dedupe="off", report_delay_ms=20)
    sim.listen(False)
    database.insert_many(backlog, body="backlog", priority=1)
    database.insert_many(expiring, body="expiring", priority=1)
    a = agent(extra=dict(QUICK, times=dict(QUICK["times"], walk="300ms")), channel=dict(ASK, batch=100, rate=rate))
    wait_until(lambda: channel_of(a)["state"] == "DOWN", 20, "the outage", fail=a.dead_text)
    # Their time runs out while nobody is there.
    database.execute("UPDATE {p}send SET expire_at = %s WHERE body = 'expiring'" % database.later_sql(0.5))
    wait_until(lambda: database.count("send", "body = 'expiring'") == 0, 60, "the expired ones", fail=a.dead_text)
    assert {(r["result_class"], r["result_code"]) for r in database.rows("result")} == {("FAIL", "3008")}
    assert database.count("result") == expiring and sim.stats().get("items_in", 0) == 0
    oracle.expect(*(r["msg_id"] for r in database.query("SELECT msg_id FROM {p}result UNION SELECT msg_id FROM {p}send")))
    # Back, and at the same time somebody logs in.
    sim.listen(True)
    wait_until(lambda: sim.stats().get("items_in", 0) > 0, 90, "the first request", fail=a.dead_text)
    database.insert_many(urgent, body="urgent", priority=0)
    database.wait_empty(proof.size(60, 300), fail=a.dead_text)
    oracle.expect(*(r["msg_id"] for r in database.query("SELECT msg_id FROM {p}result WHERE body = 'urgent'")))
    a.stop()
    tally = oracle.check()
    order = [t.text for t in sorted(sim.truth().values(), key=lambda t: t.t)]
    last_urgent = max(i for i, text in enumerate(order) if text == "urgent")
    sizes = [e["items"] for e in sim.requests("/sms/3/messages")]
    proof.record("channel backlog", database.kind, seed, backlog=backlog, urgent=urgent, expired=expiring,
                 first_request=sizes[0], sent_before_last_urgent=last_urgent)
    assert tally == {"OK": backlog + urgent, "FAIL": expiring}
    assert "expiring" not in order and len(order) == backlog + urgent
    # Ten at first, then twenty ...
    assert sizes[0] <= 10 and sum(sizes[:2]) <= 30 and sum(sizes[:3]) <= 70, sizes[:6]
    # Claim shares: bulk is not starved, and urgent rows do not wait for it.
    assert last_urgent < backlog // 2, "%d before the last urgent one" % last_urgent


# ---- certificates -------------------------------------------------------------------------------------------------


class Front:
    """Ends TLS in front of a simulator that speaks in clear, with a certificate that can be changed at any moment."""

    def __init__(self, target):
        self.target = target
        self.received = 0                       # bytes that came through TLS, since the last change
        self.handshakes = self.failures = 0
        self.context = None
        self.open = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def use(self, pem, old=False, cut=True):
        """pem: None for an answer in clear.  old: TLS 1.1 only."""
        ctx = None
        if pem is not None:
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.set_ciphers("DEFAULT@SECLEVEL=0")
            if old:
                ctx.minimum_version = ctx.maximum_version = ssl.TLSVersion.TLSv1_1
            ctx.load_cert_chain(pem, pem[:-4] + ".key")
        with self.lock:
            self.context = ctx
            self.received = self.handshakes = self.failures = 0
            if cut:
                for s in list(self.open):
                    close(s)
                self.open.clear()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self.context is None:
                if client.recv(1):
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                self.failures += 1
                close(client)
                return
            client.settimeout(20)
            client = self.context.wrap_socket(client, server_side=True)
        except (OSError, ssl.SSLError):
            self.failures += 1
            close(client)
            return
        self.handshakes += 1
        server = socket.create_connection(("127.0.0.1", self.target))
        with self.lock:
            self.open |= {client, server}
        threading.Thread(target=self._copy, args=(server, client, False), daemon=True).start()
        self._copy(client, server, True)

    def _copy(self, source, sink, is_client):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                if is_client:
                    self.received += len(data)
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        close(source)
        close(sink)

    def close(self):
        close(self.listener)
        self.use(None)


def close(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except (OSError, ValueError):
        pass
    try:
        sock.close()
    except OSError:
        pass


@pytest.fixture
def front(folder):
    with Sim(plain=True, report_delay_ms=20, dedupe="off") as sim:
        one = Front(sim.port)
        one.sim = sim
        one.certs = certs.bad(os.path.join(folder, "certs"))
        one.ca = os.path.join(folder, "certs", "bad-ca.pem")
        one.use(one.certs["fine"])
        yield one
        one.close()


def front_channel(front, ca_file, **more):
    return dict({"name": "infobip", "driver": "infobip", "url": "https://127.0.0.1:%d" % front.port, "ca_file": ca_file,
                 "api_key_file": front.sim.api_key_file, "connections": 4}, **dict(ASK, **more))


# kind: what the log says of it
REFUSED = {
    "past": "its certificate has expired",
    "future": "not valid yet",
    "self": "self-signed",
    "stranger": "authority",
    "other-name": "another host name",
    "no-intermediate": "authority",
    "old-intermediate": "expired",
    "sha1": "signature of its certificate is too weak",
    "rsa1024": "key of its certificate or authority is too weak",
    "client-only": "not one for a server",
    "signed-by-a-server": "may not sign others",
    "tls 1.1": "TLS 1.2",
    "no tls": "does not speak TLS",
}


def test_certificates_that_nobody_should_trust(database, front, agent, oracle):
    """Row 59: nothing is sent, the log says why, and with a good certificate the same rows go out."""
    oracle.truth_file = front.sim.truth_file
    a = agent(sim=front.sim, extra=QUICK, channels=[front_channel(front, front.ca)])
    wait_until(lambda: channel_of(a)["state"] == "UP", 20, "the channel", fail=a.dead_text)
    database.insert_many(3)
    database.wait_empty(fail=a.dead_text)
    said = {}
    for kind, words in REFUSED.items():
        front.use(front.certs.get(kind, front.certs["fine"]) if kind != "no tls" else None, old=kind == "tls 1.1")
        reopen(a)
        database.insert_many(1, body=kind)
        wait_until(lambda: front.handshakes + front.failures > 0 and words in channel_error(a) and
                   channel_of(a)["state"] in ("REFUSED", "DOWN"), 20, "%s: %s" % (kind, words), fail=a.dead_text)
        said[kind] = (channel_of(a)["state"], channel_error(a))
        assert front.received == 0 and front.sim.stats()["items_in"] == 3, kind
        # Each is a refusal that an operator must see, and the address is named.
        assert said[kind][0] == "REFUSED" and "127.0.0.1:%d" % front.port in said[kind][1], said[kind]
    assert database.count("send") == len(REFUSED) and database.count("send", "first_sent_at IS NOT NULL") == 0
    oracle.expect(*(r["msg_id"] for r in database.rows("send")))
    front.use(front.certs["fine-chain"])
    reopen(a)
    assert run_out(a, database, oracle) == {"OK": 3 + len(REFUSED)}
    proof.record("channel certificates", database.kind, 0, refused=len(said))


def test_certificate_and_authority_are_changed_under_load(database, front, agent, oracle, folder):
    """Row 60: a new certificate of the same authority needs nothing; a new authority needs its file and a reload."""
    oracle.truth_file = front.sim.truth_file
    old_cert = certs.bad(os.path.join(folder, "old"))["fine"]
    old_ca, new_ca = read(os.path.join(folder, "old", "bad-ca.pem")), read(front.ca)
    trusted = paths.write_file(os.path.join(folder, "trusted.pem"), old_ca)
    front.use(old_cert)
    a = agent(sim=front.sim, extra=QUICK, channels=[front_channel(front, trusted, batch=5)])
    sent = 0

    def load(count=40):
        nonlocal sent
        database.insert_many(count)
        sent += count

    load()
    database.wait_empty(fail=a.dead_text)
    # The other authority's certificate while only the old one is trusted: a refusal, and nothing is lost.
    load()
    front.use(front.certs["fine"])
    reopen(a)
    wait_until(lambda: "authority" in channel_error(a), 20, "a refusal", fail=a.dead_text)
    load()
    # Old and new in the same file: the same options, other contents.
    paths.write_file(trusted, old_ca + new_ca)
    a.ctl("reload")
    database.wait_empty(40, fail=a.dead_text)
    # A new certificate in the middle of the work, under the same authority.
    load(200)
    front.use(front.certs["fine-chain"], cut=False)
    load(200)
    front.use(front.certs["fine"])
    database.wait_empty(60, fail=a.dead_text)
    # And the old authority is dropped.
    paths.write_file(trusted, new_ca)
    front.use(old_cert)
    a.ctl("reload")
    wait_until(lambda: front.failures > 0 and channel_of(a)["state"] == "REFUSED", 30, "the old one is not trusted any more",
               fail=a.dead_text)
    handed = front.sim.stats()["items_in"]
    load(5)
    # Its next attempt comes by itself, seconds later.
    failed = front.failures
    wait_until(lambda: front.failures > failed, 30, "another attempt", fail=a.dead_text)
    assert front.sim.stats()["items_in"] == handed and database.count("send") == 5
    front.use(front.certs["fine"])
    reopen(a)
    oracle.expect(*(r["msg_id"] for r in database.query("SELECT msg_id FROM {p}send UNION SELECT msg_id FROM {p}result")))
    assert run_out(a, database, oracle) == {"OK": sent}



def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()
