#!/usr/bin/python3
"""mtsim: simulator of a provider that speaks the Infobip SMS API v3, for tests, demo and benches.

    mtsim.py --dir DIR [--port 0] [--control-port 0] ...        (--help lists all options)

Speaks HTTP/1.1 and HTTP/2 (by ALPN) over TLS, or plain HTTP/1.1 with --plain, on a loopback address.  When it is
ready it writes DIR/ready.json and prints the same object as one line:

    {"ready": true, "url": "https://127.0.0.1:43211", "control": "http://127.0.0.1:40123", "ca_file": "DIR/certs/ca.pem",
     "api_key_file": "DIR/api.key", "truth_file": "DIR/truth.jsonl", "certs": "DIR/certs", "pid": 123}

Calls: POST /sms/3/messages, GET /sms/3/reports, GET /sms/3/logs, GET /account/1/balance.  The key in api_key_file
(made when missing) is asked for as "Authorization: App KEY".  Reports are handed out once (limit 1 to 1000, default
50); logs can be asked again.  A messageId that was used before is answered with status 23, and no phone gets anything.

GROUND TRUTH
  truth.jsonl gets one line for everything that becomes of a message:
    {"k":"msg", "t": ms, "id", "to", "sender", "text", "accepted": 0|1, "phone": 0|1, "outcome", "lied": 0|1, "bulk"}
    {"k":"dup", "t", "id"}                      a repeated messageId was refused
    {"k":"event", "t", "id", "phone", "lied", "report"}   a report was injected
  "phone" is 1 when the handset received it (at the moment of acceptance); "lied" when the reports told of this message
  contradict that.  Lines of one id add up.

RECIPIENTS WITH A MEANING: the last eight digits are 0000NNNN (010-0000-0001, 821000000001 and so on)
  0001 rejected in the answer (6)               0012 rejected in the answer, system error (21)
  0002 undeliverable (9, error 27)              0013 expired without knowing (29), phone got it
  0003 expired at the provider (15)             0014 report before the answer (answer 300 ms late)
  0004 no report, phone got it, logs know       0015 rejected in the answer, flooding filter (20)
  0005 no report, stays on the way for ever     0016 rejected in the answer, no credits (12)
  0006 accepted, then reported as rejected (10) 0017 missing in the answer, phone got it
  0007 delivered to operator (2), then 5        0018 missing in the answer, not taken
  0008 undeliverable, then delivered; got it    0019 delivered, then undeliverable; got it
  0009 the delivered report comes twice         0020 undeliverable with an unknown status (777)
  0010 intermediate report (3), then delivered  0021 report with status 23, then delivered
  0011 delivered, report after 3 s              0022 refused as duplicate (23) although never seen
  Everything else is delivered (5) after report_delay_ms.  --no-magic switches the table off.

FAULT SCRIPTS: --rules FILE (a list of rules, or {"config": {}, "rules": []}) or POST /rules on the control port
  {"name": "r1", "on": "send", "match": {}, "times": 1, "do": {}}
  on      send (default), reports, logs, balance, any, connect
  match   to, id, sender, text: regular expressions, searched; nth: 3 | [1,4] | "2-5" | "2-" | {"every": 3} (counted over
          the candidates of this rule); probability with seed; reused: true (not the first request of its connection);
          http: "1.1" or "2"; min_items;
          new: true (no messageId of the request was seen before) or false (each was).  A rule whose "do" speaks of single messages only is matched and counted message
          by message, any other request by request (patterns: one message of the batch is enough).
  times   how often it may fire (default: always)
  do, whole request:
    accept            are the messages taken (phone gets them)?  Default: yes, but no for status >= 300.  For GET
                      reports: are the reports consumed?
    status            HTTP status with the API's error body; with retry_after, headers, body (text or object)
    delay_ms          answer later (taken at once); delay_max_ms: random up to that; delay_before_ms: take later
    cut               before_read | mid_read (cut_at bytes of the body) | after_read | mid_response (cut_at bytes, default
                      in the middle of the body); how: fin | rst; h2: conn | rst_stream | refused_stream | goaway
    hang              never answer
    close_after       fin | rst: end the kept-alive connection after the answer, without saying so
    garbage           non_json truncated huge deep wrong_types empty bad_utf8 null array nul wrong_ct bignum endless
    trickle_bytes, trickle_ms   slow answer; chunked: true
    shuffle, drop_items (number or part), extra_items, repeat (reports: each n times), empty (reports: nothing now)
    before_answer     reports may be pulled at once (use with delay_ms)
    stop_listening_ms refuse new connections for so long
    on connect: refuse (reset after accept), hang (no TLS answer), delay_ms
  do, single message:
    reject            status id or name, or {"status", "error"}: refused in the answer
    missing           true or "accepted": taken but not in the answer; "refused": neither
    answer_status     another status in the answer;  repeat_item: n times in the answer
    outcome           final status of the one report;  reports: list of status or {"status","error","delay_ms"} (empty list:
                      none);  report_delay_ms;  phone: what really happened (default: what the reports say)
    on logs: find: false (the log does not know it), log_status

CONTROL PORT (JSON; GET unless named)
  /ready /stats /config; POST /config {..}; POST /reset; POST /shutdown
  /rules; POST /rules; DELETE /rules[?name=N]
  /truth?id=I, /truth?offset=N
  POST /reports/inject {"messageId", "status", "error", "delay_ms", "phone", "lied"}; POST /reports/pause, /reports/resume
  POST /listen {"open": false, "ms": 500}; POST /connections/close {"how": "rst"}
  /requests[?since=N&path=P] (with the messageIds of requests of 50 messages at most); DELETE /requests
  settings: report_delay_ms answer_delay_ms log_delay_ms (until a message shows in the logs) dedupe (forever, off or
  seconds) rejected_ids (taken or free) truth_text (full or digest) balance currency magic max_messages_per_s
  max_requests_per_s logs_per_minute max_batch window_h
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import ssl
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mtsim import certs                     # noqa: E402
from mtsim.control import Control           # noqa: E402
from mtsim.http import HAVE_H2, Server      # noqa: E402
from mtsim.provider import Provider         # noqa: E402
from mtsim.rules import RuleError           # noqa: E402

TLS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2,
       "1.3": ssl.TLSVersion.TLSv1_3}


def options():
    ap = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0],
                                 epilog="The head of this file describes recipients, rules and the control port.")
    ap.add_argument("--dir", required=True, help="folder for certificates, key, truth and ready.json")
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=0)
    ap.add_argument("--control-port", type=int, default=0)
    ap.add_argument("--api-key-file", help="default DIR/api.key, made when missing")
    ap.add_argument("--plain", action="store_true", help="HTTP without TLS")
    ap.add_argument("--cert-kind", choices=certs.KINDS, default="good")
    ap.add_argument("--require-client-cert", action="store_true")
    ap.add_argument("--tls-min", choices=TLS, default="1.2")
    ap.add_argument("--tls-max", choices=TLS, default="1.3")
    ap.add_argument("--http", choices=("1.1", "2", "both"), default="both")
    ap.add_argument("--rules", help="file with fault rules")
    ap.add_argument("--report-delay-ms", type=float, default=50)
    ap.add_argument("--answer-delay-ms", type=float, default=0)
    ap.add_argument("--log-delay-ms", type=float, default=0)
    ap.add_argument("--dedupe", default="forever", help="forever, off or seconds")
    ap.add_argument("--truth-text", choices=("full", "digest"), default="full")
    ap.add_argument("--no-magic", action="store_true")
    ap.add_argument("--parent-pid", type=int, help="end when this process is gone")
    return ap.parse_args()


def tls_context(opt, folder):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if TLS[opt.tls_min] < ssl.TLSVersion.TLSv1_2 or TLS[opt.tls_max] < ssl.TLSVersion.TLSv1_2:
        # OpenSSL 3 refuses the old versions above security level 0.
        ctx.set_ciphers("DEFAULT@SECLEVEL=0")
    ctx.minimum_version = min(TLS[opt.tls_min], TLS[opt.tls_max])
    ctx.maximum_version = TLS[opt.tls_max]
    ctx.load_cert_chain(os.path.join(folder, opt.cert_kind + ".pem"), os.path.join(folder, opt.cert_kind + ".key"))
    protos = {"1.1": ["http/1.1"], "2": ["h2"], "both": ["h2", "http/1.1"]}[opt.http]
    if not HAVE_H2:
        protos = ["http/1.1"]
    ctx.set_alpn_protocols(protos)
    if opt.require_client_cert:
        ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.load_verify_locations(os.path.join(folder, "ca.pem"))
    return ctx


def read_key(path):
    if not os.path.exists(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(secrets.token_hex(24) + "\n")
    with open(path) as f:
        return f.read().strip()


async def main(opt):
    os.makedirs(opt.dir, exist_ok=True)
    folder = os.path.abspath(opt.dir)
    key_file = os.path.abspath(opt.api_key_file or os.path.join(folder, "api.key"))
    provider = Provider(read_key(key_file), os.path.join(folder, "truth.jsonl"), {
        "report_delay_ms": opt.report_delay_ms, "answer_delay_ms": opt.answer_delay_ms,
        "log_delay_ms": opt.log_delay_ms, "dedupe": opt.dedupe, "truth_text": opt.truth_text,
        "magic": not opt.no_magic})
    if opt.rules:
        with open(opt.rules) as f:
            script = json.load(f)
        if isinstance(script, dict) and "rules" in script:
            provider.set_config(script.get("config", {}))
            script = script["rules"]
        provider.add_rules(script)

    def connect_rule():
        do = {}
        for rule in provider.rules:
            if rule.on == "connect" and rule.fire():
                do.update(rule.do)
        return do

    cert_dir = certs.make(os.path.join(folder, "certs"))
    server = Server(provider, opt.host, opt.port, None if opt.plain else tls_context(opt, cert_dir), provider.stats,
                    connect_rule)
    provider.on_listen = server.unlisten
    server.listen()
    stopping = asyncio.Event()
    ready = {"ready": True, "control": None, "ca_file": os.path.join(cert_dir, "ca.pem"), "api_key_file": key_file,
             "truth_file": provider.truth_path, "certs": cert_dir, "pid": os.getpid()}
    control = Server(Control(provider, server, ready, stopping.set), "127.0.0.1", opt.control_port)
    control.listen()
    host = "[%s]" % opt.host if ":" in opt.host else opt.host
    ready["url"] = "%s://%s:%d" % ("http" if opt.plain else "https", host, server.port)
    ready["control"] = "http://127.0.0.1:%d" % control.port
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stopping.set)
    temporary = os.path.join(folder, "ready.json.new")
    with open(temporary, "w") as f:
        json.dump(ready, f)
    os.rename(temporary, os.path.join(folder, "ready.json"))
    print(json.dumps(ready), flush=True)
    while not stopping.is_set():
        try:
            await asyncio.wait_for(stopping.wait(), 1.0 if opt.parent_pid else None)
        except asyncio.TimeoutError:
            if os.getppid() != opt.parent_pid:
                break
    server.unlisten()
    control.unlisten()


if __name__ == "__main__":
    try:
        asyncio.run(main(options()))
    except (RuleError, OSError, ValueError) as e:
        sys.exit("mtsim: %s" % e)
