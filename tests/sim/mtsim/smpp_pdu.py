"""PDUs of SMPP 3.4 as this simulator reads and writes them, and the alphabets of their texts.

Written from the specification (issue 1.2: sections 3.2, 4 and 5), 3GPP TS 23.038 and TS 23.040 9.2.3.24 alone, so that it is a second
reading of them beside the agent's.  It refuses what is not as it must be: Malformed names the field.
"""

import re
import struct

HEADER = struct.Struct(">IIII")
MAX_PDU = 70000

BIND_RX, BIND_TX, SUBMIT, DELIVER, UNBIND, BIND_TRX, OUTBIND, ENQUIRE, ALERT, DATA = (
    0x01, 0x02, 0x04, 0x05, 0x06, 0x09, 0x0B, 0x15, 0x102, 0x103)
RESP = 0x80000000
NACK = RESP
SUBMIT_RESP, DELIVER_RESP, DATA_RESP = RESP | SUBMIT, RESP | DELIVER, RESP | DATA
NAMES = {BIND_RX: "bind_receiver", BIND_TX: "bind_transmitter", SUBMIT: "submit_sm", DELIVER: "deliver_sm", UNBIND: "unbind",
         BIND_TRX: "bind_transceiver", OUTBIND: "outbind", ENQUIRE: "enquire_link", ALERT: "alert_notification",
         DATA: "data_sm"}

# Optional parameters: tag, and the lengths that a value may have.
RECEIPTED_ID, MESSAGE_STATE, NETWORK_ERROR, PAYLOAD, CONGESTION, SC_VERSION = 0x1E, 0x427, 0x423, 0x424, 0x428, 0x210
SAR_REF, SAR_TOTAL, SAR_SEQ, USER_REF = 0x20C, 0x20E, 0x20F, 0x204
TLV_LENGTH = {
    0x0005: (1, 1), 0x0006: (1, 1), 0x0007: (1, 1), 0x0008: (2, 2), 0x000D: (1, 1), 0x000E: (1, 1), 0x000F: (1, 1),
    0x0010: (1, 1), 0x0017: (4, 4), 0x0019: (1, 1), 0x001D: (1, 256), RECEIPTED_ID: (1, 65), 0x0030: (1, 1),
    0x0201: (1, 1), 0x0202: (2, 23), 0x0203: (2, 23), USER_REF: (2, 2), 0x0205: (1, 1), 0x020A: (2, 2), 0x020B: (2, 2),
    SAR_REF: (2, 2), 0x020D: (1, 1), SAR_TOTAL: (1, 1), SAR_SEQ: (1, 1), SC_VERSION: (1, 1), 0x0302: (1, 1),
    0x0303: (0, 65), 0x0304: (1, 1), 0x0381: (4, 19), 0x0420: (1, 1), 0x0421: (1, 1), 0x0422: (1, 1),
    NETWORK_ERROR: (3, 3), PAYLOAD: (0, 65535), 0x0425: (1, 1), 0x0426: (1, 1), MESSAGE_STATE: (1, 1), 0x0501: (1, 1),
    0x1201: (1, 1), 0x1203: (2, 2), 0x1204: (1, 4), 0x130C: (0, 0), 0x1380: (1, 1), 0x1383: (2, 2),
}
TIME = re.compile(rb"\d{12}\d\d\d[-+R]")


