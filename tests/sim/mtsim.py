#!/usr/bin/python3
"""mtsim: simulator of a provider that speaks the Infobip SMS API v3 and SMPP 3.4, for tests, demo and benches.

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

THE SMPP SIDE (--smpp, --smpp-port PORT,PORT...; TLS by the same certificates, --smpp-plain without)
  ready.json then has "smpp": "127.0.0.1:43311", "smpp_hosts" (all listeners), "smpp_tls", "smpp_system_id", "smpp_password_file".
  SMPP 3.4: bind_* of any number of sessions, enquire_link and unbind both ways, submit_sm in data_coding 0 (GSM; or a setting), 1,
  2, 3, 4, 8, 14, parts by user data header or sar_ parameters, message_payload; receipts and messages from phones by deliver_sm
  on any session that receives, again until they are answered with no error.  Keys are not recognised: what comes twice reaches
  the phone twice (stats smpp_doubles).  A client's fault is counted (stats smpp_malformed, GET /smpp "faults") and refused.
  Truth: "id" is the octets of parameter 0x1401 where the submit_sm has it (the agent's key_tag), else the message_id.  A line "msg" is
  written when a message, with all its parts, was taken or one was refused; more in it: "answered" (the answer was told, not cut or
  kept back; {"k":"lost"} takes one back), "parts", "raw" (octets of each part, hex), "mid" (message_ids), "dc", "how" (single,
  payload, udh, sar), "ton", "validity", "schedule", "registered", "tlv"...  {"k":"part","id","ref","part","parts","answered"}: one part.
  Recipients: 0001 RINVDSTADR  0002 UNDELIV (27)  0003 EXPIRED  0004 no receipt, got it  0005 ENROUTE for ever  0006 REJECTD
    0007 ACCEPTD, DELIVRD  0008 UNDELIV, DELIVRD; got it  0009 DELIVRD thrice  0010 ENROUTE, DELIVRD  0011 after 3 s
    0012 RSUBMITFAIL  0013 UNKNOWN, got it  0014 receipt before the answer  0015 RX_R_APPN  0016 status 0x401
    0017 no answer, got it  0018 no answer, not taken  0019 DELIVRD, UNDELIV; got it  0020 UNDELIV (777)
    0021 a state that nobody knows, then DELIVRD  0022 RTHROTTLED the first time, then taken
  Rules, "on" submit (each submit_sm by itself), bind, enquire_link, deliver; "connect" with match {"side": "smpp" or "https"}
    match   to, id, sender, text, nth, probability, seed as above; part: N of a message in parts; new: id not taken before
    submit  reject (status or name: "RMSGQFUL"), throttle (RTHROTTLED), nack (generic_nack with that status), accept (does the phone
            get it all the same?), hang (no answer), delay_ms, delay_max_ms, cut (before_read, after_read, mid_response with cut_at),
            how, wrong_sequence, repeat_item, congestion (0-100), message_id, before_answer (receipt first), outcome, reports
            (states: "DELIVRD" or {"status", "error", "word", "delay_ms"}), report_delay_ms, phone, raw (hex, before the answer),
            stop_listening_ms, garbage: truncated wrong_length huge_length short_length no_id_end unknown_command submit zeros long_id
    bind    reject, delay_ms, hang, cut, version (null: none), raw;  enquire_link: reject, nack, delay_ms, hang, cut, raw
    deliver cut (before_read: nothing of it leaves; mid_response; after_read: all of it), cut_at, how, repeat_item
  Settings: smpp_* as in mtsim/smpp_codes.py; answer_delay_ms report_delay_ms magic truth_text max_messages_per_s as for HTTPS

CONTROL PORT (JSON; GET unless named)
  /ready /stats /config; POST /config {..}; POST /reset; POST /shutdown
  /rules; POST /rules; DELETE /rules[?name=N]
  /truth?id=I, /truth?offset=N
  POST /reports/inject {"messageId", "status", "error", "delay_ms", "phone", "lied"}; POST /reports/pause, /reports/resume
  POST /listen {"open": false, "ms": 500}; POST /connections/close {"how": "rst"}
  /requests[?since=N&path=P] (with the messageIds of requests of 50 messages at most); DELETE /requests
  /smpp (sessions, window use, faults, messages from phones); POST /smpp/unbind, /smpp/enquire, /smpp/close {"how"}, /smpp/raw
  {"hex"} (all with "session": N or for all); POST /smpp/listen {"open", "ms", "listener"}; POST /smpp/receipt {"message_id",
  "state", "error", "to", "delay_ms", "id", "phone", "lied"}; POST /smpp/mo {"from", "to", "text", "data_coding", "parts"}
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
from mtsim.smpp import SYSTEM_ID, Centre, SmppServer    # noqa: E402

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
    ap.add_argument("--smpp", action="store_true", help="speak SMPP 3.4 too (the same as --smpp-port 0)")
    ap.add_argument("--smpp-port", help="ports of the SMPP side, comma separated, 0: any free one")
    ap.add_argument("--smpp-plain", action="store_true", help="SMPP without TLS; --plain says it for both")
    ap.add_argument("--smpp-password-file", help="default DIR/smpp.password, made when missing")
    ap.add_argument("--parent-pid", type=int, help="end when this process is gone")
    return ap.parse_args()


def tls_context(opt, folder, http=True):
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
    if http:
        ctx.set_alpn_protocols(protos)
    if opt.require_client_cert:
        ctx.verify_mode = ssl.CERT_REQUIRED
        ctx.load_verify_locations(os.path.join(folder, "ca.pem"))
    return ctx


def read_key(path, octets=24):
    if not os.path.exists(path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(secrets.token_hex(octets) + "\n")
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

    def connect_rule(side="https"):
        do = {}
        for rule in provider.rules:
            if rule.on == "connect" and rule.side in (None, side) and rule.fire():
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
    smpp_servers = []
    if opt.smpp or opt.smpp_port is not None:
        password_file = os.path.abspath(opt.smpp_password_file or os.path.join(folder, "smpp.password"))
        centre = provider.smpp = Centre(provider, read_key(password_file, 4))
        context = None if opt.plain or opt.smpp_plain else tls_context(opt, cert_dir, http=False)
        for number, port in enumerate((opt.smpp_port or "0").split(",")):
            one = SmppServer(centre, number, opt.host, int(port), context, centre.counts, lambda: connect_rule("smpp"))
            one.listen()
            smpp_servers.append(one)
        centre.servers = smpp_servers
        ticking = asyncio.get_running_loop().create_task(centre.tick())
        hosts = ["%s:%d" % ("[%s]" % opt.host if ":" in opt.host else opt.host, s.port) for s in smpp_servers]
        ready.update(smpp=hosts[0], smpp_hosts=hosts, smpp_tls=context is not None, smpp_system_id=SYSTEM_ID,
                     smpp_password_file=password_file)
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
    for one in [server, control, *smpp_servers]:
        one.unlisten()
    if smpp_servers:
        ticking.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main(options()))
    except (RuleError, OSError, ValueError) as e:
        sys.exit("mtsim: %s" % e)
