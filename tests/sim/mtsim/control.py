"""Control port of the simulator: plain HTTP on loopback, JSON in and out.  The list of calls is in mtsim.py."""

import json
import os
import resource
import urllib.parse

from . import codes, smpp_pdu
from .provider import Reply, compact
from .rules import RuleError


class Control:
    def __init__(self, provider, server, ready, stop):
        self.provider = provider
        self.server = server
        self.ready = ready
        self.stop = stop

    def early(self, req):
        return None

    def handle(self, req):
        try:
            body = json.loads(req.body) if req.body else None
            fn = getattr(self, "%s_%s" % (req.method.lower(), req.path.strip("/").replace("/", "_")), None)
            if fn is None:
                return Reply(404, compact({"error": "no such call: %s %s" % (req.method, req.path)}))
            args = {k: v[0] for k, v in urllib.parse.parse_qs(req.query).items()}
            return Reply(200, compact(fn(body, args)))
        except (RuleError, ValueError, KeyError, TypeError, AttributeError) as e:
            return Reply(400, compact({"error": "%s: %s" % (type(e).__name__, e)}))

    # ---- state

    def get_ready(self, body, args):
        return self.ready

    def get_stats(self, body, args):
        p = self.provider
        out = dict(p.stats)
        out.update(messages=len(p.ids), reports_pending=p.pending_reports(), by_status=dict(p.by_status),
                   unknown_fields=dict(p.unknown_fields), connections_open=len(self.server.open_connections),
                   tls_errors_last=list(self.server.tls_errors), truth_bytes=p.truth_pos, paused=p.paused,
                   listening=self.server.sock is not None, pid=os.getpid(),
                   max_rss_kib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        for name in ("accepted", "phone", "rejected", "duplicates_refused", "reports_handed_out", "requests_send",
                     "requests_reports", "requests_logs", "connections", "tls_errors", "unauthorised", "throttled",
                     "internal_errors"):
            out.setdefault(name, 0)
        if p.smpp:
            out.update(p.smpp.stats())
        return out

    def post_reset(self, body, args):
        self.provider.reset()
        return {"ok": True}

    def get_config(self, body, args):
        return self.provider.config

    def post_config(self, body, args):
        self.provider.set_config(body)
        return self.provider.config

    def post_shutdown(self, body, args):
        self.stop()
        return {"ok": True}

    # ---- rules

    def get_rules(self, body, args):
        return [r.view() for r in self.provider.rules]

    def post_rules(self, body, args):
        return {"added": self.provider.add_rules(body)}

    def delete_rules(self, body, args):
        return {"removed": self.provider.drop_rules(args.get("name"))}

    # ---- truth

    def get_truth(self, body, args):
        """One message by id, or lines of the truth file from an offset."""
        p = self.provider
        if "id" in args:
            idx = p.ids.get(args["id"])
            if idx is None:
                return {"found": False, "accepted": 0, "phone": 0}
            rec = p.at(idx)
            return {"found": True, "accepted": p.accepts[idx], "phone": p.phone[idx], "status": p.final[idx],
                    "to": rec["to"], "sender": rec["sender"], "text": rec["text"], "lied": p.flags[idx] & 1}
        offset = int(args.get("offset", 0))
        data = os.pread(p.truth_fd, min(int(args.get("bytes", 1 << 20)), 16 << 20), offset)
        data = data[:data.rfind(b"\n") + 1]
        return {"lines": [json.loads(line) for line in data.splitlines()], "next": offset + len(data),
                "end": p.truth_pos, "file": p.truth_path}

    # ---- reports

    def post_reports_inject(self, body, args):
        for spec in body if isinstance(body, list) else [body]:
            codes.status_obj(spec.get("status", 5))
            self.provider.inject(spec)
        return {"ok": True}

    def post_reports_pause(self, body, args):
        self.provider.paused = True
        return {"paused": True}

    def post_reports_resume(self, body, args):
        self.provider.paused = False
        if self.provider.smpp:
            self.provider.smpp.wake()
        return {"paused": False}

    # ---- connections and requests

    def post_listen(self, body, args):
        if body.get("open", True):
            self.server.listen()
        else:
            self.server.unlisten(body.get("ms"))
        return {"listening": self.server.sock is not None}

    def post_connections_close(self, body, args):
        return {"closed": self.server.close_connections((body or {}).get("how", "fin"))}

    def get_requests(self, body, args):
        since = int(args.get("since", 0))
        path = args.get("path")
        return [e for e in self.provider.log if e["n"] > since and (path is None or e["path"] == path)]

    def delete_requests(self, body, args):
        self.provider.log.clear()
        return {"ok": True}

    # ---- SMPP

    @property
    def smpp(self):
        if self.provider.smpp is None:
            raise ValueError("there is no SMPP side (--smpp)")
        return self.provider.smpp

    def get_smpp(self, body, args):
        return self.smpp.view()

    def post_smpp_unbind(self, body, args):
        return {"asked": self.smpp.ask_all(smpp_pdu.UNBIND, (body or {}).get("session"))}

    def post_smpp_enquire(self, body, args):
        return {"asked": self.smpp.ask_all(smpp_pdu.ENQUIRE, (body or {}).get("session"))}

    def post_smpp_close(self, body, args):
        body = body or {}
        chosen = self.smpp.chosen(body.get("session"))
        for session in chosen:
            session.kill(body.get("how", "rst"))
        return {"closed": len(chosen)}

    def post_smpp_raw(self, body, args):
        self.smpp.raw(bytes.fromhex(body["hex"]), body.get("session"))
        return {"ok": True}

    def post_smpp_listen(self, body, args):
        servers = self.smpp.servers
        for server in servers if body.get("listener") is None else [servers[body["listener"]]]:
            if body.get("open", True):
                server.listen()
            else:
                server.unlisten(body.get("ms"))
        return {"listening": [s.sock is not None for s in servers]}

    def post_smpp_receipt(self, body, args):
        for spec in body if isinstance(body, list) else [body]:
            self.smpp.inject(spec)
        return {"ok": True}

    def post_smpp_mo(self, body, args):
        return {"n": [self.smpp.phone_sends(spec) for spec in (body if isinstance(body, list) else [body])]}

    def get_smpp_mo(self, body, args):
        return self.smpp.mos
