"""Scenario 6: the provider takes messages and never answers.

  hold      no second request, and every message in question is listed by `mtrelayctl unknown list`
  key       auto at a provider that recognises our keys: it sees repeats, the phone rings once
  ask       auto at a provider that can only be asked: no second request
  resend    sent again because the operator said so: twice at the phone, never a failure
  close     UNKNOWN at once, and the late report corrects it
In none of them is a message reported as failed.  Slice: 60 requests without an answer, long form: 1,000, and every database.
"""

import pytest

from lib import proof
from lib.wait import wait_until

pytestmark = pytest.mark.db(*proof.size(("mariadb",), ("sqlite", "mariadb", "postgresql")))

SILENT = proof.size(60, 1000)
DEADLINE = proof.size(60, 900)
FIRST_KEY = "^.{21}0"      # generation 0 (DESIGN 4, client_key)
QUICK = {"times": {"unknown_look": "100ms", "care_pass": "100ms", "quiet_time": "700ms"}}
POLICIES = {
    # policy: on_unknown, dedup_window, does the provider recognise a key
    "hold": ("hold", "0s", "off"),
    "key": ("auto", "10min", "forever"),
    "ask": ("auto", "0s", "off"),
    "resend": ("resend", "0s", "off"),
    "close": ("close", "0s", "off"),
}


def body(n):
    """Every second one is for the provider's deaf ear; the others show it that the channel works."""
    return "silent" if n % 2 else "spoken"


@pytest.mark.parametrize("policy", POLICIES)
def test_taken_and_never_answered(database, sim, agent, oracle, policy):
    seed = proof.seed()
    on_unknown, window, dedupe = POLICIES[policy]
    sim.config(dedupe=dedupe, report_delay_ms=0)
    sim.pause_reports()
    sim.rule(hang=True, match={"text": "^silent$", "id": FIRST_KEY, "new": True}, name="silence")
    database.insert_many(2 * SILENT, body=body)
    oracle.snapshot()
    silent = {r["msg_id"] for r in database.query("SELECT msg_id FROM {p}send WHERE body = 'silent'")}
    # Long enough for the spoken ones on a busy machine: those are meant to be answered.
    a = agent(start=False, extra=QUICK, channel={"batch": 1, "connections": 64, "dedup_window": window,
                                                 "answer_timeout": "3s", "log_queries_per_minute": 6000})
    a.write({"routes": [dict(r, on_unknown=on_unknown) for r in a.config["routes"]]})
    a.start()

    def settled():
        """Each silent one was handed over and decided upon; each spoken one accepted."""
        # After three re-sends that found no room an operator is asked.
        want = {"hold": (4,), "resend": (2, 4), "close": None}.get(policy, (2,))
        there = {r["msg_id"]: r["status"] for r in database.query("SELECT msg_id, status FROM {p}send")}
        if want is None:
            return not silent & there.keys() and set(there.values()) <= {2}
        return all(status in (want if msg in silent else (2,)) for msg, status in there.items())

    wait_until(settled, DEADLINE, "a decision about each", pause_s=0.2, fail=a.dead_text)
    truth = sim.truth()
    again = sum(t.accepted + t.dups for t in truth.values()) - 2 * SILENT
    listed = a.ctl_json("unknown", "list", "--limit", 100000, check=False)["rows"]
    held = {r["msg_id"] for r in listed if r["status"] == "HELD"}
    results = database.rows("result")
    proof.record("scenario 6 " + policy, database.kind, seed, unanswered=sim.fired("silence"), second_requests=again,
                 held=len(held), fail=sum(r["result_class"] == "FAIL" for r in results))
    assert sim.fired("silence") == SILENT
    assert {oracle.id_of(key) for key in truth} == {r[0] for r in oracle.inserted}
    if policy == "hold":
        assert again == 0 and held == silent
        # The same for who reads the screen.
        text = a.ctl("unknown", "list", "--limit", 100000, check=False).stdout
        assert "%d held, 0 unknown" % SILENT in text
    elif policy == "key":
        # One or another had no room for its repeats while the channel was down, and was asked for instead.
        assert sim.stats()["duplicates_refused"] == again >= SILENT * 0.9
        assert not listed and all(t.phone == 1 for t in truth.values())
    elif policy == "ask":
        assert again == 0 and not listed
    elif policy == "resend":
        assert again >= SILENT * 0.9
    else:
        assert again == 0
        assert {(r["msg_id"], r["result_class"], r["result_code"]) for r in results} == {
            (m, "UNKNOWN", "8002") for m in silent}
    # At last the reports: whatever was decided, all of them were delivered.
    sim.resume_reports()
    database.wait_empty(DEADLINE, fail=a.dead_text)
    if policy == "close":
        wait_until(lambda: database.count("result", "result_class = 'OK'") == 2 * SILENT, DEADLINE, "corrections",
                   fail=a.dead_text)
        assert database.count("result", "rev = 1 AND late = 'Y'") == SILENT
    a.stop()
    tally = oracle.check(allow_twice=policy == "resend")
    assert tally == {"OK": 2 * SILENT}
