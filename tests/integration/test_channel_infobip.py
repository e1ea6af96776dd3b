"""Channel infobip against the simulator, without database or agent: tests/unit/channel_drive is the agent here."""

import json
import os
import queue
import re
import socket
import subprocess
import threading
import time

import pytest

from lib import paths
from lib.sim import Sim
from lib.wait import wait_until

DRIVE = os.path.join("tests", "unit", "channel_drive")
HTTP_1_1, HTTP_2 = 1, 2


def drive_path():
    path = os.path.join(paths.BUILDDIR, DRIVE)
    if not os.access(path, os.X_OK):
        pytest.skip("%s is not built (make check builds it)" % DRIVE)
    return path


def key(n):
    return "4%029d" % n


class Drive:
    """One running channel_drive; events are read by a thread and kept in order."""

    def __init__(self, sim=None, env=None, **options):
        options = {k: str(v) for k, v in options.items()}
        if sim is not None:
            for k, v in sim.channel().items():
                options.setdefault(k, str(v))
        options.setdefault("report_poll", "50")
        self.events = []
        self.seen = queue.Queue()
        self.proc = subprocess.Popen([drive_path()] + ["%s=%s" % o for o in options.items()], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                     env=dict(os.environ, **(env or {})))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.errors = []
        self.err_reader = threading.Thread(target=self._read_err, daemon=True)
        self.err_reader.start()
        self.next = 1

    def _read(self):
        for line in self.proc.stdout:
            event = json.loads(line)
            self.events.append(event)
            if event["ev"] == "reply":
                self.seen.put(event)

    def _read_err(self):
        for line in self.proc.stderr:
            self.errors.append(line)

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if self.proc.poll() is None:
            try:
                self.proc.stdin.write('{"cmd":"close"}\n')
                self.proc.stdin.close()
            except OSError:
                pass
        try:
            code = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            code = "stuck"
        self.reader.join(5)
        self.err_reader.join(5)
        if kind is None:
            assert code == 0, "".join(self.errors)[-3000:]

    def cmd(self, cmd, **args):
        self.proc.stdin.write(json.dumps(dict(args, cmd=cmd)) + "\n")
        self.proc.stdin.flush()
        return self.seen.get(timeout=20)

    def of(self, kind):
        return [e for e in list(self.events) if e["ev"] == kind]

    def items(self, kind):
        return [i for e in self.of(kind) for i in e["items"]]

    def wait(self, what, condition, deadline_s=20):
        return wait_until(condition, deadline_s, what, fail=lambda: self.tail() if self.proc.poll() is not None else None)

    def tail(self):
        return "channel_drive ended: %s" % "".join(self.errors)[-2000:]

    def state(self):
        states = self.of("state")
        return states[-1]["state"] if states else "STARTING"

    def why(self):
        return self.of("state")[-1]["why"]

    def wait_state(self, state, deadline_s=20):
        self.wait("state %s (is %s)" % (state, self.state()), lambda: self.state() == state, deadline_s)
        return self.why()

    def room(self):
        return self.cmd("status")["room"]

    def facts(self):
        return dict(f.split("=", 1) for f in self.cmd("status")["describe"].split())

    def messages(self, n, **more):
        made = []
        for _ in range(n):
            made.append(dict({"id": self.next, "key": key(self.next), "to": "8210%08d" % (50000000 + self.next),
                              "text": "text %d" % self.next, "expire": 3600}, **more))
            self.next += 1
        return made

    def submit(self, messages):
        """Waits for room, hands the messages over, returns their keys."""
        self.wait("room", lambda: self.room() >= len(messages))
        answer = self.cmd("submit", messages=messages)
        assert answer["rc"] == "OK", answer
        return [m["key"] for m in messages]

    def send(self, n=1, **more):
        return self.submit(self.messages(n, **more))

    def outcomes(self, keys, deadline_s=20):
        """Last outcome of each key; waits for all of them."""
        def got():
            have = {i["key"]: i for i in self.items("done")}
            return have if all(k in have for k in keys) else None
        have = self.wait("outcomes of %d messages" % len(keys), got, deadline_s)
        return [have[k] for k in keys]

    def outcome(self, keys, deadline_s=20):
        """The one kind that all of them have."""
        all_of_them = self.outcomes(keys, deadline_s)
        kinds = {o["kind"] for o in all_of_them}
        assert len(kinds) == 1, all_of_them
        return all_of_them[0]

    def reports(self, keys, deadline_s=20):
        def got():
            have = {}
            for r in self.items("reports"):
                have.setdefault(r["key"], []).append(r)
            return have if all(k in have for k in keys) else None
        have = self.wait("reports of %d messages" % len(keys), got, deadline_s)
        return [have[k] for k in keys]

    def resolve(self, keys):
        n = len(self.of("resolved"))
        answer = self.cmd("resolve", keys=keys)
        assert answer["rc"] == "OK", answer
        self.wait("answers", lambda: len(self.of("resolved")) > n)
        return self.of("resolved")[-1]["items"]


