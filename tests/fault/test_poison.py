"""A row that ends the process while it is worked on: it is set aside after three times, the others flow.

Each row is hit by its body or its key at a fault point; a kill never counts, however often it comes.
"""

import pytest

from lib.wait import wait_until

pytestmark = [pytest.mark.usefixtures("failpoints")]

POISON = "P01SON"
TIMES = {"agent_lease": "1200ms", "unknown_look": "100ms", "quiet_time": "500ms", "care_pass": "100ms"}


def run_down(one, failpoint, done, most=12, deadline_s=60, first=None):
    """Starts the agent again whenever it ended by itself, as a supervisor does; how often it died of a fault."""
    deaths = 0
    one.start(wait=False, failpoint=first or failpoint)

    def look():
        nonlocal deaths
        if not one.alive():
            deaths += 1
            assert deaths <= most, "it dies for ever; its log ends:\n%s" % one.proc.tail()
            one.start(wait=False, failpoint=failpoint)
        return done()

    wait_until(look, deadline_s, "the end of the rows")
    return deaths


def history(database, msg_id):
    return [r["event"] for r in database.rows("history", "msg_id = %d" % msg_id, order="id")]


def fails_alone(database, agent, oracle, point):
    database.insert_many(120)
    poison = database.insert(body="a " + POISON)
    database.insert_many(120)
    oracle.snapshot()
    one = agent(start=False, extra={"times": TIMES})
    deaths = run_down(one, "%s@%s" % (point, POISON), lambda: database.count("send") == 0)
    assert deaths == 3
    one.stop()
    oracle.check()
    bad = [r for r in database.rows("result") if r["result_class"] != "OK"]
    assert [(r["msg_id"], r["result_class"], r["result_code"]) for r in bad] == [(poison, "FAIL", "9003")]
    assert "repeatedly" in bad[0]["result_text"]
    assert history(database, poison) == ["crashed"] * 3
    assert len(one.log().split(" row.crashed ")) == 4
    assert one.log_has(r"row.crashed id=%d .*step=%s .*count=3 of=3" % (poison, point.split(":")[0][4:]))
    told = one.ctl("explain", poison).stdout
    assert "9003" in told and "died of signal" in told, told


def test_it_fails_alone_after_three_times(database, agent, sim, oracle):
    fails_alone(database, agent, oracle, "row_read:segv")


@pytest.mark.db("mariadb")
@pytest.mark.parametrize("point", ["row_judge:abort", "row_encode:segv"])
def test_so_it_does_in_other_steps(database, agent, sim, oracle, point):
    fails_alone(database, agent, oracle, point)


@pytest.mark.db("mariadb")
def test_a_kill_never_counts(database, agent, sim, oracle):
    poison = database.insert(body=POISON)
    oracle.snapshot()
    one = agent(start=False, extra={"times": TIMES})
    for _ in range(5):
        one.start(wait=False, failpoint="row_judge:kill@" + POISON)
        assert one.wait_exit() == -9
    one.start()
    assert database.wait_result(poison, result_class="OK")
    one.stop()
    oracle.check()
    assert not one.log_has("row.crashed")
    assert history(database, poison) == []


@pytest.mark.db("mariadb")
def test_two_crashes_and_it_goes_its_way(database, agent, sim, oracle):
    """A clean end takes the suspicion away: two more crashes of the same kind do not make three."""
    poison = database.insert(body=POISON)
    oracle.snapshot()
    one = agent(start=False, extra={"times": TIMES})
    for _ in range(2):
        one.start(wait=False, failpoint="row_judge:abort@" + POISON)
        assert one.wait_exit() != 0
    one.start()
    assert database.wait_result(poison, result_class="OK")
    one.stop()
    oracle.check()
    assert one.log_has("count=2 of=3")


@pytest.mark.db("mariadb")
def test_with_an_open_attempt_it_is_never_failed(database, agent, sim, oracle):
    """The first attempt reached the provider, its answer was lost; working on the second ends the process."""
    poison = database.insert(body=POISON)
    oracle.snapshot()
    sim.config(dedupe="off")
    sim.rule(cut="after_read", times=1)
    sim.pause_reports()
    one = agent(start=False, extra={"times": TIMES, "routes": [{"type": ["SMS"], "channels": ["infobip"],
                                                                "on_unknown": "resend"}]})
    run_down(one, "row_encode:abort@" + POISON, lambda: database.count("send", "status = 4") == 1,
             first="row_encode:abort:2@" + POISON)
    held = database.rows("send")[0]
    assert held["hold_code"] == "9003" and held["msg_id"] == poison
    assert "died of signal" in one.ctl("explain", poison, check=False).stdout
    sim.resume_reports()
    assert database.wait_result(poison, result_class="OK")
    one.stop()
    oracle.check()


