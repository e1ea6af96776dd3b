"""Statuses and message states of the simulated SMPP centre, and what a rule wants of a message there."""

# Settings (POST /config), what the centre is like.
SETTINGS = {
    "smpp_receipts": "both",            # both, tlv, text, none
    "smpp_receipt_pdu": "deliver_sm",   # or data_sm
    "smpp_receipt_payload": False,      # the text in message_payload
    "smpp_receipt_esm": 0x04,
    "smpp_fields": "normal",            # normal, lower, upper, order, few
    "smpp_dates": "short",              # 10 digits; long: 12, longer: 14
    "smpp_zone_min": 540,               # the clock of receipts
    "smpp_id": "decimal",               # of the answer: decimal, zeros, hex, HEX, hexzeros, text
    "smpp_id_text": "same",             # of the receipt's text: same, upper, lower or one of these
    "smpp_id_tlv": "same",              # of receipted_message_id
    "smpp_network_error": "binary",     # digits, none
    "smpp_echo_key": False,             # receipts carry the key parameter
    "smpp_key_tag": 0x1401,             # the parameter of a submit_sm that is the id in the truth
    "smpp_default_charset": "gsm",      # data_coding 0; or a codec of Python: euc-kr, cp949, latin-1
    "smpp_korean": "euc-kr",            # data_coding 14; or cp949
    "smpp_window": 10,                  # unanswered deliver_sm a session
    "smpp_deliver_retry_ms": 200,
    "smpp_deliver_timeout_ms": 0,       # an unanswered deliver_sm is sent again after so long; 0: only when its session died
    "smpp_enquire_ms": 0,               # enquire_link to all sessions each so long
    "smpp_version": 0x34,               # sc_interface_version; null: none
    "smpp_binds": 0,                    # sessions allowed at a time, 0: any number
    "smpp_trx": True,                   # false: bind_transceiver is refused with RBINDFAIL
}

STATUS = {
    "ROK": 0x00, "RINVMSGLEN": 0x01, "RINVCMDLEN": 0x02, "RINVCMDID": 0x03, "RINVBNDSTS": 0x04, "RALYBND": 0x05,
    "RINVPRTFLG": 0x06, "RINVREGDLVFLG": 0x07, "RSYSERR": 0x08, "RINVSRCADR": 0x0A, "RINVDSTADR": 0x0B, "RINVMSGID": 0x0C,
    "RBINDFAIL": 0x0D, "RINVPASWD": 0x0E, "RINVSYSID": 0x0F, "RMSGQFUL": 0x14, "RINVSERTYP": 0x15, "RINVESMCLASS": 0x43,
    "RSUBMITFAIL": 0x45, "RINVSRCTON": 0x48, "RINVSRCNPI": 0x49, "RINVDSTTON": 0x50, "RINVDSTNPI": 0x51,
    "RINVSYSTYP": 0x53, "RTHROTTLED": 0x58, "RINVSCHED": 0x61, "RINVEXPIRY": 0x62, "RX_T_APPN": 0x64, "RX_P_APPN": 0x65,
    "RX_R_APPN": 0x66, "RINVOPTPARSTREAM": 0xC0, "ROPTPARNOTALLWD": 0xC1, "RINVPARLEN": 0xC2, "RINVOPTPARAMVAL": 0xC4,
    "RDELIVERYFAILURE": 0xFE, "RUNKNOWNERR": 0xFF,
}
STATE = {"SCHEDULED": 0, "ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7,
         "REJECTD": 8, "SKIPPED": 9}
WORD = {v: k for k, v in STATE.items()}
DELIVERED = STATE["DELIVRD"]
FAILED = {STATE[s] for s in ("EXPIRED", "DELETED", "UNDELIV", "REJECTD", "SKIPPED")}
ON_THE_WAY = {STATE[s] for s in ("SCHEDULED", "ENROUTE")}