def check(**options):
    done = subprocess.run([drive_path(), "check=1"] + ["%s=%s" % (k, v) for k, v in options.items()],
                          stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def phones(sim):
    """Message id -> how often a phone got it."""
    got = {}
    for line in open(sim.truth_file):
        t = json.loads(line)
        if t["k"] == "msg" and t["phone"]:
            got[t["id"]] = got.get(t["id"], 0) + 1
    return got


# ---- the way of a message --------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", [HTTP_1_1, HTTP_2])
def test_messages_are_accepted_and_reported(sim, version):
    with Drive(sim, http_version=version) as d:
        d.wait_state("UP")
        keys = d.send(20) + d.send(1, type="LMS", subject="제목", text="긴 글 \U0001f600" * 20, origin="123456789")
        first = d.outcome(keys)
        assert first["kind"] == "ACCEPTED" and first["pid"] == keys[0] and first["parts"] == 1
        for r in d.reports(keys):
            assert len(r) == 1 and r[0]["class"] == "OK" and r[0]["code"] == "0000" and r[0]["channel"] == "infobip"
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", r[0]["at"])
        assert phones(sim) == {k: 1 for k in keys}
        assert d.facts()["http"] == ("2" if version == HTTP_2 else "1.1")
        assert not d.errors


def test_outcomes_in_a_batch_are_each_their_own(sim):
    magic = {1: "REJECTED", 12: "DEFERRED", 15: "REJECTED", 17: "UNSURE", 18: "UNSURE", 22: "ACCEPTED", 99: "ACCEPTED"}
    with Drive(sim) as d:
        messages = d.messages(len(magic))
        for m, n in zip(messages, magic):
            m["to"] = "82100000%04d" % n
        sim.rule(shuffle=True, extra_items=2)
        got = d.outcomes(d.submit(messages))
        assert [o["kind"] for o in got] == list(magic.values())
        system_error, spam, duplicate = got[1], got[2], got[5]
        assert system_error["ended"] and system_error["code"] == "7006"
        assert spam["code"] == "6005" and spam["pcode"].startswith("20")
        assert duplicate["dup"]
        assert any("missing=2" in line and "unknown=2" in line for line in d.errors)
        assert d.state() == "UP"


def test_account_stop_refuses_the_channel_and_comes_back(sim):
    with Drive(sim) as d:
        sim.rule(reject=12, times=1)
        o = d.outcome(d.send(1))
        assert o["kind"] == "DEFERRED" and o["ended"] and o["code"] == "7003"
        assert "credit" in d.wait_state("REFUSED") or "credit" in d.why()
        assert d.room() == 0
        # One message at a time finds out whether it is over.
        d.wait("a probe", lambda: d.room() == 1)
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        d.wait_state("UP")
        assert d.room() > 1


def test_one_message_without_a_route_does_not_stop_the_others(sim):
    with Drive(sim) as d:
        sim.rule(reject=19, match={"to": "99999999$"})
        for _ in range(3):
            o = d.outcome(d.send(1, to="821099999999"))
            assert o["kind"] == "DEFERRED" and o["retry"] > 10000
            assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
            assert d.state() == "UP"
        for _ in range(3):
            d.outcome(d.send(1, to="821099999999"))
        assert "route" in d.wait_state("REFUSED")


# ---- the promise: never a silent second sending ------------------------------------------------------------------

@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("version", [HTTP_1_1, HTTP_2])
def test_cut_of_a_reused_connection_is_not_sent_again(sim, how, version):
    with Drive(sim, http_version=version, connections=1) as d:
        d.outcome(d.send(1))
        sim.rule(on="send", match={"reused": True}, times=1, cut="after_read", how=how, h2="conn", name="cut")
        keys = []
        for _ in range(20):
            keys = d.send(3)
            if d.outcomes(keys)[0]["kind"] != "ACCEPTED":
                break
        assert sim.fired("cut") == 1
        o = d.outcome(keys)
        assert o["kind"] == "UNSURE" and o["code"] == "8002"
        assert all(n == 1 for n in phones(sim).values())
        wires = [k for e in d.of("wire") for k in e["keys"]]
        assert len(wires) == len(set(wires))
        d.wait("the channel again", lambda: d.room() > 0)
        assert all(q["kind"] == "ACCEPTED" for q in d.resolve(keys))


def test_the_veto_is_what_prevents_it(sim):
    """On HTTP/1.1 with FIN after reading libcurl would send again: the counter shows that it was stopped."""
    with Drive(sim, http_version=HTTP_1_1, connections=1, report_poll=60000) as d:
        d.outcome(d.send(1))
        sim.rule(on="send", match={"reused": True}, times=1, cut="after_read", how="fin", name="cut")
        o = d.outcome(d.send(2))
        assert o["kind"] == "UNSURE" and "second sending was prevented" in o["text"], o
        assert int(d.facts()["prevented_resends"]) == 1
        assert all(n == 1 for n in phones(sim).values())


@pytest.mark.parametrize("h2", ["rst_stream", "refused_stream", "goaway"])
def test_http2_refusals_are_not_sent_again(sim, h2):
    with Drive(sim, http_version=HTTP_2) as d:
        d.outcome(d.send(1))
        sim.rule(on="send", times=1, cut="after_read", h2=h2, name="cut")
        keys = d.send(2)
        assert d.outcome(keys)["kind"] == "UNSURE"
        assert all(n == 1 for n in phones(sim).values())
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"


@pytest.mark.parametrize("version", [HTTP_1_1, HTTP_2])
@pytest.mark.parametrize("cut", ["before_read", "mid_read", "after_read", "mid_response"])
def test_cut_at_each_stage_is_unsure_once(sim, cut, version):
    with Drive(sim, http_version=version) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=1, cut=cut, cut_at=40)
        keys = d.send(5)
        assert d.outcome(keys)["kind"] == "UNSURE"
        d.wait("the channel again", lambda: d.room() > 0)
        taken = {q["key"] for q in d.resolve(keys) if q["kind"] == "ACCEPTED"}
        assert taken == set(phones(sim)) & set(keys)
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        assert all(n == 1 for n in phones(sim).values())


