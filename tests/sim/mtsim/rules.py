"""Fault scripts: what a rule may say, and when it fires.  The language is described in mtsim.py."""

import json
import random
import re

from . import codes, smpp_codes

MATCH_KEYS = {"to", "text", "sender", "id", "nth", "probability", "seed", "reused", "http", "min_items", "new", "side"}

# Effects on one message of a batch (or one entry of a log answer).
ITEM_KEYS = {"reject", "missing", "answer_status", "outcome", "reports", "phone", "report_delay_ms", "repeat_item",
             "find", "log_status"}

# Effects on the whole request.
REQUEST_KEYS = {"delay_ms", "delay_max_ms", "delay_before_ms", "status", "retry_after", "headers", "body", "cut",
                "cut_at", "how", "hang", "accept", "garbage", "shuffle", "drop_items", "extra_items", "trickle_bytes",
                "trickle_ms", "close_after", "chunked", "h2", "repeat", "empty", "before_answer",
                "stop_listening_ms", "refuse"}

# What the SMPP side knows, by what its rules are about.
SMPP_MATCH_KEYS = {"to", "text", "sender", "id", "nth", "probability", "seed", "part", "new"}
SMPP_KEYS = {
    "submit": {"reject", "throttle", "delay_ms", "delay_max_ms", "hang", "cut", "cut_at", "how", "nack", "wrong_sequence",
               "repeat_item", "congestion", "garbage", "accept", "before_answer", "reports", "outcome", "phone",
               "report_delay_ms", "message_id", "stop_listening_ms", "raw"},
    "bind": {"reject", "delay_ms", "hang", "cut", "how", "version", "raw", "stop_listening_ms"},
    "enquire_link": {"reject", "nack", "delay_ms", "hang", "cut", "how", "raw"},
    "deliver": {"cut", "cut_at", "how", "repeat_item"},
}
SMPP_GARBAGE = {"truncated", "wrong_length", "huge_length", "short_length", "no_id_end", "unknown_command", "submit", "zeros",
                "long_id"}

ENDPOINTS = {"send", "reports", "logs", "balance", "any", "connect"} | set(SMPP_KEYS)
CUTS = {"before_read", "mid_read", "after_read", "mid_response"}
GARBAGE = {"non_json", "truncated", "huge", "deep", "wrong_types", "empty", "bad_utf8", "null", "array", "nul",
           "wrong_ct", "bignum", "endless"}


class RuleError(ValueError):
    pass


def _nth(spec):
    """Makes a predicate of 5, [1, 4], "3-7", "3-" or {"every": 3}."""
    if isinstance(spec, bool):
        raise RuleError("nth: expected a number, a list, a range or {every}")
    if isinstance(spec, int):
        return lambda n: n == spec
    if isinstance(spec, list):
        wanted = frozenset(spec)
        return lambda n: n in wanted
    if isinstance(spec, dict) and set(spec) == {"every"}:
        return lambda n: n % spec["every"] == 0
    if isinstance(spec, str):
        m = re.fullmatch(r"(\d+)-(\d*)", spec)
        if m:
            low, high = int(m.group(1)), int(m.group(2)) if m.group(2) else None
            return lambda n: n >= low and (high is None or n <= high)
    raise RuleError("nth: expected a number, a list, \"a-b\", \"a-\" or {every}, not %r" % (spec,))


class Plan:
    """What becomes of one accepted message: the reports that will be handed out and whether the phone gets it."""

    __slots__ = ("reports", "phone", "label", "final", "lied")

    def __init__(self, reports, phone, label=None, final=None):
        # reports: list of (delay_ms or None for the default, status id, status JSON, error JSON)
        self.reports = reports
        self.phone = phone
        groups = [json.loads(r[2]).get("groupId") for r in reports if r[1] not in (codes.DUPLICATE, 29)]
        self.lied = any(g in (2, 3, 4, 5) and (g == 3) != bool(phone) for g in groups)
        self.final = final if final is not None else (reports[-1][1] if reports else 5 if phone else 7)
        self.label = label or codes.STATUS.get(self.final, (0, "SIMULATED_%d" % self.final))[1]


def report_of(spec):
    """One report of a plan, from a status (id, name, object) or {"status":, "error":, "delay_ms":}."""
    delay = None
    error = None
    status = spec
    if isinstance(spec, dict) and "status" in spec:
        status, delay, error = spec["status"], spec.get("delay_ms"), spec.get("error")
    st = codes.status_obj(status)
    sid = st.get("id")
    sid = sid if isinstance(sid, int) and -32768 <= sid <= 32767 else 0
    if error is None:
        error = codes.DEFAULT_ERROR.get(sid, 0)
    return (delay, sid, json.dumps(st, separators=(",", ":")),
            json.dumps(codes.error_obj(error), separators=(",", ":")))


def plan_of(do):
    """Plan that a rule asks for, or None when it does not speak of reports."""
    if "reports" in do:
        reports = [report_of(r) for r in do["reports"]]
    elif "outcome" in do:
        reports = [report_of(do["outcome"])]
    elif "phone" in do:
        reports = [report_of(codes.DELIVERED_TO_HANDSET if do["phone"] else 9)]
    else:
        return None
    if "report_delay_ms" in do:
        reports = [(do["report_delay_ms"] if r[0] is None else r[0],) + r[1:] for r in reports]
    if "phone" in do:
        phone = bool(do["phone"])
    elif reports:
        phone = any(json.loads(r[2]).get("groupId") == 3 for r in reports)
    else:
        phone = True
    return Plan(reports, phone)