class Malformed(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def pdu(command, status, sequence, body=b""):
    return HEADER.pack(16 + len(body), command, status, sequence) + body


def tlv(tag, value):
    return struct.pack(">HH", tag, len(value)) + value


def text_of(data, pos, size, what, status=0x02):
    """A C-octet string of at most size octets with its NUL; (bytes, position behind it)."""
    end = data.find(b"\0", pos, pos + size)
    if end < 0:
        raise Malformed(status, "%s has no end within %d octets" % (what, size))
    return data[pos:end], end + 1


def tlvs_of(data, pos):
    """Dictionary of the optional parameters from pos to the end."""
    out = {}
    n = len(data)
    while pos < n:
        if pos + 4 > n:
            raise Malformed(0xC0, "%d octets behind the last parameter" % (n - pos))
        tag, size = struct.unpack_from(">HH", data, pos)
        pos += 4
        if pos + size > n:
            raise Malformed(0xC0, "parameter 0x%04x is longer than its PDU" % tag)
        least, most = TLV_LENGTH.get(tag, (0, 65535))
        if not least <= size <= most:
            raise Malformed(0xC2, "parameter 0x%04x has %d octets" % (tag, size))
        if tag in out:
            raise Malformed(0xC0, "parameter 0x%04x comes twice" % tag)
        out[tag] = data[pos:pos + size]
        pos += size
    return out


class Sm:
    """A submit_sm, deliver_sm or data_sm."""

    __slots__ = ("service", "source", "source_ton", "dest", "dest_ton", "esm", "protocol", "priority", "schedule",
                 "validity", "registered", "replace", "coding", "default_id", "short", "tlvs", "octets", "in_payload")


def _address(what, status, ton, npi, value):
    if ton > 6:
        raise Malformed(0x48 if what == "source_addr" else 0x50, "%s: TON %d" % (what, ton))
    if npi not in (0, 1, 3, 4, 6, 8, 9, 10, 14, 18):
        raise Malformed(0x49 if what == "source_addr" else 0x51, "%s: NPI %d" % (what, npi))
    if ton == 5:
        if not value or len(value) > 11:
            raise Malformed(status, "%s: a name of %d octets" % (what, len(value)))
    elif value and not value.isdigit():
        raise Malformed(status, "%s: %r is no number of TON %d" % (what, value, ton))


def _when(what, status, value):
    if not value:
        return
    if not TIME.fullmatch(value):
        raise Malformed(status, "%s: %r" % (what, value))
    month, day, hour, minute, second = (int(value[i:i + 2]) for i in range(2, 12, 2))
    if hour > 23 or minute > 59 or second > 59 or int(value[13:15]) > 48:
        raise Malformed(status, "%s: %r" % (what, value))
    if value[15:] == b"R":
        if value[12:15] != b"000":
            raise Malformed(status, "%s: %r has tenths or an offset although it is relative" % (what, value))
    elif not 1 <= month <= 12 or not 1 <= day <= 31:
        raise Malformed(status, "%s: %r" % (what, value))


def read_sm(data, strict=True):
    """data: a whole submit_sm or deliver_sm.  strict: as the centre reads a submit_sm."""
    m = Sm()
    m.service, pos = text_of(data, 16, 6, "service_type")
    if pos + 2 > len(data):
        raise Malformed(0x02, "ends before source_addr")
    ton, npi = data[pos], data[pos + 1]
    m.source_ton = ton, npi
    source, pos = text_of(data, pos + 2, 21, "source_addr")
    if strict:
        _address("source_addr", 0x0A, ton, npi, source)
    if pos + 2 > len(data):
        raise Malformed(0x02, "ends before destination_addr")
    ton, npi = data[pos], data[pos + 1]
    m.dest_ton = ton, npi
    dest, pos = text_of(data, pos + 2, 21, "destination_addr")
    if strict:
        if not dest:
            raise Malformed(0x0B, "destination_addr is empty")
        _address("destination_addr", 0x0B, ton, npi, dest)
    m.source, m.dest = source.decode("latin-1"), dest.decode("latin-1")
    if pos + 3 > len(data):
        raise Malformed(0x02, "ends before schedule_delivery_time")
    m.esm, m.protocol, m.priority = data[pos], data[pos + 1], data[pos + 2]
    m.schedule, pos = text_of(data, pos + 3, 17, "schedule_delivery_time", 0x61)
    m.validity, pos = text_of(data, pos, 17, "validity_period", 0x62)
    if pos + 5 > len(data):
        raise Malformed(0x02, "ends before short_message")
    m.registered, m.replace, m.coding, m.default_id, size = data[pos:pos + 5]
    pos += 5
    if pos + size > len(data):
        raise Malformed(0x02, "short_message is longer than its PDU")
    m.short = data[pos:pos + size]
    m.tlvs = tlvs_of(data, pos + size) if pos + size < len(data) else {}
    if strict:
        if m.esm & 0x3C not in (0, 0x08, 0x10):
            raise Malformed(0x43, "esm_class 0x%02x" % m.esm)
        if m.priority > 3:
            raise Malformed(0x06, "priority_flag %d" % m.priority)
        _when("schedule_delivery_time", 0x61, m.schedule)
        _when("validity_period", 0x62, m.validity)
        if m.registered & 0xE0 or m.registered & 3 == 3:
            raise Malformed(0x07, "registered_delivery 0x%02x" % m.registered)
        if m.replace > 1:
            raise Malformed(0x54, "replace_if_present_flag %d" % m.replace)
        if size > 254:
            raise Malformed(0x01, "short_message has %d octets" % size)
    m.in_payload = PAYLOAD in m.tlvs
    if m.in_payload and size:
        raise Malformed(0xC4, "short_message and message_payload are both there")
    m.octets = m.tlvs[PAYLOAD] if m.in_payload else m.short
    return m


def write_sm(command, sequence, source, dest, text, esm=0, coding=0, source_ton=(1, 1), dest_ton=(1, 1), registered=0,
             tlvs=b"", validity=b"", schedule=b"", service=b""):
    """A submit_sm, deliver_sm or data_sm; text of more than 254 octets, or all of data_sm's, goes as message_payload."""
    head = b"%s\0%s%s\0%s%s\0" % (service, bytes(source_ton), source.encode("latin-1"), bytes(dest_ton), dest.encode("latin-1"))
    if command == DATA:
        body = head + bytes((esm, registered, coding)) + (tlv(PAYLOAD, text) if text else b"") + tlvs
    else:
        if len(text) > 254:
            tlvs = tlv(PAYLOAD, text) + tlvs
            text = b""
        body = head + b"%s%s\0%s\0%s%s%s" % (bytes((esm, 0, 0)), schedule, validity,
                                            bytes((registered, 0, coding, 0, len(text))), text, tlvs)
    return HEADER.pack(16 + len(body), command, 0, sequence) + body


def read_bind(data):
    """(system_id, password, system_type, interface_version)."""
    system_id, pos = text_of(data, 16, 16, "system_id", 0x0F)
    password, pos = text_of(data, pos, 9, "password", 0x0E)
    system_type, pos = text_of(data, pos, 13, "system_type", 0x53)
    if pos + 3 > len(data):
        raise Malformed(0x02, "ends before address_range")
    version, ton, npi = data[pos:pos + 3]
    _, pos = text_of(data, pos + 3, 41, "address_range")
    if pos != len(data):
        raise Malformed(0x02, "%d octets behind address_range" % (len(data) - pos))
    if version > 0x34 and version != 0x50:
        raise Malformed(0x0D, "interface_version 0x%02x" % version)
    return system_id, password, system_type, version


# ---- alphabets ------------------------------------------------------------------------------------------------------

GSM = ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
       "¿abcdefghijklmnopqrstuvwxyzäöñüà")