def test_no_answer_in_time_is_unsure(sim):
    with Drive(sim, answer_timeout=300) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=1, hang=True)
        o = d.outcome(d.send(2))
        assert o["kind"] == "UNSURE" and "in time" in o["text"]
        d.wait_state("DOWN")
        d.wait("a probe", lambda: d.room() == 1)
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        d.wait_state("UP")


@pytest.mark.parametrize("kind", ["non_json", "truncated", "huge", "deep", "wrong_types", "empty", "bad_utf8", "null",
                                  "array", "nul", "bignum", "endless"])
def test_an_answer_that_cannot_be_read_is_unsure(sim, kind):
    with Drive(sim, answer_timeout=5000) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=1, garbage=kind)
        keys = d.send(2)
        assert d.outcome(keys)["kind"] == "UNSURE"
        d.wait("the channel again", lambda: d.room() > 0)
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        assert all(n == 1 for n in phones(sim).values())


def test_held_messages_never_leave(sim):
    with Drive(sim) as d:
        d.wait_state("UP")
        d.cmd("hold", on=True)
        keys = d.send(3)
        assert d.outcome(keys)["kind"] == "DEFERRED"
        d.cmd("hold", on=False)
        assert d.state() == "UP"
        assert phones(sim) == {}
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"


# ---- HTTP status ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 409, 307, 302, 418])
def test_status_that_proves_nothing_is_unsure(sim, status):
    with Drive(sim) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=1, status=status, accept=True, headers={"Location": "/sms/3/messages"})
        keys = d.send(2)
        assert d.outcome(keys)["kind"] == "UNSURE"
        assert phones(sim) == {k: 1 for k in keys}
        assert d.state() in ("DOWN", "REFUSED")


