"""The simulated provider: accepts messages, keeps the truth about every phone, hands out reports and logs.

Runs on the event loop only; nothing here blocks but for the append to the truth file.  Answers are made as strings on
the fast path, because the benches push tens of thousands of messages a second through it.

Memory a message: its id, one dictionary slot and about 30 bytes of columns.  Everything else is in the truth file.
"""

import array
import bisect
import collections
import hashlib
import heapq
import json
import os
import random
import time
import traceback
import urllib.parse
from json.encoder import encode_basestring_ascii as quote

from . import codes, smpp_codes
from .rules import Plan, Rule, RuleError, report_of

MIB = 1 << 20
LIED, REJECTED = 1, 2

SEND_KEYS = {"messages", "options"}
MESSAGE_KEYS = {"sender", "destinations", "content", "options", "webhooks"}
DEST_KEYS = {"to", "messageId", "networkId"}

ERRORS = {
    400: ("E400", "The request cannot be processed.", "Correct what the violations name."),
    401: ("E401", "The request has no valid credentials.", "Check the API key."),
    403: ("E403", "The key may not do this.", "Use a key with the right scope."),
    404: ("E404", "There is no such resource.", "Check the address."),
    405: ("E405", "The method is not allowed here.", "Check the method."),
    413: ("E413", "The request is too large.", "Send less."),
    429: ("E429", "Too many requests.", "Slow down."),
    500: ("E500", "The server failed.", "Try later."),
    502: ("E502", "Bad gateway.", "Try later."),
    503: ("E503", "The service is not available.", "Try later."),
    504: ("E504", "Gateway timeout.", "Try later."),
}

JSON_TYPE = ("Content-Type", "application/json;charset=UTF-8")


def compact(obj):
    return json.dumps(obj, separators=(",", ":")).encode()


def stamp(t):
    """A time in the provider's form, with milliseconds and +0000."""
    return "%s.%03d+0000" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)), int(t * 1000) % 1000)


