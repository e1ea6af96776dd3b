"""Small raw SMPP client of the simulator's own tests: blocking, one session, keeps what came unasked."""

import socket
import ssl
import struct
import time

from mtsim import smpp_pdu as wire


class Closed(Exception):
    pass


class Pdu:
    def __init__(self, data):
        self.data = data
        self.length, self.command, self.status, self.sequence = wire.HEADER.unpack_from(data)

    def id(self):
        return self.data[16:].partition(b"\0")[0].decode()

    def sm(self):
        return wire.read_sm(self.data, strict=False)

    def __repr__(self):
        return "<0x%08x status=0x%x seq=%d %s>" % (self.command, self.status, self.sequence, self.data[16:].hex())


class SmppClient:
    def __init__(self, sim, host=0, bind="trx", password=None):
        where = sim.info["smpp_hosts"][host].rpartition(":")
        self.sock = socket.create_connection((where[0], int(where[2])), timeout=10)
        if sim.info["smpp_tls"]:
            self.sock = ssl.create_default_context(cafile=sim.ca_file).wrap_socket(self.sock, server_hostname=where[0])
        with open(sim.info["smpp_password_file"]) as f:
            self.password = f.read().strip() if password is None else password
        self.buf = b""
        self.came = []
        self.sequence = 0
        self.auto = True            # answer deliver_sm and enquire_link
        if bind:
            answer = self.bind(bind)
            assert answer.status == 0, answer

    def send(self, data):
        self.sock.sendall(data)

    def ask(self, command, body=b""):
        self.sequence += 1
        self.send(wire.pdu(command, 0, self.sequence, body))
        return self.sequence

    def bind(self, kind, system_id="mtsim", version=0x34):
        body = b"%s\0%s\0%s\0%s\0" % (system_id.encode(), self.password.encode(), b"", bytes((version, 0, 0)))
        return self.wait(self.ask({"trx": wire.BIND_TRX, "tx": wire.BIND_TX, "rx": wire.BIND_RX}[kind], body))

    def submit(self, to, text=b"hello", **kw):
        self.sequence += 1
        key = kw.pop("key", None)
        if key:
            kw["tlvs"] = kw.get("tlvs", b"") + wire.tlv(0x1401, key.encode())
        kw.setdefault("registered", 1)
        self.send(wire.write_sm(wire.SUBMIT, self.sequence, kw.pop("source", "15880000"), to, text, **kw))
        return self.sequence

    def read(self, deadline_s=10):
        """The next PDU."""
        end = time.monotonic() + deadline_s
        while True:
            if len(self.buf) >= 4:
                n = struct.unpack_from(">I", self.buf)[0]
                if len(self.buf) >= n:
                    got, self.buf = Pdu(self.buf[:n]), self.buf[n:]
                    break
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                raise Closed
            self.buf += data
        if self.auto and got.command in (wire.DELIVER, wire.DATA):
            self.send(wire.pdu(wire.RESP | got.command, 0, got.sequence, b"\0"))
        elif self.auto and got.command == wire.ENQUIRE:
            self.send(wire.pdu(wire.RESP | wire.ENQUIRE, 0, got.sequence))
        return got

    def wait(self, sequence, deadline_s=10):
        """The answer to one request; everything else is kept in came."""
        for n, p in enumerate(self.came):
            if p.command & wire.RESP and p.sequence == sequence:
                return self.came.pop(n)
        while True:
            got = self.read(deadline_s)
            if got.command & wire.RESP and got.sequence == sequence:
                return got
            self.came.append(got)

    def receipt(self, deadline_s=10):
        """The next deliver_sm or data_sm."""
        for n, p in enumerate(self.came):
            if not p.command & wire.RESP:
                return self.came.pop(n)
        while True:
            got = self.read(deadline_s)
            if got.command in (wire.DELIVER, wire.DATA):
                return got
            self.came.append(got)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