@pytest.mark.parametrize("status,words", [(401, "key"), (403, "key"), (404, "address"), (405, "address")])
def test_status_that_an_operator_must_see_refuses_the_channel(sim, status, words):
    with Drive(sim) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=1, status=status)
        o = d.outcome(d.send(2))
        assert o["kind"] == "DEFERRED" and not o["ended"] and o["retry"] > 0
        assert any(e["state"] == "REFUSED" and words in e["why"] for e in d.of("state"))
        assert phones(sim) == {}


def test_429_slows_the_channel_and_it_recovers(sim):
    with Drive(sim) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=2, status=429, retry_after=1)
        begin = time.monotonic()
        o = d.outcome(d.send(2))
        assert o["kind"] == "DEFERRED" and o["retry"] == 1000 and o["code"] == "7005"
        d.wait_state("THROTTLED")
        assert d.room() == 0
        assert d.outcome(d.send(1))["kind"] == "DEFERRED"
        assert time.monotonic() - begin >= 0.9
        done = d.outcome(d.send(1))
        assert done["kind"] == "ACCEPTED" and time.monotonic() - begin >= 1.9
        for _ in range(10):
            if d.state() == "UP":
                break
            assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        assert d.state() == "UP"


def test_429_with_a_date(sim):
    with Drive(sim) as d:
        d.wait_state("UP")
        sim.rule(on="send", times=1, status=429,
                 headers={"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2026 07:28:07 GMT"})
        assert d.outcome(d.send(1))["retry"] == 7000


def test_one_bad_message_does_not_spoil_its_batch(sim):
    with Drive(sim, batch=16) as d:
        d.wait_state("UP")
        sim.rule(on="send", match={"text": "poison"}, status=400,
                 body={"errorCode": "E400", "description": "Bad request", "action": "see", "resources": [],
                       "violations": [{"property": "messages[0].content", "violation": "821012345678 is bad"}]})
        messages = d.messages(16)
        messages[5]["text"] = "poison"
        open_ones = {m["key"]: m for m in messages}
        rounds = 0
        while open_ones:
            rounds += 1
            assert rounds < 8
            keys = d.submit(list(open_ones.values()))
            done = len(d.items("done"))
            d.wait("all outcomes", lambda: len([i for e in d.of("done") for i in e["items"]]) >= done)
            for o in d.outcomes(keys):
                if o["kind"] != "DEFERRED":
                    open_ones.pop(o["key"], None)
            d.events[:] = [e for e in d.events if e["ev"] != "done"] if open_ones else d.events
        last = {i["key"]: i for i in d.items("done")}
        bad = last.get(messages[5]["key"])
        assert bad["kind"] == "REJECTED" and bad["code"] == "7099" and bad["pcode"] == "HTTP 400 E400"
        assert "content: * is bad" in bad["text"]
        assert phones(sim) == {m["key"]: 1 for m in messages if m["text"] != "poison"}
        assert d.state() == "UP"


# ---- rate and connections -----------------------------------------------------------------------------------------

def test_the_rate_is_kept(sim):
    with Drive(sim, rate=100, batch=10) as d:
        d.wait_state("UP")
        begin = time.monotonic()
        keys = []
        while len(keys) < 100:
            n = min(d.room(), 10, 100 - len(keys))
            if n > 0:
                keys += d.send(n)
        d.outcomes(keys)
        took = time.monotonic() - begin
        assert 0.85 <= took < 5, took


