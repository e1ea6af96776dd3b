"""Waiting for a condition with a deadline: the only way in which tests wait."""

import time


class WaitTimeout(AssertionError):
    pass


def wait_until(cond, deadline_s=10.0, what="the condition", pause_s=0.02, fail=None):
    """Calls cond until it returns something true, and returns that.

    fail: called at every turn; when it returns something true the wait ends at once with that text (a process that died,
    say).  The pause grows slowly, so that long waits do not load the machine.
    """
    end = time.monotonic() + deadline_s
    pause = pause_s
    while True:
        got = cond()
        if got:
            return got
        if fail is not None:
            text = fail()
            if text:
                raise WaitTimeout("while waiting for %s: %s" % (what, text))
        if time.monotonic() >= end:
            raise WaitTimeout("waited %.1f s for %s; last value: %r" % (deadline_s, what, got))
        time.sleep(pause)
        pause = min(pause * 1.2, 0.25)