GSM_MORE = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€"}
GSM_OF = {c: bytes((i,)) for i, c in enumerate(GSM) if c != "\x1b"}
GSM_OF.update({c: bytes((0x1B, i)) for i, c in GSM_MORE.items()})
PLAIN = str.maketrans({i: c for i, c in enumerate(GSM)})


def gsm_decode(data):
    text = data.decode("latin-1")
    if data and max(data) > 0x7F:
        raise ValueError("octet 0x%02x is not of the GSM alphabet" % max(data))
    if b"\x1b" not in data:
        return text.translate(PLAIN)
    first, *rest = text.split("\x1b")
    out = [first.translate(PLAIN)]
    for piece in rest:
        if not piece or ord(piece[0]) not in GSM_MORE:
            raise ValueError("an escape without its character")
        out.append(GSM_MORE[ord(piece[0])] + piece[1:].translate(PLAIN))
    return "".join(out)


def gsm_encode(text):
    return b"".join(GSM_OF[c] for c in text)


CODINGS = {1: "ascii", 3: "latin-1", 8: "utf-16-be"}
BINARY = (2, 4)


def charset(coding, default="gsm", korean="euc-kr"):
    """Name of the alphabet of a data_coding: "gsm", a codec of Python, "" for data; None when it has no meaning here."""
    if coding == 0:
        return default
    if coding == 14:
        return korean
    return "" if coding in BINARY else CODINGS.get(coding)


def decode(data, name):
    if name == "":
        return "hex:" + data.hex()
    return gsm_decode(data) if name == "gsm" else data.decode(name)


def encode(text, name):
    if name == "":
        return bytes.fromhex(text.removeprefix("hex:"))
    return gsm_encode(text) if name == "gsm" else text.encode(name)


def header_of(data):
    """User data header: ((reference, total, number) or None, octets behind it)."""
    if not data or 1 + data[0] > len(data):
        raise Malformed(0x43, "the user data header is longer than the text")
    end = 1 + data[0]
    pos = 1
    part = None
    while pos < end:
        if pos + 2 > end or pos + 2 + data[pos + 1] > end:
            raise Malformed(0x43, "an element of the user data header is longer than it")
        kind, size = data[pos], data[pos + 1]
        value = data[pos + 2:pos + 2 + size]
        if kind in (0, 8):
            if part is not None or size != (3 if kind == 0 else 4):
                raise Malformed(0x43, "the header of a part is not as it must be")
            part = int.from_bytes(value[:-2], "big"), value[-2], value[-1]
            if not 1 <= part[2] <= part[1]:
                raise Malformed(0x43, "part %d of %d" % (part[2], part[1]))
        pos += 2 + size
    return part, data[end:]