def test_requests_go_in_parallel_up_to_the_limit(sim):
    with Drive(sim, connections=3, batch=2) as d:
        d.wait_state("UP")
        sim.rule(on="send", delay_ms=400)
        assert d.room() == 6
        begin = time.monotonic()
        keys = []
        for i in range(3):
            assert d.cmd("submit", messages=d.messages(2))["rc"] == "OK"
            assert d.room() == 4 - 2 * i
        keys = [key(i) for i in range(1, 7)]
        assert d.cmd("submit", messages=d.messages(1))["rc"] == "AGAIN"
        assert d.outcome(keys)["kind"] == "ACCEPTED"
        assert time.monotonic() - begin < 1.1


# ---- reports ------------------------------------------------------------------------------------------------------

def test_the_next_page_waits_until_the_last_one_is_durable(sim):
    with Drive(sim, report_limit=5) as d:
        d.cmd("manual", on=True)
        d.wait_state("UP")
        sim.pause_reports()
        keys = d.send(12)
        d.outcomes(keys)
        wait_until(lambda: sim.stats()["reports_pending"] >= 12, 10, "reports")
        sim.resume_reports()
        d.wait("a page", lambda: d.of("reports"))
        assert len(d.items("reports")) == 5 or sim.stats()["reports_pending"] > 0
        asked = sim.stats()["requests_reports"]
        # Many times the pause between two questions.
        end = time.monotonic() + 0.5
        wait_until(lambda: time.monotonic() > end, 5, "half a second")
        assert sim.stats()["requests_reports"] == asked and len(d.of("reports")) == 1
        while len(d.items("reports")) < 12:
            n = len(d.of("reports"))
            d.cmd("taken")
            d.wait("another page", lambda: len(d.of("reports")) > n)
        assert sorted(r["key"] for r in d.items("reports")) == sorted(keys)


@pytest.mark.parametrize("cut", ["before_read", "after_read", "mid_response"])
def test_cut_of_a_pull_is_survived(sim, cut):
    with Drive(sim) as d:
        d.wait_state("UP")
        sim.rule(on="reports", times=2, cut=cut, accept=False)
        keys = d.send(3)
        assert all(r[0]["class"] == "OK" for r in d.reports(keys))
        assert d.state() == "UP"


@pytest.mark.parametrize("version", [HTTP_1_1, HTTP_2])
def test_whole_reports_of_a_cut_page_are_kept(sim, version):
    with Drive(sim, http_version=version) as d:
        d.cmd("manual", on=True)
        d.wait_state("UP")
        d.reports(d.send(1))
        # No further page is asked for now: the next one will hold ten.
        d.outcomes(d.send(10))
        wait_until(lambda: sim.stats()["reports_pending"] >= 10, 10, "reports")
        # Handed out once: consumed although the page is cut in the middle.
        sim.rule(on="reports", times=1, cut="mid_response", cut_at=2500, accept=True)
        d.cmd("manual", on=False)
        d.cmd("taken")
        d.wait("some reports", lambda: len(d.items("reports")) > 1)
        d.wait("the next question", lambda: int(d.facts()["pages"]) >= 4)
        assert 1 < len(d.items("reports")) < 11
        assert any("infobip.reports" in line and "damaged=1" in line for line in d.errors)


def test_reports_of_every_kind(sim):
    want = {2: ("FAIL", "4003"), 3: ("FAIL", "4011"), 6: ("FAIL", "4007"), 20: ("FAIL", "9099"), 13: ("PENDING", "8003")}
    with Drive(sim) as d:
        messages = d.messages(len(want))
        for m, n in zip(messages, want):
            m["to"] = "82100000%04d" % n
        got = d.reports(d.submit(messages))
        assert [(r[-1]["class"], r[-1]["code"]) for r in got] == list(want.values())
        keys = d.send(1, to="821000000021")
        d.wait("both reports", lambda: len([r for r in d.items("reports") if r["key"] == keys[0]]) == 2)
        first, second = [r for r in d.items("reports") if r["key"] == keys[0]]
        assert first["dup"] and first["class"] == "PENDING" and not second["dup"] and second["class"] == "OK"


