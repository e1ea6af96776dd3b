"""What scripts/demo runs once the programs are built: database, provider, agent, INSERT, results, how to go on."""

import argparse
import os
import signal
import sys
import textwrap
import time
import unicodedata

from . import db, paths
from .agent import Agent
from .sim import Sim

SERVERS = {"sqlite": db.SQLite, "mysql": db.MariaDB, "postgresql": db.PostgreSQL}
WIDTH = 100
SENDER = "1588-0000"
# Recipient and text; the simulator gives the numbers that end in 0000NNNN their fates.
FIRST = [
    ("010-1234-5678", "Your code is 482913."),
    ("+82 10 2345 6789", "안녕하세요. 주문하신 상품이 출고되었습니다."),
    ("010-3456-7890", "90 bytes 넘는 글은 LMS: " + "가나다라마바사아자차카타파하 " * 4),
    ("010-0000-0001", "The provider refuses this number."),
    ("010-0000-0002", "The handset cannot be reached."),
    ("010-0000-0003", "The handset stays switched off."),
    ("02-12-no-number", "Letters in the number."),
    ("010-4567-8901", ""),
]


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def insert_sql(rows):
    values = ",\n       ".join("(%s, %s, %s)" % (quote(SENDER), quote(to), quote(body)) for to, body in rows)
    return "INSERT INTO mt_send (sender, recipient, body)\nVALUES %s;" % values


