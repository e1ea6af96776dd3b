"""What goes over the wire, judged by a stranger: Prism between agent and simulator, with the provider's own specification.

Skipped where the specification (MTRELAY_SPECS) or Prism is not there.
"""

import os

import pytest

from lib import paths, prism
from lib.agent import Agent
from lib.sim import Sim
from lib.wait import wait_until


@pytest.fixture(scope="module")
def spec():
    path = os.path.join(paths.specs_dir() or "", "infobip", "infobip-sms-openapi.json")
    if not os.path.exists(path):
        pytest.skip("no specification infobip/infobip-sms-openapi.json (MTRELAY_SPECS names the folder)")
    return path


@pytest.fixture
def proxied(spec, folder):
    """Factory of (simulator, Prism in front of it)."""
    made = []

    def make(*flags):
        sim = Sim(plain=True)
        made.append(sim)
        try:
            made.append(prism.Prism(spec, sim.url, folder, flags))
        except prism.Unavailable as e:
            pytest.skip(str(e))
        return sim, made[-1]

    yield make
    for one in reversed(made):
        one.close()


# The first mode names each violation in its log, in the second one the proxy refuses to pass it on.
@pytest.mark.db("sqlite")
@pytest.mark.parametrize("flags", [(), ("--errors",)], ids=["told", "refused"])
def test_nothing_on_the_wire_violates_the_specification(database, proxied, folder, flags, oracle):
    sim, proxy = proxied(*flags)
    oracle.truth_file = sim.truth_file
    agent = Agent(os.path.join(folder, "agent"), database, sim, channel={"url": proxy.url})
    # Missing in the answer and without a report: only the logs know.
    sim.rule(on="send", match={"text": "^found in the logs$"}, missing="accepted", reports=[], phone=1, log_status=5)
    # The document names 200, 400, 401, 403 and 500 only; 429 stands elsewhere.
    sim.rule(on="send", match={"text": "^answered with 500$"}, times=1, status=500)
    try:
        rows = {
            "sms": ("OK", dict(body="인증번호는 123456 입니다")),
            "lms": ("OK", dict(body="긴 문자 " * 40, subject="제목", msg_type="LMS")),
            "letters": ("OK", dict(body="quotes \" \\ / \t tab, emoji 😀, lines\r\n and <tags>")),
            "expires": ("OK", dict(body="soon over", expire_at=later(database, 600))),
            "group": ("OK", dict(body="with all", group_key="g 1", dept_code="d", origin_code="301230126", req_key="k/1")),
            "rejected": ("FAIL", dict(recipient="010-0000-0001", body="rejected in the answer")),
            "undeliverable": ("FAIL", dict(recipient="010-0000-0002", body="undeliverable")),
            "intermediate": ("OK", dict(recipient="010-0000-0010", body="two reports")),
            "asked": ("OK", dict(body="found in the logs")),
        }
        ids = {name: (database.insert(**columns), expect) for name, (expect, columns) in rows.items()}
        oracle.snapshot()
        agent.start()
        for name, (msg, expect) in ids.items():
            row = database.wait_result(msg, 40, fail=agent.dead_text)
            assert row["result_class"] == expect, (name, row, proxy.complaints())
        last = database.insert(body="answered with 500")
        oracle.expect(last)
        wait_until(lambda: database.one("SELECT status FROM {p}send WHERE msg_id = ?", (last,)) != 0, 20, "a look at it",
                   fail=agent.dead_text)
        agent.stop()
        assert not proxy.complaints(), "\n".join(proxy.complaints())
        for method, path in (("post", "/sms/3/messages"), ("get", "/sms/3/reports"), ("get", "/sms/3/logs")):
            assert proxy.count(method, path) > 0, "nothing went to " + path
        assert len(sim.truth()) >= len(ids)
        oracle.check(all_done=False)
    finally:
        agent.close()


def later(database, seconds):
    from lib.db import Sql
    return Sql(database.later_sql(seconds))


def test_what_violates_the_specification_would_be_seen(proxied):
    sim, proxy = proxied()
    status, violations, _ = proxy.call(sim.key(), "POST", "/sms/3/messages", {"messages": [{"sender": "x"}]})
    assert {v["location"][0] for v in violations} == {"request"} and status == 400
    sim.rule(on="reports", times=1, status=200, body={"results": "none"})
    _, violations, _ = proxy.call(sim.key(), "GET", "/sms/3/reports")
    assert [v["location"] for v in violations] == [["response", "body", "results"]]
    assert proxy.call(sim.key(), "GET", "/sms/3/reports")[:2] == (200, [])
    wait_until(lambda: len(proxy.complaints()) == 3, 10, "three complaints in Prism's log")