# ---- questions ----------------------------------------------------------------------------------------------------

def test_questions_find_what_was_taken(sim):
    with Drive(sim, log_queries_per_minute=6000) as d:
        keys = d.send(120)
        d.outcomes(keys)
        d.reports(keys)
        before = sim.stats()["requests_logs"]
        asked = keys[:60] + [key(900000 + i) for i in range(60)] + keys[60:]
        answers = d.resolve(asked)
        assert [a["key"] for a in answers] == asked
        for a in answers:
            assert a["kind"] == ("ACCEPTED" if a["key"] in keys else "NOT_FOUND")
        assert answers[0]["report"]["class"] == "OK"
        assert sim.stats()["requests_logs"] == before + 4


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 403}, {"cut": "after_read"}, {"garbage": "truncated"},
                                   {"garbage": "wrong_types"}])
def test_a_question_without_a_proper_answer_proves_nothing(sim, fault):
    with Drive(sim) as d:
        d.wait_state("UP")
        # A GET that met a dead kept-alive connection is asked once more by libcurl: nobody is texted by it.
        sim.rule(on="logs", times=2 if "cut" in fault else 1, do=fault)
        assert [a["kind"] for a in d.resolve([key(1), key(2)])] == ["FAILED", "FAILED"]
        sim.clear_rules()
        assert [a["kind"] for a in d.resolve([key(1), key(2)])] == ["NOT_FOUND", "NOT_FOUND"]


def test_a_refused_copy_is_not_a_failure(sim):
    with Drive(sim) as d:
        messages = d.messages(1)
        d.outcome(d.submit(messages))
        n = len(d.items("done"))
        d.submit(messages)
        d.wait("the second outcome", lambda: len(d.items("done")) > n)
        again = d.items("done")[-1]
        assert again["kind"] == "ACCEPTED" and again["dup"]
        found = d.resolve([messages[0]["key"]])[0]
        assert found["kind"] == "ACCEPTED" and found["report"]["class"] != "FAIL"
        assert phones(sim) == {messages[0]["key"]: 1}


# ---- connections and certificates ------------------------------------------------------------------------------------

TRUST = [
    ({"cert_kind": "expired"}, "expired"),
    ({"cert_kind": "notyet"}, "not valid yet"),
    ({"cert_kind": "selfsigned"}, "self-signed"),
    ({"cert_kind": "unknownca"}, "authority"),
    ({"cert_kind": "wronghost"}, "another host name"),
]


@pytest.mark.parametrize("options,words", TRUST, ids=[" ".join(map(str, o.values())) for o, _ in TRUST])
def test_who_is_not_trusted_gets_nothing(options, words):
    with Sim(**options) as sim:
        with Drive(sim) as d:
            why = d.wait_state("REFUSED")
            assert words in why and "127.0.0.1:%d" % sim.port in why, why
            assert d.room() == 0
            assert not d.of("wire")
        answer = check(**{k: v for k, v in sim.channel().items()})
        assert answer["rc"] == "CONFIG" and words in answer["text"], answer
        assert sim.stats()["messages"] == 0


@pytest.mark.parametrize("options,words", [
    (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], "TLS 1.2 or newer"),
    (["-tls1_2", "-Verify", "1", "-verify_return_error"], "handshake"),
    (["-tls1_3", "-Verify", "1", "-verify_return_error"], "client certificate"),
], ids=["TLS 1.1", "client certificate, TLS 1.2", "client certificate, TLS 1.3"])
def test_refusals_of_tls_are_named(sim, folder, options, words):
    """OpenSSL's own server, which says by an alert what it does not like."""
    port = paths.free_port()
    argv = ["openssl", "s_server", "-accept", "127.0.0.1:%d" % port, "-cert", sim.cert("good.pem"), "-key",
            sim.cert("good.key"), "-CAfile", sim.ca_file, "-quiet", "-www"] + options
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: listening(port), 10, "openssl s_server", fail=server.poll)
            options = dict(sim.channel(), url="https://127.0.0.1:%d" % port)
            with Drive(**options) as d:
                why = d.wait_state("REFUSED")
                assert words in why, why
                assert not d.of("wire")
            answer = check(**options)
            assert answer["rc"] == "CONFIG" and words in answer["text"], answer
        finally:
            server.kill()


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_a_broken_handshake_says_what_it_may_be():
    with Sim(tls_min="1.1", tls_max="1.1") as sim:
        with Drive(sim) as d:
            d.wait("a state", lambda: d.state() in ("DOWN", "REFUSED"))
            assert "TLS 1.2 or newer" in d.why() and d.room() == 0 and not d.of("wire")
        assert "TLS 1.2 or newer" in check(**sim.channel())["text"]