class Rule:
    def __init__(self, number, spec):
        if not isinstance(spec, dict):
            raise RuleError("a rule is an object")
        unknown = set(spec) - {"name", "on", "match", "times", "do"}
        if unknown:
            raise RuleError("unknown key %s in a rule" % ", ".join(sorted(unknown)))
        self.spec = spec
        self.id = spec.get("name") or "rule-%d" % number
        self.on = spec.get("on", "send")
        self.do = spec.get("do", {})
        match = spec.get("match", {})
        self.times = spec.get("times")
        if self.on not in ENDPOINTS:
            raise RuleError("on: %r is none of %s" % (self.on, ", ".join(sorted(ENDPOINTS))))
        smpp = SMPP_KEYS.get(self.on)
        for got, known, where in ((match, SMPP_MATCH_KEYS if smpp else MATCH_KEYS, "match"),
                                  (self.do, smpp or ITEM_KEYS | REQUEST_KEYS, "do")):
            unknown = set(got) - known
            if unknown:
                raise RuleError("unknown key %s in %s" % (", ".join(sorted(unknown)), where))
        if not self.do:
            raise RuleError("a rule without do")
        if self.do.get("cut") not in (None, *CUTS):
            raise RuleError("cut: %r is none of %s" % (self.do["cut"], ", ".join(sorted(CUTS))))
        garbage = SMPP_GARBAGE if smpp else GARBAGE
        if self.do.get("garbage") not in (None, *garbage):
            raise RuleError("garbage: %r is none of %s" % (self.do["garbage"], ", ".join(sorted(garbage))))
        if self.do.get("how", "fin") not in ("fin", "rst"):
            raise RuleError("how: fin or rst")
        try:
            self.patterns = [(i, re.compile(match[k])) for i, k in enumerate(("to", "id", "sender", "text"))
                             if k in match]
        except (re.error, TypeError) as e:
            raise RuleError("match: a pattern is no regular expression: %s" % e)
        self.nth = _nth(match["nth"]) if "nth" in match else None
        self.probability = match.get("probability")
        self.random = random.Random(match.get("seed", 1))
        self.reused = match.get("reused")
        self.http = match.get("http")
        self.min_items = match.get("min_items", 0)
        self.new = match.get("new")
        self.side = match.get("side")
        self.part = match.get("part")
        self.seen = 0
        self.fired = 0
        if smpp:
            self.item_keys = self.item_only = False
            self._compile_smpp()
            return
        self.item_keys = bool(set(self.do) & ITEM_KEYS)
        self.item_only = self.item_keys and not set(self.do) & REQUEST_KEYS
        if self.new is not None and (self.item_only or self.early()):
            raise RuleError("match: new is for whole requests whose body is read")
        self.plan = plan_of(self.do)
        if "reject" in self.do:
            self.reject = report_of(self.do["reject"])
        if "answer_status" in self.do:
            self.answer = report_of(self.do["answer_status"])
        if "log_status" in self.do:
            report_of(self.do["log_status"])

    def _compile_smpp(self):
        try:
            self.plan = smpp_codes.plan_of(self.do)
            self.reject = None
            if "reject" in self.do or self.do.get("throttle"):
                self.reject = smpp_codes.status_of(self.do.get("reject", "RTHROTTLED"))
            self.nack = smpp_codes.status_of(self.do["nack"]) if "nack" in self.do else None
            bytes.fromhex(self.do.get("raw", ""))
        except (TypeError, ValueError) as e:
            raise RuleError("do: %s" % e)
        # Whether the phone gets it although the answer tells nothing or something else.
        self.accept = self.do.get("accept", self.reject is None and self.nack is None
                                  and self.do.get("cut") != "before_read")

    def covers(self, endpoint):
        return self.on == endpoint or (self.on == "any" and endpoint != "connect" and endpoint not in SMPP_KEYS)

    def early(self):
        return self.do.get("cut") in ("before_read", "mid_read")

    def item(self, to, mid, sender, text):
        """True when the patterns fit this message (no counting)."""
        values = (to, mid, sender, text)
        for i, pattern in self.patterns:
            if not pattern.search(values[i] or ""):
                return False
        return True

    def fire(self):
        """Counts one candidate and says whether the rule fires for it."""
        if self.times is not None and self.fired >= self.times:
            return False
        self.seen += 1
        if self.nth and not self.nth(self.seen):
            return False
        if self.probability is not None and self.random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def submit(self, to, mid, sender, text, part, known):
        """True when the rule fires for one submit_sm."""
        if self.patterns and not self.item(to, mid, sender, text):
            return False
        if self.part is not None and self.part != part or self.new is not None and self.new == known:
            return False
        return self.fire()

    def request(self, req, items):
        """True when the rule fires for a request; items is a list of (to, id, sender, text) or None."""
        if self.reused is not None and self.reused != (req.number > 1):
            return False
        if self.http is not None and self.http != req.proto:
            return False
        if self.min_items and len(items or ()) < self.min_items:
            return False
        if self.patterns and not any(self.item(*i[:4]) for i in items or ()):
            return False
        if self.new is not None and any((i[1] in req.known) == self.new for i in items or ()):
            return False
        return self.fire()

    def view(self):
        return dict(self.spec, name=self.id, seen=self.seen, fired=self.fired)
