"""What the proofs share: their size, their seed, and the file in which their counts are added up.

  MTRELAY_LONG=1     the long form (scripts/prove --long); without it the slice that CI runs
  MTRELAY_SEED=N     repeats one run; without it a new seed is drawn and printed
  MTRELAY_COUNTS     the file of counts; without it build/prove/counts.jsonl below the source

One line of JSON a finished run: a run that was cut off adds nothing, one that is started again goes on adding, so that the long forms
can be done in as many pieces as there is time for. A failed run is counted by whoever calls record() before it asserts.
"""

import json
import os
import random
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def long_form():
    return os.environ.get("MTRELAY_LONG", "") not in ("", "0")


def size(short, long):
    """The slice for CI, or the long form's number."""
    return long if long_form() else short


def seed():
    """This run's seed, printed so that a failure names it."""
    value = int(os.environ.get("MTRELAY_SEED", "0")) or random.randrange(1, 1 << 30)
    print("MTRELAY_SEED=%d" % value)
    return value


def path():
    return os.environ.get("MTRELAY_COUNTS") or os.path.join(SOURCE, "build", "prove", "counts.jsonl")


def record(what, db="", seed=0, **counts):
    """Adds one finished run of the proof `what`; counts are integers (added up) or floats (their largest is shown)."""
    line = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "what": what, "db": db, "seed": seed}
    line.update(counts)
    os.makedirs(os.path.dirname(path()), exist_ok=True)
    with open(path(), "a", encoding="ascii") as f:
        f.write(json.dumps(line) + "\n")


def table(lines):
    """Text for people: a line for each proof and database, its runs and its counts added up."""
    sums = {}
    for line in lines:
        one = sums.setdefault((line["what"], line["db"]), {"runs": 0})
        one["runs"] += 1
        for name, value in line.items():
            if name in ("at", "what", "db", "seed") or isinstance(value, (bool, str)):
                continue
            one[name] = max(one.get(name, 0.0), value) if isinstance(value, float) else one.get(name, 0) + value
    return "\n".join("%-24s %-12s %s" % (what, db or "-", ", ".join(
        "%s %s" % (name.replace("_", " "), "%.3g (worst)" % v if isinstance(v, float) else "{:,}".format(v))
        for name, v in one.items())) for (what, db), one in sorted(sums.items()))


if __name__ == "__main__":
    if not os.path.exists(path()):
        sys.exit("no counts yet in %s" % path())
    with open(path(), encoding="ascii") as counts:
        print(table([json.loads(one) for one in counts if one.strip()]))