def test_a_client_certificate_opens_the_door():
    with Sim(require_client_cert=True) as sim:
        good = {"cert_file": sim.cert("client.pem"), "key_file": sim.cert("client.key")}
        with Drive(sim, **good) as d:
            assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        assert check(**dict(sim.channel(), **good))["rc"] == "OK"
        bad = {"cert_file": sim.cert("client-bad.pem"), "key_file": sim.cert("client-bad.key")}
        for options in (bad, {}):
            with Drive(sim, **options) as d:
                d.wait("a state", lambda: d.state() in ("DOWN", "REFUSED"))
                assert not d.of("wire")


def test_the_system_is_not_trusted_beside_a_ca_file_of_ones_own(sim, folder):
    """A ca_file replaces the system's authorities."""
    other = Sim(cert_kind="good")
    try:
        with Drive(sim, ca_file=other.ca_file) as d:
            assert "authority" in d.wait_state("REFUSED")
    finally:
        other.close()


def test_a_wrong_key_stops_before_the_first_message(sim, folder):
    path = paths.write_file(os.path.join(folder, "key"), "wrong\n")
    with Drive(sim, api_key_file=path) as d:
        why = d.wait_state("REFUSED")
        assert "API key" in why and d.room() == 0 and not d.of("wire")
    answer = check(**dict(sim.channel(), api_key_file=path))
    assert answer["rc"] == "CONFIG" and "refuses the API key" in answer["text"]


def test_nobody_there_is_down_and_comes_back(sim):
    with Drive(sim) as d:
        keys = d.send(1)
        assert d.outcome(keys)["kind"] == "ACCEPTED"
        sim.listen(False)
        sim.close_connections("fin")
        why = d.wait_state("DOWN")
        assert "127.0.0.1:%d" % sim.port in why
        assert d.room() == 0
        sim.listen(True)
        d.wait_state("UP")
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
        assert all(n == 1 for n in phones(sim).values())


def test_check_says_what_it_saw(sim):
    answer = check(**sim.channel())
    assert answer["rc"] == "OK" and "TLSv1.3" in answer["text"], answer
    port = paths.free_port()
    answer = check(**dict(sim.channel(), url="https://127.0.0.1:%d" % port))
    assert answer["rc"] == "LOST" and "no connection to 127.0.0.1:%d" % port in answer["text"]
    answer = check(**dict(sim.channel(), url="https://no-such-host.invalid"))
    assert answer["rc"] == "LOST" and "name service" in answer["text"]
    assert sim.stats()["messages"] == 0


OPTIONS = [
    ({"url": "http://192.0.2.1:80"}, "must be https"),
    ({"url": "http://localhost:80"}, "must be https"),
    ({"url": "http://127.0.0.1.example.com"}, "must be https"),
    ({"url": "ftp://127.0.0.1"}, "neither"),
    ({"url": "127.0.0.1"}, "no https://"),
    ({"url": "https://user:pass@127.0.0.1"}, "secrets come from files"),
    ({"url": "https://127.0.0.1:80x"}, "port"),
    ({"url": "https://"}, "no host name"),
    ({"url": "https://a/?x=1"}, "query"),
    ({"url": "https://a", "proxy": "https://proxy:1"}, "proxy must be"),
    ({"url": "https://a", "proxy": "http://u:p@proxy:1"}, "secrets"),
    ({"url": "http://127.0.0.1", "proxy": "http://proxy:1"}, "plain http"),
    ({"ca_file": "/no/such/ca.pem"}, "/no/such/ca.pem"),
    ({"cert_file": "/etc/passwd"}, "belong together"),
    ({"api_key_file": "/no/such/key"}, "/no/such/key"),
    ({"code_map": "/no/such/map"}, "/no/such/map"),
]


