"""The SMPP 3.4 side of the simulator: sessions, messages and their parts, receipts, messages from phones, faults.

One Centre for all listeners and sessions; it shares truth file, rules and settings with the HTTPS side.  Runs on the event loop only.
What was read in one turn of a connection is judged at once; then its truth is written, then its answers, in one write each.
"""

import asyncio
import collections
import hashlib
import heapq
import random
import time
import traceback
from json.encoder import encode_basestring_ascii as quote

from . import smpp_codes as codes
from . import smpp_pdu as wire
from .http import Base, Server
from .smpp_pdu import Malformed

LIED, REJECTED = 1, 2
SYSTEM_ID = "mtsim"
FORMS = {"decimal": "%d", "zeros": "%012d", "hex": "%x", "HEX": "%X", "hexzeros": "%012x", "text": "Ab%x-z"}
DATES = {"short": "%y%m%d%H%M", "long": "%y%m%d%H%M%S", "longer": "%Y%m%d%H%M%S"}
FIELDS = {
    "normal": "id:%(id)s sub:001 dlvrd:%(dlvrd)s submit date:%(sent)s done date:%(done)s stat:%(stat)s err:%(err)s text:%(text)s",
    "lower": "id:%(id)s sub:001 dlvrd:%(dlvrd)s submit date:%(sent)s done date:%(done)s stat:%(low)s err:%(err)s text:%(text)s",
    "upper": "ID:%(id)s SUB:001 DLVRD:%(dlvrd)s SUBMIT DATE:%(sent)s DONE DATE:%(done)s STAT:%(stat)s ERR:%(err)s TEXT:%(text)s",
    "order": "stat:%(stat)s err:%(err)s done date:%(done)s submit date:%(sent)s dlvrd:%(dlvrd)s sub:001 id:%(id)s Text:%(text)s",
    "few": "id:%(id)s stat:%(stat)s",
}


class Delivery:
    """A receipt or a message from a phone on its way to a receiver."""

    __slots__ = ("epoch", "number", "answer_id", "to", "sender", "dest_ton", "source_ton", "receipt", "sent", "text", "key",
                 "mo", "coding", "esm", "since")

    def bytes(self, centre, sequence):
        if self.mo is not None:
            self.mo["sent"] += 1
            return wire.write_sm(wire.DELIVER, sequence, self.sender, self.to, self.text, esm=self.esm, coding=self.coding,
                                 source_ton=self.source_ton, dest_ton=self.dest_ton)
        cfg = centre.config
        r = self.receipt
        style = cfg["smpp_receipts"]
        text = b""
        if style != "tlv":
            done = DATES[cfg["smpp_dates"]]
            text = (FIELDS[cfg["smpp_fields"]] % {
                "id": centre.form(self.number, cfg["smpp_id_text"], self.answer_id),
                "dlvrd": "001" if r.state == codes.DELIVERED else "000", "sent": centre.stamp(self.sent, done),
                "done": centre.stamp(time.time(), done), "stat": r.word, "low": r.word.lower(), "err": "%03d" % r.error,
                "text": self.text}).encode("latin-1")
        tlvs = b""
        if cfg["smpp_receipt_payload"] and text:
            tlvs = wire.tlv(wire.PAYLOAD, text)
            text = b""
        if style != "text":
            mid = centre.form(self.number, cfg["smpp_id_tlv"], self.answer_id)
            tlvs += wire.tlv(wire.RECEIPTED_ID, mid.encode("latin-1") + b"\0") + wire.tlv(wire.MESSAGE_STATE, bytes((r.state,)))
            if r.error and cfg["smpp_network_error"] != "none":
                tlvs += wire.tlv(wire.NETWORK_ERROR, b"\3" + r.error.to_bytes(2, "big") if
                                 cfg["smpp_network_error"] == "binary" else b"%03d" % r.error)
        if cfg["smpp_echo_key"] and self.key:
            tlvs += wire.tlv(cfg["smpp_key_tag"], self.key.encode())
        return wire.write_sm(wire.DATA if cfg["smpp_receipt_pdu"] == "data_sm" else wire.DELIVER, sequence, self.to,
                             self.sender, text, esm=0x20 if r.state in codes.ON_THE_WAY else cfg["smpp_receipt_esm"],
                             source_ton=self.dest_ton, dest_ton=self.source_ton, tlvs=tlvs)


class Parts:
    """A message of which not all parts have come."""

    __slots__ = ("key", "got", "total", "mixed")

    def __init__(self, key, total):
        self.key = key
        self.total = total
        self.got = {}           # number -> (text, octets, id, phone, lied, answered)
        self.mixed = False


