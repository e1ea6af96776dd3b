"""Scenario 12: 48 hours pass without a report, and the agents are down from hour 46 to 47.5.

The real figures: close_after 47 h, window 48 h.  What passes is the rows' age: between two lives of the agents the first sending and the
close time of every row are moved back in the database, which is all that the agent knows of time (DESIGN 3: the database's clock).
At hour 46 nothing may be closed; after hour 47.5 everything is UNKNOWN before 48:00:00, nothing is FAIL, and a report that comes
then still corrects its result.  Slice: 300 messages, long form: 5,000, the default times of the agent, and every database.
"""

import datetime

import pytest

from lib import proof
from lib.wait import wait_until

pytestmark = pytest.mark.db(*proof.size(("mariadb",), ("sqlite", "mariadb", "postgresql")))

COUNT = proof.size(300, 5000)
DEADLINE = proof.size(40, 600)
HOUR = 3600
# The long form leaves all of them at their defaults but for what would only make it slow.
DEFAULTS = {k: None for k in ("heartbeat", "agent_lease", "row_lease", "care_pass", "quiet_time", "walk", "drain")}
TIMES = proof.size({"care_pass": "500ms", "unknown_look": "200ms"}, dict(DEFAULTS, unknown_look="1s"))
KINDS = ("silent", "unanswered", "held")


def body(n):
    return KINDS[0] if n % 10 < 8 else KINDS[1] if n % 10 == 8 else KINDS[2]


def back(database, column, seconds):
    """Expression for a column's time so much earlier."""
    if database.dialect == "mysql":
        return "TIMESTAMPADD(SECOND, -%d, %s)" % (seconds, column)
    if database.dialect == "postgresql":
        return "%s - interval '%d seconds'" % (column, seconds)
    return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', %s, '-%d seconds')" % (column, seconds)


def pass_time(database, seconds):
    """Everything in mt_send becomes so much older (created_at is part of the message's name, and stays)."""
    columns = ("first_sent_at", "last_sent_at", "due_at", "send_at")
    database.execute("UPDATE {p}send SET %s" % ", ".join("%s = %s" % (c, back(database, c, seconds)) for c in columns))


def at(value):
    return value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(str(value))


def test_two_days_without_a_report(database, sim, agent, oracle):
    seed = proof.seed()
    sim.rule(reports=[], phone=False)
    sim.rule(missing=True, match={"text": "unanswered|held"})
    # And whoever asks for one learns nothing.
    sim.rule(on="logs", status=500)
    database.insert_many(COUNT, body=body, recipient=lambda n: "010%08d" % (10000000 + n))
    oracle.snapshot()
    # LMS are those of which nobody is asked again: they are held.
    database.execute("UPDATE {p}send SET msg_type = 'LMS' WHERE body = 'held'")
    agents = [agent(start=False, channel={"batch": 50, "connections": 16, "log_queries_per_minute": 6000},
                    extra={"times": TIMES}) for _ in range(2)]
    for a in agents:
        a.write({"routes": [dict(r, on_unknown="hold" if r["type"] == ["LMS"] else "auto") for r in a.config["routes"]]})
        a.start()

    def states():
        got = database.query("SELECT body, status, COUNT(*) AS n FROM {p}send GROUP BY body, status")
        return {(r["body"], r["status"]): r["n"] for r in got}

    want = {("silent", 2): COUNT * 8 // 10, ("unanswered", 3): COUNT // 10, ("held", 4): COUNT // 10}
    wait_until(lambda: states() == want, DEADLINE, "each kind in its state", pause_s=0.2, fail=agents[0].dead_text)
    for a in agents:
        a.stop()

    # Hour 46: the agents are there, and close nothing.
    pass_time(database, 46 * HOUR)
    for a in agents:
        a.start()
    for a in agents:
        beat = "SELECT COUNT(*) FROM {p}agent WHERE agent_id = ?"
        assert database.one(beat, (a.config["agent"]["id"],)) == 1
    asked = sim.stats()["requests_logs"]
    wait_until(lambda: sim.stats()["requests_logs"] > asked, DEADLINE, "a pass of care", fail=agents[0].dead_text)
    assert database.count("result") == 0 and sum(states().values()) == COUNT
    # Down, and by kill: nobody says goodbye for them.
    for a in agents:
        a.kill9()
    first_sent = {r["msg_id"]: at(r["first_sent_at"]) for r in database.rows("send")}

    # Hour 47.5.
    pass_time(database, 3 * HOUR // 2)
    for a in agents:
        a.start()
    database.wait_empty(DEADLINE, fail=agents[0].dead_text)
    results = database.rows("result")
    ages = [at(r["done_at"]) - first_sent[r["msg_id"]] + datetime.timedelta(seconds=3 * HOUR // 2) for r in results]
    worst = max(ages).total_seconds() / HOUR
    classes = {(r["result_class"], r["result_code"]) for r in results}
    proof.record("scenario 12", database.kind, seed, messages=len(results), oldest_h=worst,
                 fail=sum(r["result_class"] == "FAIL" for r in results))
    assert len(results) == COUNT
    assert classes == {("UNKNOWN", "8001"), ("UNKNOWN", "8002")}, classes
    code = {r["body"]: set() for r in results}
    for r in results:
        code[r["body"]].add(r["result_code"])
    assert code == {"silent": {"8001"}, "unanswered": {"8002"}, "held": {"8002"}}, code
    assert min(ages) >= datetime.timedelta(hours=47) and max(ages) < datetime.timedelta(hours=48), (min(ages), max(ages))
    assert sim.stats()["requests_send"] > 0 and all(t.accepted == 1 for t in sim.truth().values())

    # Late, and still true.
    some = results[::max(1, COUNT // 50)]
    for r in some:
        sim.inject(r["client_key"], 5, phone=1)
    wait_until(lambda: database.count("result", "result_class = 'OK' AND rev = 1 AND late = 'Y'") == len(some), DEADLINE,
               "corrections", fail=agents[0].dead_text)
    for a in agents:
        a.stop()
    tally = oracle.check()
    assert tally == {"OK": len(some), "UNKNOWN": COUNT - len(some)}
