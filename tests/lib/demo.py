"""What scripts/demo runs once the programs are built: database, provider, agent, INSERT, results, how to go on."""

import argparse
import shlex
import signal
import sys
import time

from . import db, paths
from .agent import Agent
from .sim import Sim

SERVERS = {"sqlite": db.SQLite, "mysql": db.MariaDB, "postgresql": db.PostgreSQL}
SENDER = "1588-0000"
# recipient, text, what it shows; the simulator gives these recipients their fates
FIRST = [
    ("010-1234-5678", "Your code is 482913.", "delivered"),
    ("+82 10 2345 6789", "안녕하세요. 주문하신 상품이 출고되었습니다.", "delivered, Korean text"),
    ("010-3456-7890", "긴 문자: " + "가나다라마바사아자차카타파하 " * 8, "longer than 90 bytes: becomes an LMS"),
    ("010-0000-0001", "The provider refuses this number.", "rejected"),
    ("010-0000-0002", "The handset cannot be reached.", "undeliverable"),
    ("010-0000-0003", "The handset stays switched off.", "expired at the provider"),
    ("02-12-no-number", "Letters in the number.", "refused by the agent"),
    ("010-4567-8901", "", "empty body: refused by the agent"),
]


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def insert_sql(rows):
    values = ",\n       ".join("(%s, %s, %s)" % (quote(SENDER), quote(to), quote(body)) for to, body in rows)
    return "INSERT INTO mt_send (sender, recipient, body)\nVALUES %s;" % values


def messages(count):
    rows = [(to, body) for to, body, _ in FIRST[:count]]
    for i in range(len(rows), count):
        rows.append(("010-5%03d-%04d" % (i // 10000, i % 10000), "Message number %d" % (i + 1)))
    return rows


def select(base, sql):
    """Lines of tab separated values through the native client."""
    tabs = {"sqlite": ".mode tabs\n", "postgresql": "\\pset fieldsep '\t'\n"}
    return [line.split("\t") for line in base.sql(tabs.get(base.kind, "") + sql).splitlines() if line.strip()]


def count(base, table):
    return int(base.sql("SELECT count(*) FROM %s;" % table).strip().splitlines()[-1])


def wait_all(base, agent, expected, deadline_s):
    end = time.monotonic() + deadline_s
    shown = -1
    while True:
        done = count(base, "mt_result")
        if done != shown and expected > 100:
            print("  %d of %d" % (done, expected), flush=True)
        shown = done
        if done >= expected and count(base, "mt_send") == 0:
            return
        if not agent.alive() or time.monotonic() > end:
            raise SystemExit("demo: %d of %d messages have a result; the agent's log ends:\n%s"
                             % (done, expected, agent.proc.tail()))
        time.sleep(0.1 if expected <= 100 else 0.5)


def client_line(base):
    if base.kind == "sqlite":
        return "sqlite3 -cmd '.timeout 5000' %s" % base.path
    if base.kind == "mariadb":
        return "mariadb --defaults-file=%s %s" % (client_file(base), base.name)
    return "PGPASSWORD=%s psql -h 127.0.0.1 -p %d -U %s %s" % (shlex.quote(db.PASSWORD), base.server.port, db.OWNER, base.name)


def client_file(base):
    path = base.dir + "/client.cnf"
    paths.write_file(path, "[client]\nhost=127.0.0.1\nport=%d\nuser=%s\npassword=%s\ndefault-character-set=utf8mb4\n"
                     % (base.server.port, db.OWNER, db.PASSWORD))
    return path


def print_table(base, shown):
    """shown: rows of (id, recipient, type, class, code, text, sent, done)."""
    heads = ("id", "recipient", "type", "class", "code", "what it means", "sent", "done")
    rows = [heads] + [tuple(r) for r in shown]
    widths = [max(len(str(r[i])) for r in rows) for i in range(len(heads))]
    for n, r in enumerate(rows):
        print("  " + "  ".join(str(v).ljust(w) for v, w in zip(r, widths)).rstrip())
        if n == 0:
            print("  " + "  ".join("-" * w for w in widths))


RESULT_SQL = """SELECT msg_id, recipient, COALESCE(sent_type, asked_type), result_class, result_code, result_text,
       COALESCE(%(sent)s, '-'), %(done)s
  FROM mt_result ORDER BY msg_id LIMIT 40;"""
TIMES = {
    "sqlite": {"sent": "substr(sent_at, 12, 12)", "done": "substr(done_at, 12, 12)"},
    "mariadb": {"sent": "date_format(sent_at, '%H:%i:%s')", "done": "date_format(done_at, '%H:%i:%s')"},
    "postgresql": {"sent": "to_char(sent_at, 'HH24:MI:SS.MS')", "done": "to_char(done_at, 'HH24:MI:SS.MS')"},
}


def main():
    ap = argparse.ArgumentParser(prog="scripts/demo", description="INSERT messages, see their results.")
    ap.add_argument("--db", choices=sorted(SERVERS), default="sqlite")
    ap.add_argument("--count", type=int, default=12)
    ap.add_argument("--keep", action="store_true", help="keep running until Ctrl-C")
    args = ap.parse_args()
    if args.count < 1:
        ap.error("--count takes a number from 1 on")
    folder = paths.temp_dir("demo")
    server, sim, agent = SERVERS[args.db](), None, None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print("1. A database, a simulated provider with TLS, and the agent, all on this machine.", flush=True)
        base = server.create()
        sim = Sim()
        agent = Agent(folder + "/agent", base, sim)
        agent.write({"times": {"idle_poll": "100ms"}, "log": {"level": "info"}})
        base.apply_schema()
        agent.start()
        rows = messages(args.count)
        print("\n2. Any client, any language: an INSERT of three columns.\n")
        text = insert_sql(rows[:8])
        print("\n".join("   " + (line if len(line) < 110 else line[:107] + "...") for line in text.splitlines()))
        if args.count > 8:
            print("   ... and %d more" % (args.count - 8))
        for at in range(0, len(rows), 500):
            base.sql(insert_sql(rows[at:at + 500]))
        print("\n3. Their results, in mt_result:\n", flush=True)
        wait_all(base, agent, args.count, 60 + args.count / 100)
        print_table(base, select(base, RESULT_SQL % TIMES[base.kind]))
        if args.count > 40:
            print("  ... and %d more" % (args.count - 40))
        phones = sum(t.phone for t in sim.truth().values())
        print("\n   %d messages, %d results, %d rows still waiting; phones received %d."
              % (args.count, count(base, "mt_result"), count(base, "mt_send"), phones))
        if args.keep:
            print("\n4. Everything keeps running. Try it from another terminal:\n")
            print("     %s" % client_line(base))
            print("     INSERT INTO mt_send (sender, recipient, body) VALUES ('15880000', '01012345678', 'hello');")
            print("     SELECT * FROM mt_result ORDER BY done_at DESC LIMIT 1;\n")
            ctl = "%s -c %s" % (paths.program("mtrelayctl"), agent.config_path)
            print("     %s status" % ctl)
            print("     %s trace 1" % ctl)
            print("     %s check\n" % ctl)
            print("   Ctrl-C ends and removes it all.", flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                print()
        else:
            print("\n4. How to go on: scripts/demo --keep leaves it running for your own INSERTs;"
                  "\n   README.md, \"The first five minutes\", does the same on your own database.")
        agent.stop()
    finally:
        if agent is not None:
            agent.close()
        if sim is not None:
            sim.close()
        server.close()
        paths.remove_dir(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