class Session(Base):
    def __init__(self, centre, server):
        super().__init__(centre, server)
        self.centre = centre
        self.buf = b""
        self.bind = None        # "trx", "tx" or "rx" once bound
        self.out = []
        self.late = {}          # of this turn: delay -> list of (answer, id)
        self.delayed = {}       # answers that a timer will write: number -> ids
        self.answered = 0       # of this turn
        self.outstanding = 0
        self.most = 0
        self.waiting = {}       # own requests without an answer: sequence -> Delivery or None
        self.sequence = 0
        self.seen = set()
        self.deaf = False       # what comes is not looked at any more
        self.left = False
        self.pdus = collections.Counter()
        self.since = time.time()

    def view(self):
        pdus = {wire.NAMES.get(c & 0xFFFF, "nack") + ("_resp" if c & wire.RESP else ""): n for c, n in self.pdus.items()}
        return {"n": self.conn, "listener": self.server.number, "bind": self.bind, "outstanding": self.outstanding,
                "max_outstanding": self.most, "deliveries_waiting": len(self.waiting), "pdus": pdus,
                "age_s": round(time.time() - self.since, 3), "sequences": len(self.seen)}

    # ---- life ----

    def connection_made(self, transport):
        super().connection_made(transport)
        self.centre.sessions.add(self)

    def connection_lost(self, exc):
        super().connection_lost(exc)
        self.gone()

    def eof_received(self):
        return False

    def gone(self):
        if self.left:
            return
        self.left = True
        centre = self.centre
        centre.sessions.discard(self)
        centre.closed.append(dict(self.view(), dead=True))
        for ids in self.delayed.values():
            centre.lost(ids)
        again = [d for d in self.waiting.values() if d is not None and d.epoch == centre.epoch]
        self.waiting.clear()
        centre.counts["deliveries_again"] += len(again)
        centre.ready.extendleft(reversed(again))
        centre.write_truth()
        centre.wake()

    def kill(self, how):
        super().kill(how)
        self.gone()

    def cut(self, how):
        """Ends it here: what was answered before still goes out, nothing more is read."""
        self.flush()
        self.deaf = True
        self.kill(how)

    def close_soon(self):
        self.flush()
        self.deaf = True
        if self.transport is not None:
            self.transport.close()

    # ---- bytes ----

    def data_received(self, data):
        if self.dead or self.deaf:
            return
        buf = self.buf + data if self.buf else data
        pos, n = 0, len(buf)
        unpack = wire.HEADER.unpack_from
        while n - pos >= 16:
            length, command, status, sequence = unpack(buf, pos)
            if not 16 <= length <= wire.MAX_PDU:
                self.centre.fault(self, "command_length %d" % length, buf[pos:pos + 16])
                self.out.append(wire.pdu(wire.NACK, 0x02, sequence))
                self.close_soon()
                return
            if n - pos < length:
                break
            try:
                self.one(buf[pos:pos + length], command, status, sequence)
            except Exception:                           # noqa: BLE001
                # A fault of the simulator must not look like one that a test asked for.
                traceback.print_exc()
                self.centre.provider.stats["internal_errors"] += 1
            pos += length
            if self.dead or self.deaf:
                return
        self.buf = buf[pos:]
        self.flush()
        if self.centre.ready:
            self.centre.pump()

    def flush(self):
        self.centre.write_truth()
        if self.out and not self.dead:
            self.transport.write(b"".join(self.out))
            self.out.clear()
        self.outstanding -= self.answered
        self.answered = 0
        for delay, entries in self.late.items():
            self.centre.late_no += 1
            number = self.centre.late_no
            self.delayed[number] = [e[1] for e in entries]
            self.later(delay, self.answer_late, number, b"".join(e[0] for e in entries))
        self.late = {}

    def answer_late(self, number, data):
        ids = self.delayed.pop(number)
        self.outstanding -= len(ids)
        if self.deaf:           # it ends already, in the middle of something else perhaps
            self.centre.lost(ids)
            self.centre.write_truth()
        else:
            self.transport.write(data)

    def answer(self, delay, data, tid=None, submit=False):
        if delay:
            if submit:
                self.late.setdefault(delay, []).append((data, tid))
            else:
                self.later(delay, self.transport.write, data)
        else:
            self.out.append(data)
            self.answered += submit

    # ---- PDUs ----

    def one(self, data, command, status, sequence):
        self.pdus[command] += 1
        if command & wire.RESP:
            self.answer_came(data, command, status, sequence)
            return
        centre = self.centre
        if not 1 <= sequence <= 0x7FFFFFFF:
            centre.fault(self, "sequence_number %d" % sequence, data)
        elif sequence in self.seen:
            centre.counts["sequence_reused"] += 1
            centre.fault(self, "sequence_number %d for the second time" % sequence, data)
        self.seen.add(sequence)
        if status:
            centre.fault(self, "a request with command_status %d" % status, data)
        if command == wire.SUBMIT:
            centre.submit(self, data, sequence)
        elif command == wire.ENQUIRE:
            self.enquired(data, sequence)
        elif command in (wire.BIND_TRX, wire.BIND_TX, wire.BIND_RX):
            self.binds(data, command, sequence)
        elif command == wire.UNBIND:
            if len(data) != 16:
                centre.fault(self, "unbind with a body", data)
            self.out.append(wire.pdu(wire.RESP | wire.UNBIND, 0 if self.bind else 0x04, sequence))
            centre.counts["unbinds"] += 1
            self.close_soon()
        else:
            centre.fault(self, "%s to a centre" % wire.NAMES.get(command, "command 0x%08x" % command), data)
            self.out.append(wire.pdu(wire.NACK, 0x03, sequence))

    def answer_came(self, data, command, status, sequence):
        centre = self.centre
        if sequence not in self.waiting:
            centre.counts["unexpected"] += 1
            if command != wire.NACK:
                centre.fault(self, "an answer to sequence_number %d, which was not asked or answered before" % sequence, data)
            return
        d = self.waiting.pop(sequence)
        if d is None:
            if command == wire.RESP | wire.ENQUIRE:
                centre.counts["enquiries_answered"] += 1
            elif command == wire.RESP | wire.UNBIND:
                centre.counts["unbinds_answered"] += 1
                self.close_soon()
            return
        wanted = wire.DATA_RESP if d.mo is None and centre.config["smpp_receipt_pdu"] == "data_sm" else wire.DELIVER_RESP
        if command == wire.NACK:
            status = status or 0xFF
        elif command != wire.DELIVER_RESP and command != wanted:
            centre.fault(self, "0x%08x answers a %s" % (command, wire.NAMES[wanted & ~wire.RESP]), data)
        elif not status and data[16:] != b"\0":
            centre.fault(self, "the message_id of a deliver_sm_resp is not empty", data)
        if d.epoch != centre.epoch:
            return
        if status == 0:
            centre.counts["receipts_answered" if d.mo is None else "mo_answered"] += 1
            if d.mo is not None:
                d.mo["answered"] += 1
            return
        centre.counts["deliveries_refused"] += 1
        centre.refusals[status] += 1
        if d.mo is not None:
            d.mo["refused"] += 1
        centre.push(time.time() + centre.config["smpp_deliver_retry_ms"] / 1000, d)

    def effects(self, on):
        do = {}
        for rule in self.centre.rules[on]:
            if rule.fire():
                do.update(rule.do, accept=rule.accept, reject=rule.reject, nack=rule.nack)
        return do

    def obey(self, do):
        """What bind and enquire_link have in common; True when there is nothing more to say."""
        if do.get("raw"):
            self.out.append(bytes.fromhex(do["raw"]))
        if do.get("stop_listening_ms"):
            self.server.unlisten(do["stop_listening_ms"])
        if do.get("cut"):
            self.cut(do.get("how", "fin"))
            return True
        return bool(do.get("hang"))

    def enquired(self, data, sequence):
        if len(data) != 16:
            self.centre.fault(self, "enquire_link with a body", data)
        self.centre.counts["enquiries"] += 1
        do = self.effects("enquire_link") if self.centre.rules["enquire_link"] else {}
        if do and self.obey(do):
            return
        if do.get("nack") is not None:
            self.answer(do.get("delay_ms", 0), wire.pdu(wire.NACK, do["nack"], sequence))
            return
        self.answer(do.get("delay_ms", 0), wire.pdu(wire.RESP | wire.ENQUIRE, do.get("reject") or 0, sequence))

    def binds(self, data, command, sequence):
        centre = self.centre
        cfg = centre.config
        centre.counts["binds_asked"] += 1
        do = self.effects("bind")
        status = do.get("reject") or 0
        kind = {wire.BIND_TRX: "trx", wire.BIND_TX: "tx", wire.BIND_RX: "rx"}[command]
        try:
            system_id, password, system_type, version = wire.read_bind(data)
            centre.last_bind = {"bind": kind, "system_id": system_id.decode("latin-1"),
                                "system_type": system_type.decode("latin-1"), "interface_version": version}
        except Malformed as e:
            centre.fault(self, str(e), data)
            system_id = password = b""
            status = e.status
        if do and self.obey(do):
            return
        if not status:
            if self.bind:
                status = 0x05
            elif system_id.decode("latin-1") != SYSTEM_ID:
                status = 0x0F
            elif password.decode("latin-1") != centre.password:
                status = 0x0E
            elif kind == "trx" and not cfg["smpp_trx"]:
                status = 0x0D
            elif cfg["smpp_binds"] and sum(s.bind is not None for s in centre.sessions) >= cfg["smpp_binds"]:
                status = 0x05
        body = b""
        if not status:
            body = SYSTEM_ID.encode() + b"\0"
            version = do.get("version", cfg["smpp_version"])
            if version is not None:
                body += wire.tlv(wire.SC_VERSION, bytes((version,)))
            self.bind = kind
            centre.counts["binds"] += 1
        else:
            centre.counts["binds_refused"] += 1
        self.answer(do.get("delay_ms", 0), wire.pdu(wire.RESP | command, status, sequence, body))
        if self.bind:
            centre.wake()

    def asks(self, command, what=None, body=b""):
        """An own request: its bytes; what is remembered until its answer."""
        self.sequence = self.sequence % 0x7FFFFFFF + 1
        self.waiting[self.sequence] = what
        return wire.pdu(command, 0, self.sequence, body)


