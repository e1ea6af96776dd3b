#!/usr/bin/python3
"""Rows a second from INSERT to result, through the simulator; README.md in this folder describes method and figures.

    tests/bench/volume.py [--db mariadb] [--rows 100000] [--batch 500] [--connections 4] [--channel smpp] [--set limits.batch=500]
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib import conf, db, paths, volume         # noqa: E402
from lib.agent import Agent                     # noqa: E402
from lib.oracle import Oracle                   # noqa: E402
from lib.sim import Sim                         # noqa: E402


def options():
    ap = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    ap.add_argument("--db", default="mariadb", help="kinds, comma separated: %s" % ", ".join(db.KINDS))
    ap.add_argument("--rows", type=int, default=100000)
    ap.add_argument("--batch", default="500", help="channels.batch; several, comma separated")
    ap.add_argument("--connections", type=int, default=4)
    ap.add_argument("--answer-delay-ms", type=float, default=0, help="as far away is the provider")
    ap.add_argument("--rate", type=int, default=0, help="channels.rate")
    ap.add_argument("--body", default="인증번호는 123456 입니다")
    ap.add_argument("--channel", choices=("infobip", "smpp", "null"), default="infobip")
    ap.add_argument("--sessions", type=int, default=4, help="smpp: channels.sessions")
    ap.add_argument("--window", type=int, default=100, help="smpp: channels.window")
    ap.add_argument("--truth", action="store_true", help="compare with the ground truth")
    ap.add_argument("--set", action="append", default=[], metavar="SECTION.NAME=NUMBER")
    ap.add_argument("--verbose", action="store_true", help="20 samples and all counters")
    return ap.parse_args()


def one(server, opt, batch):
    base = server.create()
    folder = paths.temp_dir("bench")
    extra = {}
    for item in opt.set:
        where, value = item.split("=", 1)
        section, name = where.split(".", 1)
        extra = conf.merge(extra, {section: {name: int(value) if value.isdigit() else value}})
    sim = None if opt.channel == "null" else Sim(report_delay_ms=50, truth_text="digest", answer_delay_ms=opt.answer_delay_ms,
                                                 smpp_port="0,0" if opt.channel == "smpp" else None)
    agent = None
    try:
        base.apply_schema()
        if opt.channel == "null":
            agent = Agent(folder, base, extra=conf.merge(volume.EXTRA, extra))
        elif opt.channel == "smpp":
            smsc = sim.smpp_channel(sessions=opt.sessions, window=opt.window, batch=batch, rate=opt.rate)
            agent = Agent(folder, base, channels=[smsc],
                          extra=conf.merge(conf.merge(volume.EXTRA, {"routes": [{"type": ["SMS"], "channels": ["smsc"]}]}), extra))
        else:
            agent = Agent(folder, base, sim, **volume.config({"batch": batch, "connections": opt.connections, "rate": opt.rate}, extra))
        base.insert_many(opt.rows, body=opt.body)
        oracle = Oracle(base, sim)
        if opt.truth:
            oracle.snapshot()
        run = volume.relay(agent, base, opt.rows, 3600)
        print("%-12s batch=%-5s %s" % (server.kind,
                                       "null" if opt.channel == "null" else "%s %s" % (opt.channel, batch), run), flush=True)
        if opt.verbose:
            for sample in run.samples[::1 + len(run.samples) // 20]:
                print("  %7.2f s  %7d results  %6d KiB" % sample)
            for name, n in sorted(run.stats.items()):
                print("  %-26s %d" % (name, n))
        agent.stop()
        if opt.truth:
            print("  ground truth: %s" % dict(oracle.check()))
    finally:
        if agent is not None:
            agent.close()
        if sim is not None:
            sim.close()
        base.drop()
        paths.remove_dir(folder)


def main():
    opt = options()
    for kind in opt.db.split(","):
        server = db.KINDS[kind]()
        try:
            for batch in opt.batch.split(","):
                one(server, opt, int(batch))
        finally:
            server.close()


if __name__ == "__main__":
    main()
