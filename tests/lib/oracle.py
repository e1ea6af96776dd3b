"""Says what is wrong, if anything, when the inserted rows, the tables and the phones are laid side by side.

A message is one (msg_id, created_at).  For each of them:
  - it has exactly one result, or it is still in mt_send, never both, never neither (lost)
  - its phone got it once at most, unless more was allowed
  - OK: the phone got it.  FAIL: it did not.  UNKNOWN: anything.  Messages whose reports lied (the truth says so) are left
    out of this, and listed in .lied
and nothing is known to phones that was never inserted.
"""

import collections

from .sim import read_truth


class Oracle:
    """Remembers what was inserted; violations() compares."""

    def __init__(self, database, sim=None, truth_file=None):
        self.database = database
        self.truth_file = truth_file or (sim.truth_file if sim else None)
        self.lied = []
        self.tally = collections.Counter()

    def snapshot(self):
        """Remembers (msg_id, created_at) of all rows that wait now; call it after the inserts, before the agent takes
        them (or while it is stopped)."""
        rows = self.database.query("SELECT msg_id, created_at FROM {p}send")
        self.inserted = getattr(self, "inserted", set()) | {(r["msg_id"], str(r["created_at"])) for r in rows}
        return len(self.inserted)

    def expect(self, *msg_ids):
        """Remembers messages by id only, where the agent runs while they are inserted."""
        self.by_id = getattr(self, "by_id", set()) | set(msg_ids)

    def violations(self, all_done=True, allow_twice=(), limit=50, allow_wrong=()):
        """List of sentences, empty when all is well.

        all_done: nothing may wait any more.  allow_twice: True, or message ids whose phone may get it more than once
        (re-sending switched on).  allow_wrong: message ids whose class is not compared with the truth."""
        db = self.database
        bad = []
        results = collections.defaultdict(list)
        for r in db.query("SELECT msg_id, created_at, result_class, result_code, client_key FROM {p}result"):
            results[(r["msg_id"], str(r["created_at"]))].append(r)
        waiting = {}
        for r in db.query("SELECT msg_id, created_at, status, client_key FROM {p}send"):
            waiting[(r["msg_id"], str(r["created_at"]))] = r
        expected = set(getattr(self, "inserted", ()))
        known_ids = collections.Counter(k[0] for k in list(results) + list(waiting))
        for msg_id in getattr(self, "by_id", ()):
            if not known_ids[msg_id]:
                bad.append("message %s is lost: neither waiting nor with a result" % msg_id)
        for key in sorted(expected, key=lambda k: (k[0], k[1])):
            n = len(results.get(key, ())) + (key in waiting)
            if n == 0:
                bad.append("message %s (%s) is lost: neither waiting nor with a result" % key)
        for key, rows in results.items():
            if len(rows) > 1:
                bad.append("message %s has %d results" % (key[0], len(rows)))
            if key in waiting:
                bad.append("message %s has a result and still waits in status %s" % (key[0], waiting[key]["status"]))
            if expected and key not in expected and not getattr(self, "by_id", None):
                bad.append("a result for message %s (%s), which was never inserted" % key)
        if all_done:
            for key, r in waiting.items():
                bad.append("message %s still waits in status %s" % (key[0], r["status"]))
        self.tally = collections.Counter(r["result_class"] for rows in results.values() for r in rows)
        if self.truth_file:
            bad += self._against_truth(results, waiting, allow_twice, set(allow_wrong))
        if len(bad) > limit:
            bad = bad[:limit] + ["... and %d more" % (len(bad) - limit)]
        return bad

    def _tries(self):
        """client_key -> msg_id of superseded attempts."""
        return {str(r["client_key"]): r["msg_id"]
                for r in self.database.query("SELECT msg_id, client_key FROM {p}try") if r["client_key"]}

    def _against_truth(self, results, waiting, allow_twice, allow_wrong):
        bad = []
        truth = read_truth(self.truth_file)
        owner = dict(self._tries())
        for key, rows in results.items():
            for r in rows:
                if r["client_key"]:
                    owner[str(r["client_key"])] = key[0]
        for key, r in waiting.items():
            if r["client_key"]:
                owner[str(r["client_key"])] = key[0]
        phone = collections.Counter()
        accepted = collections.Counter()
        lied = set()
        for t in truth.values():
            msg_id = owner.get(t.id)
            if msg_id is None:
                msg_id = self.id_of(t.id)
            if msg_id is None:
                if t.accepted or t.phone:
                    bad.append("the provider took %s for %s, which no row knows" % (t.id, t.to))
                continue
            phone[msg_id] += t.phone
            accepted[msg_id] += t.accepted
            if t.lied:
                lied.add(msg_id)
        self.lied = sorted(lied)
        # A msg_id may come again with another created_at: that many messages may have reached the phone.
        messages = collections.Counter(k[0] for k in set(results) | set(waiting))
        for msg_id, n in phone.items():
            if n > max(1, messages[msg_id]) and allow_twice is not True and msg_id not in allow_twice:
                bad.append("the phone got message %s %d times" % (msg_id, n))
        # Messages of one msg_id are compared by their sum.
        by_id = collections.defaultdict(list)
        for (msg_id, _), rows in results.items():
            by_id[msg_id] += rows
        for msg_id, rows in by_id.items():
            if msg_id in lied or msg_id in allow_wrong:
                continue
            ok = sum(r["result_class"] == "OK" for r in rows)
            unknown = sum(r["result_class"] == "UNKNOWN" for r in rows)
            got = phone[msg_id]
            if ok > got:
                bad.append("message %s has class OK (%s) and the phone got nothing"
                           % (msg_id, ",".join(str(r["result_code"]) for r in rows)))
            elif len(rows) == 1 and not ok and not unknown and got:
                bad.append("message %s has class FAIL (%s) and the phone got it" % (msg_id, rows[0]["result_code"]))
        return bad

    ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

    @classmethod
    def id_of(cls, client_key):
        """msg_id inside a client key (version 4, installation 32, msg_id 64 bits, ...), None when it is not one."""
        key = client_key.lower()
        if len(key) != 30 or any(c not in cls.ALPHABET for c in key):
            return None
        value = 0
        for c in key:
            value = value * 32 + cls.ALPHABET.index(c)
        msg_id = value >> (150 - 4 - 32 - 64) & (1 << 64) - 1
        return msg_id - (1 << 64) if msg_id >> 63 else msg_id

    def check(self, **kw):
        """Asserts that there is no violation."""
        bad = self.violations(**kw)
        assert not bad, "%d violations:\n  %s" % (len(bad), "\n  ".join(bad))
        return self.tally