def messages(count):
    rows = FIRST[:count]
    for i in range(len(rows), count):
        rows.append(("010-5%03d-%04d" % (i // 10000, i % 10000), "Message number %d" % (i + 1)))
    return rows


def columns(text):
    """How many columns of a terminal it takes; a Korean character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text, width):
    if columns(text) <= width:
        return text
    while columns(text) > width - 3:
        text = text[:-1]
    return text + "..."


def select(base, sql):
    """Lines of tab separated values through the native client."""
    tabs = {"sqlite": ".mode tabs\n", "postgresql": "\\pset fieldsep '\t'\n"}
    return [line.split("\t") for line in base.sql(tabs.get(base.kind, "") + sql).splitlines() if line.strip()]


def number(base, sql):
    return int(base.sql(sql + ";").strip().splitlines()[-1])


def wait_all(base, agent, expected, deadline_s):
    end = time.monotonic() + deadline_s
    shown = -1
    while True:
        done = number(base, "SELECT count(*) FROM mt_result")
        if done != shown and expected > 1000:
            print("  %d of %d" % (done, expected), flush=True)
        shown = done
        if done >= expected and number(base, "SELECT count(*) FROM mt_send") == 0:
            return
        if not agent.alive() or time.monotonic() > end:
            raise SystemExit("scripts/demo: %d of %d messages have a result; the agent's log ends:\n%s"
                             % (done, expected, agent.proc.tail()))
        time.sleep(0.1 if expected <= 1000 else 0.5)


def client_line(base, folder):
    """How to reach the database with its own client; the password stands in a file."""
    if base.kind == "sqlite":
        return "sqlite3 -header -column -cmd '.timeout 5000' %s" % base.path
    port = base.server.port
    if base.kind == "mariadb":
        path = paths.write_file(folder + "/my.cnf", "[client]\nhost=127.0.0.1\nport=%d\nuser=%s\npassword=\"%s\"\n"
                                "default-character-set=utf8mb4\n" % (port, db.OWNER, db.PASSWORD))
        return "mariadb --defaults-file=%s %s" % (path, base.name)
    path = paths.write_file(folder + "/pgpass", "127.0.0.1:%d:*:%s:%s\n" % (port, db.OWNER, db.PASSWORD))
    return "PGPASSFILE=%s psql -h 127.0.0.1 -p %d -U %s %s" % (path, port, db.OWNER, base.name)


RESULT_SQL = """SELECT msg_id, recipient, CASE WHEN sent_at IS NULL THEN '-' ELSE sent_type END, result_class, result_code,
       result_text, COALESCE(%(sent)s, '-'), %(done)s
  FROM mt_result ORDER BY msg_id LIMIT 20;"""
HEADS = ("id", "recipient", "type", "class", "code", "what it means", "sent at", "result at")
TEXT = HEADS.index("what it means")
CLOCK = {
    "sqlite": "substr(%s, 12, 12)",
    "mariadb": "substr(date_format(%s, '%%H:%%i:%%s.%%f'), 1, 12)",
    "postgresql": "to_char(%s, 'HH24:MI:SS.MS')",
}


def print_table(shown):
    """shown: rows in the order of HEADS; a long text goes on below itself."""
    rows = [HEADS] + shown
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEADS))]
    others = sum(w for i, w in enumerate(widths) if i != TEXT) + 2 * len(HEADS)
    widths[TEXT] = max(min(widths[TEXT], WIDTH - others), 20)
    for n, row in enumerate(rows):
        lines = textwrap.wrap(row[TEXT], widths[TEXT]) or [""]
        for k, line in enumerate(lines):
            cells = [line if i == TEXT else v if k == 0 else "" for i, v in enumerate(row)]
            print("  " + "  ".join(v.ljust(w) for v, w in zip(cells, widths)).rstrip())
        if n == 0:
            print("  " + "  ".join("-" * w for w in widths))


def show_results(base, sim, count):
    clock = CLOCK[base.kind]
    print_table([tuple(r) for r in select(base, RESULT_SQL % {"sent": clock % "sent_at", "done": clock % "done_at"})])
    if count > 20:
        print("  ... and %d more" % (count - 20))
    results = number(base, "SELECT count(*) FROM mt_result")
    good = number(base, "SELECT count(*) FROM mt_result WHERE result_class = 'OK'")
    phones = sum(t.phone for t in sim.truth().values())
    print("\n   Messages: %d. Results: %d, delivered: %d. Rows left in mt_send: %d. The simulator's phones got: %d."
          % (count, results, good, number(base, "SELECT count(*) FROM mt_send"), phones))
    if results != count or good != phones:
        raise SystemExit("scripts/demo: these numbers do not fit together")


def show_next(base, agent, folder):
    ctl = "%s -c %s" % (paths.program("mtrelayctl"), agent.config_path)
    print("\n4. Everything keeps running. Try it from another terminal:\n")
    print("     " + client_line(base, folder))
    print("     INSERT INTO mt_send (sender, recipient, body) VALUES ('15880000', '01012345678', 'hello');")
    print("     SELECT msg_id, recipient, sent_type, result_class, result_code, result_text, done_at")
    print("       FROM mt_result ORDER BY done_at DESC LIMIT 1;\n")
    for command in ("status", "trace 1", "check"):
        print("     %s %s" % (ctl, command))
    print("\n   Ctrl-C ends and removes it all.", flush=True)


def demo(args, things):
    server = SERVERS[args.db]()
    things.append(server.close)
    folder = paths.temp_dir("demo")
    things.append(lambda: paths.remove_dir(folder))
    # Distributions have psqlODBC leave a log file in /tmp for each process; our drivers are named by their full paths.
    paths.write_file(folder + "/odbcinst.ini", "")
    os.environ["ODBCSYSINI"] = folder
    print("1. A database, a simulated provider with TLS, and the agent, all on this machine.", flush=True)
    base = server.create()
    sim = Sim()
    things.append(sim.close)
    agent = Agent(folder + "/agent", base, sim)
    things.append(agent.close)
    agent.write({"times": {"idle_poll": "100ms"}, "log": {"level": "info"}})
    base.apply_schema()
    agent.start()
    rows = messages(args.count)
    print("\n2. Any client, any language: an INSERT of three columns.\n")
    print("\n".join("   " + cut(line, WIDTH - 3) for line in insert_sql(rows[:len(FIRST)]).splitlines()))
    if args.count > len(FIRST):
        print("   ... and %d more" % (args.count - len(FIRST)))
    for at in range(0, len(rows), 500):
        base.sql(insert_sql(rows[at:at + 500]))
    print("\n3. Their results, in mt_result:\n", flush=True)
    wait_all(base, agent, args.count, 60 + args.count / 100)
    show_results(base, sim, args.count)
    if args.keep:
        show_next(base, agent, folder)
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            print()
    else:
        print("\n4. How to go on: \"scripts/demo --keep\" leaves it running for your own INSERTs; README.md has the"
              "\n   first five minutes on your own database.", flush=True)
    agent.stop()


def end(signum, frame):
    sys.exit(128 + signum)


def main():
    ap = argparse.ArgumentParser(prog="scripts/demo", description="INSERT messages, see their results.")
    ap.add_argument("--db", choices=sorted(SERVERS), default="sqlite")
    ap.add_argument("--count", type=int, default=12)
    ap.add_argument("--keep", action="store_true", help="keep running until Ctrl-C")
    args = ap.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)    # a shell's background jobs start with it ignored
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    things = []                                                 # to close, the last one first
    try:
        demo(args, things)
    except KeyboardInterrupt:
        return 130
    except db.Unavailable as e:
        print("scripts/demo: %s" % e, file=sys.stderr)
        return 1
    finally:
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, signal.SIG_IGN)
        for close in reversed(things):
            close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