class SmppServer(Server):
    def __init__(self, centre, number, *rest):
        super().__init__(centre, *rest)
        self.number = number

    def protocol(self):
        return Session(self.handler, self)


class Centre:
    def __init__(self, provider, password):
        self.provider = provider
        self.config = provider.config
        self.password = password
        self.sessions = set()
        self.servers = []
        self.late_no = 0
        self.epoch = 0
        self.number = random.randrange(0x10000000, 0x6FFFFFFF)
        self.magic = codes.magic()
        self.plain = codes.Plan(scripted=False)
        self.timer = None
        self.pumping = False
        self.enquired_at = self.looked_at = 0.0
        self.rules = {}
        self.reset()

    # ---- state ----

    def reset(self):
        self.epoch += 1
        self.counts = collections.Counter()
        for server in self.servers:
            server.stats = self.counts
        self.refusals = collections.Counter()
        self.faults = collections.deque(maxlen=50)
        self.closed = collections.deque(maxlen=50)
        self.lines = []
        self.heap = []
        self.order = 0
        self.ready = collections.deque()
        self.open_parts = {}
        self.throttled_once = set()
        self.mos = []
        self.last_bind = None
        self.stamps = (0, "", "")
        self.refresh()

    def refresh(self):
        """The rules have changed."""
        self.rules = {on: [r for r in self.provider.rules if r.on == on] for on in ("submit", "bind", "enquire_link", "deliver")}

    def fault(self, session, text, data):
        self.counts["malformed"] += 1
        self.faults.append({"session": session.conn, "fault": text, "pdu": data[:300].hex()})

    def stats(self):
        out = {"smpp_" + k: v for k, v in self.counts.items()}
        for name in ("malformed", "submits", "connections", "binds", "doubles", "parts_repeated", "parts_mixed", "receipts_sent",
                     "receipts_answered", "deliveries_again", "deliveries_refused", "sequence_reused", "unexpected",
                     "tls_errors", "throttled", "enquiries", "binds_refused", "unanswered"):
            out.setdefault("smpp_" + name, 0)
        out["smpp_bound"] = sum(s.bind is not None for s in self.sessions)
        out["smpp_deliveries_open"] = len(self.heap) + len(self.ready) + sum(
            d is not None for s in self.sessions for d in s.waiting.values())
        out["smpp_incomplete"] = sum(len(p) for p in self.open_parts.values())
        return out

    def view(self):
        return {"sessions": [s.view() for s in sorted(self.sessions, key=lambda s: s.conn)], "closed": list(self.closed),
                "faults": list(self.faults), "refusals": {str(k): v for k, v in self.refusals.items()},
                "last_bind": self.last_bind, "mo": self.mos,
                "max_outstanding": max([s.most for s in self.sessions] + [c["max_outstanding"] for c in self.closed] + [0]),
                "listening": [s.sock is not None for s in self.servers], **self.stats()}

    def form(self, number, how, answer):
        if how == "same" or number is None:
            return answer
        if how in ("upper", "lower"):
            return answer.upper() if how == "upper" else answer.lower()
        return FORMS[how] % number

    def stamp(self, t, how):
        t = int(t)
        if self.stamps[:2] != (t, how):
            self.stamps = (t, how, time.strftime(how, time.gmtime(t + 60 * self.config["smpp_zone_min"])))
        return self.stamps[2]

    # ---- truth ----

    def line(self, text):
        self.lines.append(text)
        self.provider.truth_pos += len(text)

    def write_truth(self):
        if self.lines:
            self.provider.append_truth("".join(self.lines))
            self.lines = []

    def lost(self, ids):
        """Answers that nobody will see."""
        now = int(time.time() * 1000)
        for tid in ids:
            self.counts["unanswered"] += 1
            self.line('{"k":"lost","t":%d,"id":%s}\n' % (now, quote(tid)))

    # ---- submit_sm ----

    def read(self, data):
        """(Sm, (reference, total, number) or None, octets of the text, text); raises Malformed."""
        m = wire.read_sm(data)
        octets, part = m.octets, None
        if m.esm & 0x40:
            part, octets = wire.header_of(octets)
        t = m.tlvs
        sar = [t.get(tag) for tag in (wire.SAR_REF, wire.SAR_TOTAL, wire.SAR_SEQ)]
        if sar != [None] * 3:
            if None in sar:
                raise Malformed(0xC3, "not all of the sar_ parameters are there")
            if part is not None:
                raise Malformed(0xC4, "a user data header and sar_ parameters")
            part = int.from_bytes(sar[0], "big"), sar[1][0], sar[2][0]
            if not 1 <= part[2] <= part[1]:
                raise Malformed(0xC4, "segment %d of %d" % (part[2], part[1]))
        name = wire.charset(m.coding, self.config["smpp_default_charset"], self.config["smpp_korean"])
        if name is None:
            raise Malformed(0x104, "data_coding %d" % m.coding)
        try:
            text = wire.decode(octets, name)
        except ValueError as e:
            raise Malformed(0x104, "data_coding %d: %s" % (m.coding, e))
        several = part is not None and part[1] > 1
        if several or not m.in_payload:
            most = (153 if several else 160) if name == "gsm" else 134 if several else 140
            if len(octets) > most:
                raise Malformed(0x01, "%d octets of data_coding %d where %d fit" % (len(octets), m.coding, most))
        return m, part if several else None, octets, text

    def submit(self, session, data, sequence):
        counts, cfg = self.counts, self.config
        counts["submits"] += 1
        session.outstanding += 1
        if session.outstanding > session.most:
            session.most = session.outstanding
        if session.bind not in ("trx", "tx"):
            self.fault(session, "submit_sm in a session that is not bound for it", data)
            session.answer(0, wire.pdu(wire.SUBMIT_RESP, 0x04, sequence), submit=True)
            return
        try:
            m, part, octets, text = self.read(data)
        except Malformed as e:
            self.fault(session, str(e), data)
            session.answer(0, wire.pdu(wire.SUBMIT_RESP, e.status, sequence), submit=True)
            return
        self.number += 1
        number = self.number
        mid = FORMS[cfg["smpp_id"]] % number
        key = m.tlvs.get(cfg["smpp_key_tag"])
        key = key.decode("latin-1") if key is not None else None
        tid = key.partition(".")[0] if key is not None else mid      # a part has its number behind the key
        plan, reject, accept = self.plain, None, True
        delay = cfg["answer_delay_ms"]
        fx = None
        silent = before = False
        to = m.dest
        if cfg["magic"] and to[-8:-4] == "0000":
            kind, arg = self.magic.get(to[-4:], (None, None))
            if kind == "plan":
                plan = arg
            elif kind == "reject":
                reject, accept = arg, False
            elif kind == "early":
                plan, before, delay = arg, True, 300
            elif kind == "silent":
                silent, accept = True, arg
            elif kind == "once" and tid not in self.throttled_once:
                self.throttled_once.add(tid)
                reject, accept = arg, False
        number_of_part = part[2] if part else 1
        for rule in self.rules["submit"]:
            if rule.submit(to, tid, m.source, text, number_of_part, rule.new is not None and tid in self.provider.ids):
                fx = dict(fx or {}, **rule.do)
                # Of several rules one that takes nothing decides, unless a later one says what is taken.
                accept = rule.accept if "accept" in rule.do else accept and rule.accept
                plan = rule.plan or plan
                reject = rule.reject if rule.reject is not None else reject
                before = before or rule.do.get("before_answer", False)
        if cfg["max_messages_per_s"] and self.provider.limited("smpp", cfg["max_messages_per_s"], 1):
            reject, accept, fx = 0x58, False, None
        if reject == 0x58:
            counts["throttled"] += 1
        cut = None
        told = not silent
        if fx:
            cut = fx.get("cut")
            silent = silent or bool(fx.get("hang"))
            told = not (silent or cut or fx.get("wrong_sequence") or fx.get("garbage"))
            delay = max(delay, fx.get("delay_ms", 0))
            if fx.get("delay_max_ms", 0) > delay:
                delay = random.uniform(delay, fx["delay_max_ms"])
            mid = fx.get("message_id", mid)
            if fx.get("stop_listening_ms"):
                session.server.unlisten(fx["stop_listening_ms"])
        if not told:
            counts["unanswered"] += 1
        if accept:
            self.take(session, m, part, octets, text, number, mid, key, tid, plan, before, told)
        else:
            self.refuse(m, part, text, tid, reject if reject is not None else fx and fx.get("nack"), told)
        if cut == "before_read" or cut == "after_read":
            session.cut(fx.get("how", "fin"))
            return
        if silent:
            return
        body = mid.encode("latin-1") + b"\0" if reject is None else b""
        if fx is None:
            session.answer(delay, wire.pdu(wire.SUBMIT_RESP, reject or 0, sequence, body), tid, True)
        else:
            self.answer(session, fx, delay, reject, sequence, body, cut, tid)

    def answer(self, session, fx, delay, reject, sequence, body, cut, tid):
        """The answer to a submit_sm where a rule has something to say about it."""
        if "congestion" in fx:
            body = (body or b"\0") + wire.tlv(wire.CONGESTION, bytes((fx["congestion"],)))
        if fx.get("wrong_sequence"):
            sequence = (sequence + 0x10000000) % 0x7FFFFFFF
        data = wire.pdu(wire.SUBMIT_RESP, reject or 0, sequence, body)
        if "nack" in fx:
            data = wire.pdu(wire.NACK, codes.status_of(fx["nack"]), sequence)
        if fx.get("garbage"):
            data = spoil(fx["garbage"], data, sequence)
        data = bytes.fromhex(fx.get("raw", "")) + data * fx.get("repeat_item", 1)
        if cut == "mid_response":
            session.out.append(data[:fx.get("cut_at", len(data) // 2)])
            session.flush()
            session.deaf = True
            session.later(50, session.kill, fx.get("how", "fin"))
            return
        session.answer(delay, data, tid, True)

    def shown(self, text):
        if self.config["truth_text"] == "full":
            return quote(text)
        return '"%s"' % hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def refuse(self, m, part, text, tid, status, told):
        self.counts["refused"] += 1
        self.line('{"k":"msg","t":%d,"id":%s,"to":%s,"sender":%s,"text":%s,"accepted":0,"phone":0,"outcome":"%s","lied":0,'
                  '"bulk":"smpp","answered":%d,"part":%d,"parts":%d}\n'
                  % (int(time.time() * 1000), quote(tid), quote(m.dest), quote(m.source), self.shown(text),
                     "STATUS_%s" % status if status is not None else "IGNORED", told, part[2] if part else 1,
                     part[1] if part else 1))

    def take(self, session, m, part, octets, text, number, mid, key, tid, plan, before, told):
        now = time.time()
        full = self.config["truth_text"] == "full"
        raw = octets.hex() if full else ""
        if part is None:
            self.message(m, tid, text, [raw], [mid], plan.phone, plan.lied, plan.label, told,
                         "payload" if m.in_payload else "single", now)
        else:
            self.part(m, part, text, raw, mid, key, tid, plan, told, now)
        wanted = m.registered & 3
        deliveries = []
        for r in plan.receipts:
            if not plan.scripted and (wanted == 0 or (wanted == 2 and r.state == codes.DELIVERED)):
                continue
            d = Delivery()
            d.epoch, d.number, d.answer_id, d.to, d.sender, d.receipt, d.sent = (
                self.epoch, number, mid, m.dest, m.source, r, now)
            d.dest_ton, d.source_ton, d.key, d.mo = m.dest_ton, m.source_ton, key, None
            d.text = text[:20] if text.isascii() else ""
            deliveries.append(d)
        for d in deliveries:
            delay = self.config["report_delay_ms"] if d.receipt.delay_ms is None else d.receipt.delay_ms
            if before and not d.receipt.delay_ms and self.at_once(session, d):
                continue
            self.push(now + delay / 1000, d)

    def part(self, m, part, text, raw, mid, key, tid, plan, told, now):
        reference, total, no = part
        at = (m.source, m.dest, reference, total)
        open_here = self.open_parts.setdefault(at, [])
        self.counts["parts"] += 1
        self.line('{"k":"part","t":%d,"id":%s,"to":%s,"mid":%s,"ref":%d,"part":%d,"parts":%d,"dc":%d,"answered":%d}\n'
                  % (int(now * 1000), quote(tid), quote(m.dest), quote(mid), reference, no, total, m.coding, told))
        for one in open_here:
            if no not in one.got:
                break
            # As on a phone, a part that came before belongs to another copy.
            self.counts["parts_repeated"] += 1
        else:
            one = Parts(tid, total)
            open_here.append(one)
        # Without a key the message is known by the message_id of the part that came first.
        if key is not None and one.key != tid:
            one.mixed = True
        one.got[no] = (text, raw, mid, plan.phone, plan.lied, told, plan.label)
        if len(one.got) < total:
            return
        open_here.remove(one)
        if not open_here:
            del self.open_parts[at]
        if one.mixed:
            self.counts["parts_mixed"] += 1
        every = [one.got[i] for i in range(1, total + 1)]
        phone = all(p[3] for p in every)
        # One part that did not arrive makes a true failure of receipts that told of the others.
        lied = any(p[4] for p in every)
        label = next((p[6] for p in every if not p[3]), every[-1][6])
        self.message(m, one.key, "".join(p[0] for p in every), [p[1] for p in every], [p[2] for p in every], phone, lied, label,
                     all(p[5] for p in every), "udh" if m.esm & 0x40 else "sar", now)

    def message(self, m, tid, text, raw, mids, phone, lied, label, told, how, now):
        if self.provider.known(tid, now, phone, lied, label == "SILENT"):
            self.counts["doubles"] += 1
        self.counts["taken"] += 1
        self.line('{"k":"msg","t":%d,"id":%s,"to":%s,"sender":%s,"text":%s,"accepted":1,"phone":%d,"outcome":"%s","lied":%d,'
                  '"bulk":"smpp","answered":%d,"parts":%d,"dc":%d,"how":"%s","raw":[%s],"mid":[%s],"ton":[%d,%d,%d,%d],'
                  '"esm":%d,"registered":%d,"priority":%d,"validity":%s,"schedule":%s,"service":%s,"tlv":{%s}}\n'
                  % (int(now * 1000), quote(tid), quote(m.dest), quote(m.source), self.shown(text), phone, label, lied, told,
                     len(raw), m.coding, how, ",".join('"%s"' % r for r in raw), ",".join(map(quote, mids)), *m.source_ton,
                     *m.dest_ton, m.esm, m.registered, m.priority, quote(m.validity.decode("latin-1")),
                     quote(m.schedule.decode("latin-1")), quote(m.service.decode("latin-1")),
                     ",".join('"%04x":"%s"' % (t, v.hex()) for t, v in m.tlvs.items() if t != wire.PAYLOAD)))

    # ---- deliver_sm ----

    def push(self, due, d):
        self.order += 1
        heapq.heappush(self.heap, (due, self.order, d))
        self.wake(due)

    def receivers(self):
        return [s for s in self.sessions if s.bind in ("trx", "rx") and not s.dead and not s.deaf]

    def at_once(self, session, d):
        """Sends it before anything else; False when nobody is there to receive."""
        if session.bind == "trx":
            session.out.append(self.sending(session, d))
            return True
        for other in self.receivers():
            other.transport.write(self.sending(other, d))
            return True
        return False

    def sending(self, session, d):
        request = session.asks(wire.DELIVER, d)
        d.since = time.monotonic()
        self.counts["receipts_sent" if d.mo is None else "mo_sent"] += 1
        return d.bytes(self, int.from_bytes(request[12:16], "big"))

    def wake(self, due=None):
        """pump() is to run: now, or when due."""
        loop = asyncio.get_running_loop()
        at = loop.time() + (max(0.001, due - time.time()) if due is not None else 0)
        if self.timer is not None:
            if self.timer.when() <= at:
                return
            self.timer.cancel()
        self.timer = loop.call_at(at, self.run)

    def run(self):
        self.timer = None
        self.pump()

    def pump(self):
        if self.pumping:
            return
        now = time.time()
        heap, ready = self.heap, self.ready
        while heap and heap[0][0] <= now:
            ready.append(heapq.heappop(heap)[2])
        if not self.provider.paused and ready:
            self.pumping = True
            try:
                self.hand_out()
            finally:
                self.pumping = False
        if heap:
            self.wake(heap[0][0])

    def hand_out(self):
        ready, window = self.ready, self.config["smpp_window"]
        rules = self.rules["deliver"]
        free = self.receivers()
        out = collections.defaultdict(list)
        while ready and free:
            for session in free:
                if not ready:
                    break
                if len(session.waiting) >= window:
                    continue
                d = ready.popleft()
                data = self.sending(session, d)
                do = {}
                for rule in rules:
                    if rule.fire():
                        do.update(rule.do)
                for _ in range(1, do.get("repeat_item", 1)):
                    data += self.sending(session, d)
                cut = do.get("cut")
                if cut:
                    session.out += out.pop(session, [])
                    if cut == "mid_response":
                        data = data[:do.get("cut_at", len(data) // 2)]
                    if cut != "before_read":
                        session.out.append(data)
                    session.flush()
                    session.deaf = True
                    session.later(50 if cut == "mid_response" else 0, session.kill, do.get("how", "fin"))
                    continue
                out[session].append(data)
            free = [s for s in free if not s.dead and not s.deaf and len(s.waiting) < window]
        for session, chunks in out.items():
            if not session.dead:
                session.transport.write(b"".join(chunks))

    async def tick(self):
        """What goes by the clock: enquire_link of our own, unanswered deliver_sm."""
        while True:
            await asyncio.sleep(0.05)
            now = time.monotonic()
            every = self.config["smpp_enquire_ms"] / 1000
            if every and now - self.enquired_at >= every:
                self.enquired_at = now
                self.ask_all(wire.ENQUIRE)
            most = self.config["smpp_deliver_timeout_ms"] / 1000
            if not most:
                continue
            for s in list(self.sessions):
                for sequence in [q for q, d in s.waiting.items() if d is not None and now - d.since > most]:
                    d = s.waiting[sequence]
                    s.waiting[sequence] = None
                    self.counts["deliveries_again"] += 1
                    self.ready.append(d)
            self.pump()

    # ---- what the control port asks for ----

    def chosen(self, number=None):
        return [s for s in self.sessions if not s.dead and (number is None or s.conn == number)]

    def ask_all(self, command, number=None):
        n = 0
        for s in self.chosen(number):
            if s.bind:
                s.transport.write(s.asks(command))
                self.counts["enquiries_sent" if command == wire.ENQUIRE else "unbinds_sent"] += 1
                n += 1
        return n

    def raw(self, data, number=None):
        for s in self.chosen(number):
            s.transport.write(data)

    def inject(self, spec):
        """A receipt for any id: {"message_id", "state", "error", "to", "sender", "delay_ms", "key", "id", "phone", "lied"}."""
        d = Delivery()
        receipt = codes.Receipt({"status": spec.get("state", "DELIVRD"), "error": spec.get("error", 0),
                                 **({"word": spec["word"]} if "word" in spec else {})})
        now = time.time()
        d.epoch, d.number, d.answer_id, d.receipt, d.sent = self.epoch, spec.get("number"), spec["message_id"], receipt, now
        d.to, d.sender = spec.get("to", "821000000000"), spec.get("sender", "15880000")
        d.dest_ton, d.source_ton, d.key, d.mo, d.text = (1, 1), (0, 1), spec.get("key"), None, ""
        if spec.get("id"):
            self.line('{"k":"event","t":%d,"id":%s,"phone":%d,"lied":%d,"report":%d}\n'
                      % (int(now * 1000), quote(spec["id"]), bool(spec.get("phone")), bool(spec.get("lied")), receipt.state))
            self.write_truth()
        self.push(now + spec.get("delay_ms", 0) / 1000, d)

    def phone_sends(self, spec):
        """A message from a phone: {"from", "to", "text" or "hex", "data_coding", "parts", "esm"}; its number in the list."""
        coding = spec.get("data_coding", 8)
        name = wire.charset(coding, self.config["smpp_default_charset"], self.config["smpp_korean"])
        text = spec.get("text", "")
        parts = int(spec.get("parts", 1))
        mo = {"n": len(self.mos), "from": spec["from"], "to": spec["to"], "text": text, "parts": parts, "sent": 0, "answered": 0,
              "refused": 0}
        self.mos.append(mo)
        size = -(-len(text) // parts)
        reference = len(self.mos) & 0xFF
        numbers = list(range(1, parts + 1))
        if spec.get("shuffle"):
            numbers.reverse()
        for no in numbers:
            piece = text[(no - 1) * size:no * size]
            d = Delivery()
            d.epoch, d.number, d.mo, d.sender, d.to, d.coding, d.esm = (
                self.epoch, None, mo, spec["from"], spec["to"], coding, spec.get("esm", 0))
            d.text = bytes.fromhex(spec["hex"]) if "hex" in spec else wire.encode(piece, name or "")
            d.source_ton, d.dest_ton = tuple(spec.get("from_ton", (1, 1))), tuple(spec.get("to_ton", (0, 1)))
            if parts > 1:
                d.text = bytes((5, 0, 3, reference, parts, no)) + d.text
                d.esm |= 0x40
            self.push(time.time() + spec.get("delay_ms", 0) / 1000, d)
        return mo["n"]


def spoil(kind, data, sequence):
    """An answer that is none."""
    if kind == "truncated":                 # its length says more than comes: what follows is eaten
        return data[:-3]
    if kind == "wrong_length":
        return (len(data) + 5).to_bytes(4, "big") + data[4:]
    if kind == "huge_length":
        return b"\x7f\xff\xff\xff" + data[4:]
    if kind == "short_length":
        return b"\0\0\0\7" + data[4:]
    if kind == "no_id_end":
        return (len(data) - 1).to_bytes(4, "big") + data[4:-1]
    if kind == "unknown_command":
        return wire.pdu(0x80000BAD, 0, sequence, b"\0")
    if kind == "submit":                    # a request that only a client may make
        return wire.pdu(wire.SUBMIT, 0, sequence, b"\0" * 20)
    if kind == "long_id":
        return wire.pdu(wire.SUBMIT_RESP, 0, sequence, b"x" * 300 + b"\0")
    return b"\0" * 64