def parts_of(text):
    n = len(text)
    if n <= 70:
        return 1
    if text.isascii():
        return 1 if n <= 160 else -(-n // 153)
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= 70 else -(-units // 67)


class Request:
    __slots__ = ("method", "path", "query", "headers", "body", "number", "conn", "proto", "endpoint", "mid_read",
                 "entry", "known")

    def __init__(self, method, target, headers, number, conn, proto):
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = b""
        self.number = number
        self.conn = conn
        self.proto = proto
        self.mid_read = None
        self.entry = None
        self.known = ()     # message ids that the provider has seen


class Reply:
    """What the transport does with a request.  Times in ms; cut_at None means before the first byte of the answer."""

    __slots__ = ("status", "headers", "body", "delay", "defer", "cut", "cut_at", "how", "hang", "trickle",
                 "close_after", "chunked", "h2")

    def __init__(self, status=200, body=b"", headers=()):
        self.status = status
        self.headers = [JSON_TYPE, *headers]
        self.body = body
        self.delay = 0
        self.defer = None
        self.cut = False
        self.cut_at = None
        self.how = "fin"
        self.hang = False
        self.trickle = None
        self.close_after = None
        self.chunked = False
        self.h2 = "conn"


def api_error(status, violations=(), resources=(), headers=()):
    code, text, action = ERRORS.get(status, ("E%d" % status, "Simulated answer %d." % status, "None."))
    return Reply(status, compact({"errorCode": code, "description": text, "action": action,
                                  "violations": list(violations), "resources": list(resources)}), headers)


def _magic():
    """The suffix table of mtsim.py: last four digits -> (kind, argument)."""
    def plan(*reports, phone=None, final=None):
        made = [report_of(r) for r in reports]
        got = any(r[1] in (2, 5) for r in made) if phone is None else phone
        return Plan(made, got, final=final)

    def later(status, ms):
        return {"status": status, "delay_ms": ms}

    return {
        "0001": ("reject", report_of(6)),
        "0002": ("plan", plan(9)),
        "0003": ("plan", plan(15)),
        "0004": ("plan", plan(phone=True, final=5)),
        "0005": ("plan", plan(phone=False, final=7)),
        "0006": ("plan", plan(10)),
        "0007": ("plan", plan(2, later(5, 300))),
        "0008": ("plan", plan(9, later(5, 300), phone=True)),
        "0009": ("plan", plan(5, later(5, 100), later(5, 300))),
        "0010": ("plan", plan(3, later(5, 300))),
        "0011": ("plan", plan(later(5, 3000))),
        "0012": ("reject", report_of(21)),
        "0013": ("plan", plan(29, phone=True)),
        "0014": ("early", plan(later(5, 0))),
        "0015": ("reject", report_of(20)),
        "0016": ("reject", report_of(12)),
        "0017": ("missing", True),
        "0018": ("missing", False),
        "0019": ("plan", plan(5, later(9, 300), phone=True)),
        "0020": ("plan", plan({"status": {"groupId": 2, "groupName": "UNDELIVERABLE", "id": 777,
                                          "name": "UNDELIVERABLE_SIMULATED_NEW", "description": "Simulated."}},
                              phone=False)),
        "0021": ("plan", plan(23, later(5, 300))),
        "0022": ("reject", report_of(23)),
    }


class Provider:
    def __init__(self, key, truth_path, config=None):
        self.key = key
        self.config = {
            "report_delay_ms": 50, "answer_delay_ms": 0, "log_delay_ms": 0, "dedupe": "forever",
            "rejected_ids": "taken", "truth_text": "full", "balance": 1000.0, "currency": "EUR", "magic": True,
            "max_messages_per_s": 0, "max_requests_per_s": 0, "logs_per_minute": 0, "max_batch": 0, "window_h": 48,
        }
        self.truth_path = truth_path
        self.truth_fd = None
        self.magic = _magic()
        self.delivered = Plan([report_of(codes.DELIVERED_TO_HANDSET)], True)
        self.accepted_json = report_of(codes.PENDING_ACCEPTED)[2]
        self.duplicate = report_of(codes.DUPLICATE)
        self.rule_no = 0
        self.on_listen = None      # set by the server: stop listening for some ms
        self.smpp = None           # the SMPP side, where there is one
        self.rules = []
        self.config.update(smpp_codes.SETTINGS)
        self.set_config(config or {})
        self.reset()

    # ---- state ----------------------------------------------------------------------------------------------

    def set_config(self, new):
        unknown = set(new) - set(self.config)
        if unknown:
            raise RuleError("unknown setting %s" % ", ".join(sorted(unknown)))
        self.config.update(new)

    def reset(self):
        """Forgets everything: messages, reports, rules, counters and the truth file."""
        if self.truth_fd is not None:
            os.close(self.truth_fd)
        self.truth_fd = os.open(self.truth_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.truth_pos = 0
        self.ids = {}
        self.sent = array.array("d")
        self.done = array.array("d")
        self.final = array.array("h")
        self.phone = array.array("B")
        self.accepts = array.array("B")
        self.flags = array.array("B")
        self.offset = array.array("Q")
        self.bulk_first = array.array("Q")
        self.bulk_ids = []
        self.heap = []
        self.seq = 0
        self.paused = False
        self.rules = []
        self.log = collections.deque(maxlen=20000)
        self.requests_seen = 0
        self.buckets = {}
        self.stats = collections.Counter()
        self.unknown_fields = collections.Counter()
        self.by_status = collections.Counter()
        if self.smpp:
            self.smpp.reset()

    def append_truth(self, text):
        os.write(self.truth_fd, text.encode())

    def known(self, mid, now, got, lied, silent):
        """The SMPP side took a message, whose line is the next one of the truth; True when it had taken this id before."""
        idx = self.ids.get(mid)
        if idx is None:
            idx = self.ids[mid] = len(self.sent)
            for column, value in ((self.sent, now), (self.done, now), (self.final, 7 if silent else 5 if got else 9),
                                  (self.phone, 0), (self.accepts, 0), (self.flags, LIED if lied else 0),
                                  (self.offset, self.truth_pos)):
                column.append(value)
        self.stats["accepted"] += 1
        self.accepts[idx] = min(255, self.accepts[idx] + 1)
        if got:
            self.stats["phone"] += 1
            self.phone[idx] = min(255, self.phone[idx] + 1)
        return self.accepts[idx] > 1

    def add_rules(self, specs):
        specs = specs if isinstance(specs, list) else [specs]
        made = []
        for spec in specs:
            self.rule_no += 1
            made.append(Rule(self.rule_no, spec))
        self.rules += made
        if self.smpp:
            self.smpp.refresh()
        return [r.id for r in made]

    def drop_rules(self, name=None):
        keep = [r for r in self.rules if name is not None and r.id != name]
        gone = len(self.rules) - len(keep)
        self.rules = keep
        if self.smpp:
            self.smpp.refresh()
        return gone

    # ---- requests -------------------------------------------------------------------------------------------

    ROUTES = {("POST", "/sms/3/messages"): "send", ("GET", "/sms/3/reports"): "reports",
              ("GET", "/sms/3/logs"): "logs", ("GET", "/account/1/balance"): "balance"}

    def early(self, req):
        """Called when the headers are there and the body is not; a Reply here means the body is never read."""
        req.endpoint = self.ROUTES.get((req.method, req.path), "other")
        self.requests_seen += 1
        self.stats["requests_" + req.endpoint] += 1
        self.stats["requests_http" + req.proto] += 1
        shown = {k: ("***" if k in ("authorization", "cookie") else v) for k, v in req.headers.items()}
        req.entry = {"n": self.requests_seen, "t": time.time(), "conn": req.conn, "conn_request": req.number,
                     "http": req.proto, "method": req.method, "path": req.path, "query": req.query,
                     "headers": shown, "bytes": 0, "items": 0, "status": None, "rules": [], "read": False}
        self.log.append(req.entry)
        for rule in self.rules:
            if rule.early() and rule.covers(req.endpoint) and rule.request(req, None):
                req.entry["rules"].append(rule.id)
                if rule.do["cut"] == "mid_read":
                    req.mid_read = (int(rule.do.get("cut_at", 1)), rule.do.get("how", "fin"))
                    return None
                reply = Reply()
                reply.cut, reply.how, reply.h2 = True, rule.do.get("how", "fin"), rule.do.get("h2", "conn")
                reply.delay = rule.do.get("delay_ms", 0)
                return reply
        return None

    def handle(self, req):
        """Called with the whole request; returns the Reply."""
        req.entry["bytes"] = len(req.body)
        req.entry["read"] = True
        self.stats["bytes_in"] += len(req.body)
        try:
            reply = self._handle(req)
        except Exception:                               # noqa: BLE001
            # A fault of the simulator must not look like one that a test asked for.
            traceback.print_exc()
            self.stats["internal_errors"] += 1
            reply = api_error(500)
        if reply.defer is None:
            self.note(req, reply)
        return reply

    def note(self, req, reply):
        req.entry["status"] = None if (reply.cut and reply.cut_at is None) or reply.hang else reply.status
        self.by_status["%s_%s" % (req.endpoint, req.entry["status"])] += 1

    def _handle(self, req):
        if req.endpoint == "other":
            known = any(path == req.path for _, path in self.ROUTES)
            return api_error(405 if known else 404)
        if req.headers.get("authorization") != "App " + self.key:
            self.stats["unauthorised"] += 1
            return api_error(401, resources=[{"name": "API authentication", "url": "https://localhost/"}])
        items = None
        if req.endpoint == "send":
            items, bad = self.parse(req)
            if bad is not None:
                self.stats["bad_requests"] += 1
                return bad
            req.entry["items"] = len(items)
            if len(items) <= 50:
                req.entry["ids"] = [i[1] for i in items]
            self.stats["items_in"] += len(items)
            if len(items) > self.stats["largest_batch"]:
                self.stats["largest_batch"] = len(items)
        args = urllib.parse.parse_qs(req.query, keep_blank_values=True) if req.query else {}
        asked = [(None, i, None, None) for i in self.listed(args, "messageId")] if req.endpoint == "logs" else None
        fx = {"delay_ms": self.config["answer_delay_ms"]} if self.config["answer_delay_ms"] else {}
        per_item = []
        req.known = self.ids
        for rule in self.rules:
            if not rule.covers(req.endpoint) or rule.early():
                continue
            if rule.item_only:
                per_item.append((rule, False))
            elif rule.request(req, items if items is not None else asked):
                req.entry["rules"].append(rule.id)
                fx = dict(fx, **rule.do)
                if rule.item_keys:
                    per_item.append((rule, True))
        if fx.get("delay_before_ms"):
            reply = Reply()

            def run():
                made = self.answer(req, args, items, fx, per_item)
                self.note(req, made)
                return made
            reply.defer = (fx["delay_before_ms"], run)
            return reply
        return self.answer(req, args, items, fx, per_item)

    def limited(self, name, rate, amount, per_s=1.0):
        """Token bucket; returns the seconds to wait, or 0 when the amount was taken."""
        if not rate:
            return 0
        now = time.monotonic()
        level, last = self.buckets.get(name, (float(rate), now))
        level = min(float(rate), level + (now - last) * rate / per_s)
        if level < min(amount, rate):
            self.buckets[name] = (level, now)
            return max(0.001, (min(amount, rate) - level) * per_s / rate)
        self.buckets[name] = (level - amount, now)
        return 0

    def answer(self, req, args, items, fx, per_item):
        status = fx.get("status", 200)
        faulty = status >= 300
        accept = fx.get("accept", not faulty and fx.get("cut") != "before_read")
        if fx.get("stop_listening_ms") and self.on_listen:
            self.on_listen(fx["stop_listening_ms"])
        cfg = self.config
        wait = (self.limited("requests", cfg["max_requests_per_s"], 1)
                or (req.endpoint == "send" and self.limited("messages", cfg["max_messages_per_s"], len(items)))
                or (req.endpoint == "logs" and self.limited("logs", cfg["logs_per_minute"], 1, 60.0)))
        if wait:
            self.stats["throttled"] += 1
            return api_error(429, headers=[("Retry-After", str(max(1, int(wait + 0.999))))])
        if not accept:
            reply = api_error(status) if faulty else Reply(200, b'{"messages":[]}' if items is not None
                                                           else b'{"results":[]}')
        elif req.endpoint == "send":
            reply = self.take(req, items, fx, per_item)
        elif req.endpoint == "reports":
            reply = self.reports(args, fx)
        elif req.endpoint == "logs":
            reply = self.logs(args, per_item)
        else:
            reply = Reply(200, compact({"balance": cfg["balance"], "currency": cfg["currency"]}))
        if faulty and accept:
            reply = api_error(status)
        if "garbage" in fx:
            self.spoil(reply, fx["garbage"])
        if "body" in fx:
            reply.body = fx["body"].encode() if isinstance(fx["body"], str) else compact(fx["body"])
        if "retry_after" in fx:
            reply.headers.append(("Retry-After", str(fx["retry_after"])))
        for k, v in fx.get("headers", {}).items():
            if k.lower() == "content-type":
                reply.headers = [h for h in reply.headers if h[0].lower() != "content-type"]
            reply.headers.append((k, str(v)))
        reply.delay = max(reply.delay, fx.get("delay_ms", 0))
        if fx.get("delay_max_ms", 0) > reply.delay:
            reply.delay = random.uniform(reply.delay, fx["delay_max_ms"])
        reply.how = fx.get("how", "fin")
        reply.h2 = fx.get("h2", "conn")
        if fx.get("cut") == "after_read":
            reply.cut = True
        elif fx.get("cut") == "mid_response":
            reply.cut = True
            reply.cut_at = fx.get("cut_at", "half")
        reply.hang = bool(fx.get("hang"))
        if "trickle_ms" in fx or "trickle_bytes" in fx:
            reply.trickle = (fx.get("trickle_bytes", 1), fx.get("trickle_ms", 100))
        reply.close_after = fx.get("close_after")
        reply.chunked = bool(fx.get("chunked")) or reply.chunked
        return reply

    # ---- POST /sms/3/messages -------------------------------------------------------------------------------

    def parse(self, req):
        """Checks the body as the published schema does; returns (items, None) or (None, Reply)."""
        def bad(prop, text):
            return None, api_error(400, [{"property": prop, "violation": text}])

        if not req.headers.get("content-type", "").lower().startswith("application/json"):
            return bad("Content-Type", "must be application/json")
        try:
            top = json.loads(req.body)
        except (ValueError, RecursionError):
            return bad("body", "is not JSON")
        if not isinstance(top, dict):
            return bad("body", "must be an object")
        messages = top.get("messages")
        if not isinstance(messages, list) or not messages:
            return bad("messages", "must be a list with at least one message")
        if not top.keys() <= SEND_KEYS:
            self.unknown_fields.update(top.keys() - SEND_KEYS)
        if self.config["max_batch"] and len(messages) > self.config["max_batch"]:
            return bad("messages", "too many messages")
        options = top.get("options") or {}
        if not isinstance(options, dict):
            return bad("options", "must be an object")
        items = []
        for n, m in enumerate(messages):
            at = "messages[%d]" % n
            if not isinstance(m, dict):
                return bad(at, "must be an object")
            if not m.keys() <= MESSAGE_KEYS:
                self.unknown_fields.update(m.keys() - MESSAGE_KEYS)
            sender = m.get("sender")
            if sender is not None and not isinstance(sender, str):
                return bad(at + ".sender", "must be a string")
            content = m.get("content")
            if not isinstance(content, dict):
                return bad(at + ".content", "must not be null")
            text = content.get("text")
            if not isinstance(text, str):
                text = content.get("hex")
                if not isinstance(text, str):
                    return bad(at + ".content", "needs text or hex")
                text = "hex:" + text
            callback = None
            notify = True
            hooks = m.get("webhooks")
            if hooks is not None:
                if not isinstance(hooks, dict):
                    return bad(at + ".webhooks", "must be an object")
                callback = hooks.get("callbackData")
                if callback is not None and (not isinstance(callback, str) or len(callback) > 4000):
                    return bad(at + ".webhooks.callbackData", "must be a string of at most 4000")
                delivery = hooks.get("delivery")
                if isinstance(delivery, dict):
                    # A webhook takes the reports away from the pull.
                    notify = delivery.get("notify", True) is not False and not delivery.get("url")
            mopt = m.get("options")
            if mopt is not None:
                if not isinstance(mopt, dict):
                    return bad(at + ".options", "must be an object")
                validity = mopt.get("validityPeriod")
                if validity is not None and (not isinstance(validity, dict) or
                                             not isinstance(validity.get("amount"), int) or
                                             validity.get("timeUnit", "MINUTES") not in
                                             ("SECONDS", "MINUTES", "HOURS")):
                    return bad(at + ".options.validityPeriod", "needs amount and timeUnit")
            dests = m.get("destinations")
            if not isinstance(dests, list) or not dests:
                return bad(at + ".destinations", "must not be empty")
            for d in dests:
                if not isinstance(d, dict):
                    return bad(at + ".destinations", "must hold objects")
                if not d.keys() <= DEST_KEYS:
                    self.unknown_fields.update(d.keys() - DEST_KEYS)
                to = d.get("to")
                if not isinstance(to, str) or len(to) > 64:
                    return bad(at + ".destinations.to", "must be a string of at most 64")
                mid = d.get("messageId")
                if mid is not None and (not isinstance(mid, str) or len(mid) > 200):
                    return bad(at + ".destinations.messageId", "must be a string of at most 200")
                items.append((to, mid, sender or "", text, callback, notify))
        req.body = options     # the text is not needed any more; the options are
        return items, None

    def take(self, req, items, fx, per_item):
        """Accepts or refuses every item, writes the truth, queues the reports and makes the answer."""
        now = time.time()
        options = req.body
        schedule = options.get("schedule") or {}
        bulk = schedule.get("bulkId") or "mtsim-%d-%d" % (int(now * 1000), self.requests_seen)
        count = bool(options.get("includeSmsCountInResponse"))
        bulk_q = quote(bulk)
        cfg = self.config
        dedupe = cfg["dedupe"]
        free_rejected = cfg["rejected_ids"] == "free"
        magic = cfg["magic"]
        full_text = cfg["truth_text"] == "full"
        before = fx.get("before_answer")
        ms = int(now * 1000)
        self.bulk_first.append(len(self.sent))
        self.bulk_ids.append(bulk)
        lines = []
        out = []
        queues = {}
        pos = self.truth_pos
        delay_answer = 0
        reply = Reply()
        for to, mid, sender, text, callback, notify in items:
            kind = None
            plan = self.delivered
            answer = self.accepted_json
            reject = None
            missing = None
            copies = 1
            if magic and to[-8:-4] == "0000":
                kind, arg = self.magic.get(to[-4:], (None, None))
                if kind == "plan":
                    plan = arg
                elif kind == "reject":
                    reject = arg
                elif kind == "missing":
                    missing = arg
                elif kind == "early":
                    plan = arg
                    delay_answer = max(delay_answer, 300)
            for rule, forced in per_item:
                if not rule.item(to, mid, sender, text) or not (forced or rule.fire()):
                    continue
                if not forced and rule.id not in req.entry["rules"]:
                    req.entry["rules"].append(rule.id)
                do = rule.do
                if rule.plan is not None:
                    plan = rule.plan
                elif "report_delay_ms" in do:
                    plan = Plan([(do["report_delay_ms"],) + r[1:] for r in plan.reports], plan.phone)
                if "reject" in do:
                    reject = rule.reject
                if "answer_status" in do:
                    answer = rule.answer[2]
                if "missing" in do:
                    missing = do["missing"] != "refused" and do["missing"] is not False
                copies = do.get("repeat_item", copies)
            if mid is None:
                mid = "mtsim-%d-%d" % (self.requests_seen, len(out) + len(self.sent))
            if not reject and not to.lstrip("+").isdigit():
                reject = report_of(52)
            mid_q, to_q = quote(mid), quote(to)
            idx = self.ids.get(mid)
            if idx is not None:
                live = not (free_rejected and self.flags[idx] & REJECTED)
                if live and dedupe != "off" and (dedupe == "forever" or now - self.sent[idx] < float(dedupe)):
                    reject = self.duplicate
                    self.stats["duplicates_refused"] += 1
                    line = '{"k":"dup","t":%d,"id":%s}\n' % (ms, mid_q)
                    lines.append(line)
                    pos += len(line)
                    out.append('{"messageId":%s,"status":%s,"destination":%s}' % (mid_q, reject[2], to_q))
                    continue
            taken = reject is None and missing is not False
            got = taken and plan.phone
            if idx is None:
                idx = self.ids[mid] = len(self.sent)
                self.sent.append(now)
                self.done.append(now)
                self.final.append(0)
                self.phone.append(0)
                self.accepts.append(0)
                self.flags.append(0)
                self.offset.append(pos)
            if taken:
                self.stats["accepted"] += 1
                self.accepts[idx] = min(255, self.accepts[idx] + 1)
                self.sent[idx] = now
                self.final[idx] = plan.final
                self.flags[idx] = LIED if plan.lied else 0
                label = plan.label
                if got:
                    self.stats["phone"] += 1
                    self.phone[idx] = min(255, self.phone[idx] + 1)
                last = cfg["report_delay_ms"]
                if notify:
                    for delay, sid, status, error in plan.reports:
                        last = 0 if before else cfg["report_delay_ms"] if delay is None else delay
                        queues.setdefault(last, []).append(
                            (mid_q, to_q, quote(sender), parts_of(text), callback, status, error))
                self.done[idx] = now + last / 1000
            elif reject is not None:
                self.stats["rejected"] += 1
                self.final[idx] = reject[1]
                self.flags[idx] |= REJECTED
                label = codes.STATUS.get(reject[1], (0, "SIMULATED_%d" % reject[1]))[1]
                answer = reject[2]
            else:
                # Neither taken nor mentioned: the provider forgets it, logs will not find it.
                self.stats["ignored"] += 1
                self.flags[idx] |= REJECTED
                self.final[idx] = 0
                label = "IGNORED"
            shown = text if full_text else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            line = ('{"k":"msg","t":%d,"id":%s,"to":%s,"sender":%s,"text":%s,"accepted":%d,"phone":%d,"outcome":"%s",'
                    '"lied":%d,"bulk":%s}\n' % (ms, mid_q, to_q, quote(sender), quote(shown), taken, got, label,
                                               taken and plan.lied, bulk_q))
            lines.append(line)
            pos += len(line)
            if missing is None:
                details = ',"details":{"messageCount":%d}' % parts_of(text) if count else ""
                item = '{"messageId":%s,"status":%s,"destination":%s%s}' % (mid_q, answer, to_q, details)
                for _ in range(copies):
                    out.append(item)
        os.write(self.truth_fd, "".join(lines).encode())
        self.truth_pos = pos
        sent_at = stamp(now)
        for delay, entries in queues.items():
            self.seq += 1
            heapq.heappush(self.heap, (now + delay / 1000, self.seq, bulk_q, sent_at, collections.deque(entries)))
            self.stats["reports_queued"] += len(entries)
        if fx.get("shuffle"):
            random.Random(self.requests_seen).shuffle(out)
        if "drop_items" in fx:
            n = fx["drop_items"]
            n = int(len(out) * n) if isinstance(n, float) and n < 1 else int(n)
            del out[len(out) - n:]
        for n in range(fx.get("extra_items", 0)):
            out.append('{"messageId":"mtsim-unknown-%d","status":%s,"destination":"821000000000"}'
                       % (n, self.accepted_json))
        reply.body = ('{"bulkId":%s,"messages":[%s]}' % (bulk_q, ",".join(out))).encode()
        reply.delay = delay_answer
        return reply

    # ---- GET /sms/3/reports ---------------------------------------------------------------------------------

    @staticmethod
    def listed(args, name):
        return [v for chunk in args.get(name, ()) for v in chunk.split(",") if v]

    @staticmethod
    def limit_of(args):
        raw = args.get("limit", ["50"])[0]
        if not raw.isdigit() or not 1 <= int(raw) <= 1000:
            return None
        return int(raw)

    def report_json(self, bulk_q, sent_at, done, entry):
        mid_q, to_q, sender_q, parts, callback, status, error = entry
        extra = ',"callbackData":' + quote(callback) if callback is not None else ""
        return ('{"bulkId":%s,"price":{"pricePerMessage":0.01,"currency":"EUR"},"status":%s,"error":%s,'
                '"messageId":%s,"to":%s,"sender":%s,"sentAt":"%s","doneAt":"%s","messageCount":%d,'
                '"mccMnc":"45005"%s}' % (bulk_q, status, error, mid_q, to_q, sender_q, sent_at, done, parts, extra))

    def reports(self, args, fx):
        limit = self.limit_of(args)
        if limit is None:
            return api_error(400, [{"property": "limit", "violation": "must be from 1 to 1000"}])
        out = []
        now = time.time()
        wanted = self.listed(args, "messageId")
        bulks = self.listed(args, "bulkId")
        if self.paused or fx.get("empty"):
            pass
        elif wanted or bulks:
            keep_ids, keep_bulks = set(map(quote, wanted)), set(map(quote, bulks))
            for due, _, bulk_q, sent_at, queue in sorted(self.heap, key=lambda e: e[:2]):
                if due > now or len(out) >= limit or (keep_bulks and bulk_q not in keep_bulks):
                    continue
                rest = collections.deque()
                while queue:
                    entry = queue.popleft()
                    if len(out) < limit and (not keep_ids or entry[0] in keep_ids):
                        out.append(self.report_json(bulk_q, sent_at, stamp(due), entry))
                    else:
                        rest.append(entry)
                queue.extend(rest)
        else:
            heap = self.heap
            while heap and len(out) < limit and heap[0][0] <= now:
                due, _, bulk_q, sent_at, queue = heap[0]
                if due < now - self.config["window_h"] * 3600:
                    self.stats["reports_expired"] += len(queue)
                    queue.clear()
                done = stamp(due)
                while queue and len(out) < limit:
                    out.append(self.report_json(bulk_q, sent_at, done, queue.popleft()))
                if not queue:
                    heapq.heappop(heap)
        self.stats["reports_handed_out"] += len(out)
        if fx.get("repeat", 1) > 1:
            out = out * fx["repeat"]
        if fx.get("shuffle"):
            random.Random(self.requests_seen).shuffle(out)
        if fx.get("extra_items"):
            spec = report_of(codes.DELIVERED_TO_HANDSET)
            for n in range(fx["extra_items"]):
                out.append(self.report_json('"mtsim-unknown"', stamp(now), stamp(now),
                                            ('"mtsim-unknown-%d"' % n, '"821000000000"', '""', 1, None,
                                             spec[2], spec[3])))
        return Reply(200, ('{"results":[%s]}' % ",".join(out)).encode())

    def pending_reports(self):
        return sum(len(e[4]) for e in self.heap)

    def inject(self, spec):
        """Queues a report for any id now: {"messageId", "status", "error", "delay_ms", "phone", "lied"}."""
        mid = spec["messageId"]
        r = report_of({"status": spec.get("status", 5), "error": spec.get("error")})
        rec = self.record(mid) or {"to": spec.get("to", "821000000000"), "sender": "", "text": "", "bulk": "", "t": 0}
        now = time.time()
        if spec.get("phone"):
            self.stats["phone"] += 1
            if mid in self.ids:
                self.phone[self.ids[mid]] = min(255, self.phone[self.ids[mid]] + 1)
        line = '{"k":"event","t":%d,"id":%s,"phone":%d,"lied":%d,"report":%d}\n' % (
            int(now * 1000), quote(mid), bool(spec.get("phone")), bool(spec.get("lied")), r[1])
        os.write(self.truth_fd, line.encode())
        self.truth_pos += len(line)
        if mid in self.ids:
            self.final[self.ids[mid]] = r[1]
            self.done[self.ids[mid]] = now
        self.seq += 1
        entry = (quote(mid), quote(rec["to"]), quote(rec["sender"]), 1, spec.get("callbackData"), r[2], r[3])
        heapq.heappush(self.heap, (now + spec.get("delay_ms", 0) / 1000, self.seq, quote(rec["bulk"]),
                                   stamp(rec["t"] / 1000), collections.deque([entry])))

    # ---- GET /sms/3/logs ------------------------------------------------------------------------------------

    def record(self, mid):
        """The truth line of an id, read back from the file, or None."""
        idx = self.ids.get(mid)
        return None if idx is None else self.at(idx)

    def at(self, idx):
        data = os.pread(self.truth_fd, 4096, self.offset[idx])
        while b"\n" not in data:
            more = os.pread(self.truth_fd, MIB, self.offset[idx] + len(data))
            if not more:
                return None
            data += more
        return json.loads(data[:data.index(b"\n")])

    def logs(self, args, per_item):
        limit = self.limit_of(args)
        if limit is None:
            return api_error(400, [{"property": "limit", "violation": "must be from 1 to 1000"}])
        wanted = self.listed(args, "messageId")
        bulks = set(self.listed(args, "bulkId"))
        for name in ("messageId", "bulkId"):
            if len(",".join(args.get(name, ()))) > 2048:
                return api_error(400, [{"property": name, "violation": "must have at most 2048 characters"}])
        now = time.time()
        start = 0
        if wanted:
            chosen = [self.ids[m] for m in dict.fromkeys(wanted) if m in self.ids]
        elif bulks:
            chosen = []
            for n, bulk in enumerate(self.bulk_ids):
                if bulk in bulks:
                    end = self.bulk_first[n + 1] if n + 1 < len(self.bulk_first) else len(self.sent)
                    chosen += range(self.bulk_first[n], end)
        else:
            start = int(args.get("cursor", ["0"])[0] or 0)
            chosen = range(start, len(self.sent))
        out = []
        scanned = start
        for idx in chosen:
            if len(out) >= limit:
                break
            scanned = idx + 1
            age = now - self.sent[idx]
            # A refused message is logged by the real provider too; one that was ignored is not.
            if not self.accepts[idx] and not self.final[idx]:
                continue
            if age > self.config["window_h"] * 3600 or age < self.config["log_delay_ms"] / 1000:
                continue
            rec = self.at(idx)
            if rec is None:
                continue
            if not self.selected(rec, args):
                continue
            status = self.final[idx] if now >= self.done[idx] else 7
            hidden = False
            for rule, forced in per_item:
                if rule.item(rec["to"], rec["id"], rec["sender"], rec["text"]) and (forced or rule.fire()):
                    hidden = hidden or rule.do.get("find") is False
                    status = rule.do.get("log_status", status)
            if hidden:
                continue
            r = report_of(status)
            if args.get("generalStatus") and json.loads(r[2]).get("groupName") != args["generalStatus"][0]:
                continue
            n = bisect.bisect_right(self.bulk_first, idx) - 1
            out.append('{"sender":%s,"destination":%s,"bulkId":%s,"messageId":%s,"sentAt":"%s","doneAt":"%s",'
                       '"messageCount":%d,"price":{"pricePerMessage":0.01,"currency":"EUR"},"status":%s,"error":%s,'
                       '"content":{"text":%s},"mccMnc":"45005"}'
                       % (quote(rec["sender"]), quote(rec["to"]), quote(self.bulk_ids[n]), quote(rec["id"]),
                          stamp(self.sent[idx]), stamp(max(self.done[idx], self.sent[idx])), parts_of(rec["text"]),
                          r[2], r[3], quote(rec["text"])))
        self.stats["logs_found"] += len(out)
        cursor = ""
        if args.get("useCursor", ["false"])[0] == "true":
            cursor = ',"cursor":{"limit":%d%s}' % (limit, ',"nextCursor":"%d"' % scanned if out else "")
        return Reply(200, ('{"results":[%s]%s}' % (",".join(out), cursor)).encode())

    @staticmethod
    def selected(rec, args):
        for name, field in (("sender", "sender"), ("destination", "to")):
            if args.get(name) and args[name][0] != rec[field]:
                return False
        at = stamp(rec["t"] / 1000)
        # The simulator writes +0000 only, and asks the same of a client that filters by time.
        if args.get("sentSince") and at[:23] < args["sentSince"][0][:23]:
            return False
        if args.get("sentUntil") and at[:23] > args["sentUntil"][0][:23]:
            return False
        return True

    # ---- garbage --------------------------------------------------------------------------------------------

    @staticmethod
    def spoil(reply, kind):
        body = reply.body
        if kind == "non_json":
            reply.body = b"<html><head><title>200 OK</title></head><body>maintenance</body></html>"
        elif kind == "truncated":
            reply.body = body[:len(body) * 2 // 3]
        elif kind == "huge":
            reply.body = body[:-1] + b',"pad":"' + b"x" * (3 * MIB) + b'"}'
        elif kind == "deep":
            reply.body = b'{"messages":' + b"[" * 100000 + b"]" * 100000 + b"}"
        elif kind == "wrong_types":
            reply.body = b'{"bulkId":7,"messages":[{"messageId":12,"status":"ok","destination":null},7,null],"results":{}}'
        elif kind == "empty":
            reply.body = b""
        elif kind == "bad_utf8":
            reply.body = body.replace(b'"destination":"', b'"destination":"\xff\xc0', 1) \
                .replace(b'"to":"', b'"to":"\xff\xc0', 1)
        elif kind == "null":
            reply.body = b"null"
        elif kind == "array":
            reply.body = b"[]"
        elif kind == "nul":
            reply.body = body.replace(b'"messageId":"', b'"messageId":"\\u0000', 1)
        elif kind == "wrong_ct":
            reply.headers[0] = ("Content-Type", "text/html")
        elif kind == "bignum":
            reply.body = body.replace(b'"groupId":', b'"groupId":99999999999999999999')
        elif kind == "endless":
            reply.body = body[:1] + b" " * (64 * MIB)
            reply.chunked = True