@pytest.mark.db("mariadb")
def test_an_answer_that_ends_the_process_does_so_three_times(database, agent, sim, oracle):
    """Answer, then the questions about it: whatever the provider says about this row ends the process."""
    other = [database.insert(recipient="0101111%04d" % n) for n in range(20)]
    one = agent(start=False, extra={"times": TIMES})
    one.start(failpoint="wire_after_mark:kill")
    one.wait_exit()
    poison = other[7]
    key = database.rows("send", "msg_id = %d" % poison)[0]["client_key"]
    oracle.snapshot()
    point = "row_answer:segv@%s,row_report:segv@%s" % (key, key)
    deaths = run_down(one, point, lambda: database.count("send", "status = 4") == 1 and database.count("send") == 1)
    assert deaths == 3
    assert database.rows("send")[0]["msg_id"] == poison
    one.stop()
    oracle.check(all_done=False)


@pytest.mark.db("mariadb")
def test_a_report_that_cannot_be_taken_is_dropped(database, agent, sim, oracle):
    """The database's part of a report: the journal has it, so each start meets it again."""
    sim.pause_reports()
    ids = [database.insert(recipient="0101111%04d" % n) for n in range(20)]
    oracle.snapshot()
    one = agent(extra={"times": TIMES})
    wait_until(lambda: database.count("send", "status = 2") == 20, 20, "20 rows with the provider", fail=one.dead_text)
    one.stop()
    poison = ids[3]
    key = database.rows("send", "msg_id = %d" % poison)[0]["client_key"]
    sim.resume_reports()
    deaths = run_down(one, "row_settle:abort@" + key, lambda: database.count("send") == 1)
    wait_until(lambda: one.log_has("report.dropped id=%d " % poison), 20, "the end of the report")
    assert deaths >= 3
    assert database.rows("send")[0]["msg_id"] == poison
    one.stop()
    oracle.check(all_done=False)


@pytest.mark.db("mariadb")
@pytest.mark.parametrize("died", ["claim_after_commit", "wire_after_mark"])
def test_a_row_whose_settling_ends_the_process_is_settled_by_its_fence(database, agent, sim, oracle, died):
    """Each start has to settle it before anything else: given back when it was not marked, asked for when it was."""
    ids = [database.insert(recipient="0101111%04d" % n) for n in range(20)]
    oracle.snapshot()
    one = agent(start=False, extra={"times": TIMES})
    one.start(wait=False, failpoint=died + ":kill")
    one.wait_exit()
    poison = ids[3]
    key = database.rows("send", "msg_id = %d" % poison)[0]["client_key"]
    left = 0 if died == "claim_after_commit" else 1
    deaths = run_down(one, "row_settle:abort@" + key,
                      lambda: database.count("send") == left and database.count("send", "status = 4") == left)
    assert deaths == 3
    assert history(database, poison)[:3] == ["crashed"] * 3
    if left:
        assert [(r["msg_id"], r["hold_code"]) for r in database.rows("send")] == [(poison, "9003")]
    else:
        assert [(r["msg_id"], r["result_code"]) for r in database.rows("result", "result_class <> 'OK'")] == [(poison, "9003")]
    one.stop()
    oracle.check(all_done=not left)


@pytest.mark.db("mariadb")
def test_a_later_message_under_its_number_is_sent(database, agent, sim, oracle):
    """The application empties the table and begins to count anew. Nothing about the new row is known to be wrong."""
    poison = database.insert(body=POISON)
    one = agent(start=False, extra={"times": TIMES})
    one.start(failpoint="wire_after_mark:kill")
    one.wait_exit()
    key = database.rows("send")[0]["client_key"]
    run_down(one, "row_settle:abort@" + key, lambda: database.count("send", "status = 4") == 1)
    assert one.log_has(r"row.crashed id=%d .*step=settle .*count=3 of=3" % poison)
    database.execute("DELETE FROM {p}send")
    again = database.insert(msg_id=poison, body="nothing wrong with it")
    assert again == poison
    oracle.snapshot()
    assert database.wait_result(poison, result_class="OK", fail=one.dead_text)
    one.stop()
    oracle.check()