def status_of(what):
    if isinstance(what, str):
        if what not in STATUS:
            raise ValueError("unknown status %r" % what)
        return STATUS[what]
    if isinstance(what, bool) or not isinstance(what, int) or not 0 <= what <= 0xFFFFFFFF:
        raise ValueError("a status is a number or a name, not %r" % (what,))
    return what


class Receipt:
    """One receipt of a plan."""

    __slots__ = ("delay_ms", "state", "word", "error")

    def __init__(self, spec):
        self.delay_ms, self.error, self.word = None, 0, None
        if isinstance(spec, dict):
            self.delay_ms, self.error, self.word = spec.get("delay_ms"), spec.get("error", 0), spec.get("word")
            spec = spec.get("status", "DELIVRD")
        if isinstance(spec, str):
            if spec not in STATE:
                raise ValueError("unknown message state %r" % spec)
            spec = STATE[spec]
        self.state = spec
        if self.word is None:
            self.word = WORD.get(spec, "STATE%d" % spec)


class Plan:
    """What becomes of one message, or of one part of it: its receipts and whether the phone gets it."""

    __slots__ = ("receipts", "phone", "label", "lied", "scripted")

    def __init__(self, specs=("DELIVRD",), phone=None, scripted=True):
        self.receipts = [Receipt(s) for s in specs]
        states = [r.state for r in self.receipts]
        self.phone = bool(DELIVERED in states or not states) if phone is None else bool(phone)
        self.lied = any((s == DELIVERED and not self.phone) or (s in FAILED and self.phone) for s in states)
        self.label = self.receipts[-1].word if states else "SILENT"
        self.scripted = scripted    # False: registered_delivery decides whether there is a receipt


def plan_of(do):
    """Plan that a rule asks for, or None when it does not speak of receipts."""
    if "reports" in do:
        specs = do["reports"]
    elif "outcome" in do:
        specs = [do["outcome"]]
    elif "phone" in do:
        specs = ["DELIVRD" if do["phone"] else "UNDELIV"]
    elif "report_delay_ms" in do:
        specs = ["DELIVRD"]
    else:
        return None
    plan = Plan(specs, do.get("phone"))
    for r in plan.receipts:
        if r.delay_ms is None:
            r.delay_ms = do.get("report_delay_ms")
    return plan


def magic():
    """The suffix table of mtsim.py: last four digits -> (kind, argument)."""
    def later(state, ms):
        return {"status": state, "delay_ms": ms}

    return {
        "0001": ("reject", STATUS["RINVDSTADR"]),
        "0002": ("plan", Plan([{"status": "UNDELIV", "error": 27}])),
        "0003": ("plan", Plan(["EXPIRED"])),
        "0004": ("plan", Plan([], True)),
        "0005": ("plan", Plan(["ENROUTE"], False)),
        "0006": ("plan", Plan(["REJECTD"])),
        "0007": ("plan", Plan(["ACCEPTD", later("DELIVRD", 300)])),
        "0008": ("plan", Plan(["UNDELIV", later("DELIVRD", 300)], True)),
        "0009": ("plan", Plan(["DELIVRD", later("DELIVRD", 100), later("DELIVRD", 300)])),
        "0010": ("plan", Plan(["ENROUTE", later("DELIVRD", 300)])),
        "0011": ("plan", Plan([later("DELIVRD", 3000)])),
        "0012": ("reject", STATUS["RSUBMITFAIL"]),
        "0013": ("plan", Plan(["UNKNOWN"], True)),
        "0014": ("early", Plan([later("DELIVRD", 0)])),
        "0015": ("reject", STATUS["RX_R_APPN"]),
        "0016": ("reject", 0x401),
        "0017": ("silent", True),
        "0018": ("silent", False),
        "0019": ("plan", Plan(["DELIVRD", later("UNDELIV", 300)], True)),
        "0020": ("plan", Plan([{"status": "UNDELIV", "error": 777}])),
        "0021": ("plan", Plan([{"status": 77, "word": "STRANGE"}, later("DELIVRD", 300)])),
        "0022": ("once", STATUS["RTHROTTLED"]),
    }