@pytest.mark.parametrize("options,words", OPTIONS, ids=[json.dumps(o) for o, _ in OPTIONS])
def test_wrong_options_are_one_sentence(folder, options, words):
    good = {"url": "https://127.0.0.1:1", "api_key_file": paths.write_file(os.path.join(folder, "key"), "abc\n")}
    with subprocess.Popen([drive_path()] + ["%s=%s" % o for o in dict(good, **options).items()],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as p:
        event = json.loads(p.stdout.readline())
        p.wait(20)
    assert event["ev"] == "refused" and event["rc"] == "CONFIG" and words in event["text"], event


def test_the_environment_is_not_asked_for_a_proxy(sim):
    env = {n: "http://127.0.0.1:1" for n in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY")}
    with Drive(sim, env=env) as d:
        assert d.outcome(d.send(1))["kind"] == "ACCEPTED"


def test_a_proxy_of_ones_own_is_used_whatever_the_environment_says(sim):
    seen = []
    with Tunnel(sim.port, seen) as port:
        with Drive(sim, env={"no_proxy": "*", "NO_PROXY": "*"}, proxy="http://127.0.0.1:%d" % port) as d:
            assert d.outcome(d.send(1))["kind"] == "ACCEPTED"
    assert seen and all(s.startswith("CONNECT 127.0.0.1:%d " % sim.port) for s in seen)
    assert not any("Authorization" in s for s in seen)


class Tunnel:
    """A small CONNECT proxy."""

    def __init__(self, port, seen):
        self.port, self.seen = port, seen
        self.listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self.listener.getsockname()[1]

    def __exit__(self, *rest):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            if not data:
                return
            head += data
        self.seen.append(head.decode())
        server = socket.create_connection(("127.0.0.1", self.port))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    def _copy(self, a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_the_source_address_is_used(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        with Drive(url="http://127.0.0.1:%d" % server.getsockname()[1], source_address="127.0.0.9",
                   api_key_file=paths.write_file(os.path.join(folder, "key"), "abc")):
            client, peer = server.accept()
            head = client.recv(4096).decode()
            client.close()
    assert peer[0] == "127.0.0.9"
    assert "Authorization: App abc\r\n" in head and "Expect" not in head


# ---- end ----------------------------------------------------------------------------------------------------------

def test_drain_finishes_what_is_under_way(sim):
    with Drive(sim) as d:
        d.wait_state("UP")
        sim.rule(on="send", delay_ms=300)
        keys = d.send(3)
        d.cmd("drain")
        assert d.room() == 0
        assert d.cmd("submit", messages=d.messages(1))["rc"] == "AGAIN"
        assert d.outcome(keys)["kind"] == "ACCEPTED"
        d.wait("nothing in flight", lambda: d.cmd("status")["in_flight"] == 0)


def test_close_gives_everything_back(sim):
    with Drive(sim, connections=1) as d:
        d.wait_state("UP")
        sim.rule(on="send", hang=True)
        keys = d.send(3)
        d.wait("the request is out", lambda: d.of("wire"))
        d.cmd("close")
        assert {i["kind"] for i in d.items("done")} == {"UNSURE"}
        assert sorted(i["key"] for i in d.items("done")) == sorted(keys)


def test_null_accepts_everything():
    with Drive(driver="null", rate=0, latency=20) as d:
        d.wait_state("UP")
        keys = d.send(500)
        assert d.outcome(keys)["kind"] == "ACCEPTED"
        d.cmd("hold", on=True)
        assert d.outcome(d.send(2))["kind"] == "DEFERRED"
    assert check(driver="null")["rc"] == "OK"
