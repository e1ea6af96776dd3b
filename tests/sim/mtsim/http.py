"""HTTP/1.1 and HTTP/2 on asyncio for the simulator: hand-made, so that every fault can be done on the wire.

A handler object has early(req) -> Reply or None (headers read, body not) and handle(req) -> Reply.
"""

import asyncio
import socket
import struct
import time

from .provider import Reply, Request

try:
    import h2.config
    import h2.connection
    import h2.errors
    import h2.events
    import h2.exceptions
    import h2.settings
    HAVE_H2 = True
except ImportError:
    HAVE_H2 = False

REASONS = {200: "OK", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
           404: "Not Found", 405: "Method Not Allowed", 413: "Payload Too Large", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}

MAX_HEAD = 65536
MAX_BODY = 64 << 20


def kill(transport, how):
    """Ends a TCP connection without any TLS or HTTP politeness: "rst" or "fin"."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        transport.abort()
        return
    if how == "rst":
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass
        transport.abort()
        return
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    # Bytes still in the receive buffer would turn the close into a reset, so give the client time to see the FIN.
    transport.pause_reading() if not transport.is_closing() else None
    asyncio.get_running_loop().call_later(0.2, transport.abort)


class Base(asyncio.Protocol):
    numbers = 0

    def __init__(self, handler, server):
        self.handler = handler
        self.server = server
        self.transport = None
        self.number = 0
        self.dead = False
        self.timers = set()
        Base.numbers += 1
        self.conn = Base.numbers

    def attach(self, transport):
        self.transport = transport
        self.server.open_connections.add(self)

    def connection_made(self, transport):
        self.attach(transport)

    def connection_lost(self, exc):
        self.dead = True
        for t in self.timers:
            t.cancel()
        self.timers.clear()
        self.server.open_connections.discard(self)

    def later(self, ms, fn, *args):
        """Runs fn after ms unless the connection ends first; at once when ms is 0."""
        if not ms:
            fn(*args)
            return
        cell = []

        def run():
            self.timers.discard(cell[0])
            if not self.dead:
                fn(*args)
        cell.append(asyncio.get_running_loop().call_later(ms / 1000, run))
        self.timers.add(cell[0])

    def kill(self, how):
        if not self.dead:
            self.dead = True
            for t in self.timers:
                t.cancel()
            kill(self.transport, how)


class Http1(Base):
    def __init__(self, handler, server):
        super().__init__(handler, server)
        self.buf = bytearray()
        self.req = None
        self.length = 0
        self.chunked = False
        self.busy = False
        self.pumping = False

    def data_received(self, data):
        if self.dead:
            return
        self.buf += data
        if not self.busy:
            self.pump()

    def eof_received(self):
        return False

    def pump(self):
        if self.pumping:
            return
        self.pumping = True
        try:
            while not self.busy and not self.dead and self.step():
                pass
        finally:
            self.pumping = False

    def step(self):
        buf = self.buf
        if self.req is None:
            while buf[:2] == b"\r\n":
                del buf[:2]
            end = buf.find(b"\r\n\r\n")
            if end < 0:
                if len(buf) > MAX_HEAD:
                    self.kill("fin")
                return False
            if not self.head(bytes(buf[:end])):
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                self.transport.close()
                self.dead = True
                return False
            del buf[:end + 4]
            reply = self.handler.early(self.req)
            if reply is not None:
                self.start(reply)
                return True
            if self.req.headers.get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        req = self.req
        if req.mid_read is not None and (len(buf) >= req.mid_read[0] or len(buf) >= self.length):
            self.kill(req.mid_read[1])
            return False
        if self.chunked:
            body = self.dechunk()
            if body is None:
                return False
            req.body = body
        else:
            if len(buf) < self.length:
                return False
            req.body = bytes(buf[:self.length])
            del buf[:self.length]
        self.start(self.handler.handle(req))
        return True

    def head(self, raw):
        lines = raw.decode("latin-1").split("\r\n")
        first = lines[0].split(" ")
        if len(first) != 3 or not first[2].startswith("HTTP/1."):
            return False
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or name != name.strip():
                return False
            headers[name.lower()] = value.strip()
        self.number += 1
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return False
        self.length = int(length)
        self.req = Request(first[0], first[1], headers, self.number, self.conn,
                           "1.1" if first[2] == "HTTP/1.1" else "1.0")
        return True

    def dechunk(self):
        """The whole chunked body, or None while it is incomplete."""
        out, pos, buf = [], 0, self.buf
        while True:
            end = buf.find(b"\r\n", pos)
            if end < 0:
                return None
            try:
                size = int(bytes(buf[pos:end]).split(b";")[0], 16)
            except ValueError:
                self.kill("fin")
                return None
            pos = end + 2
            if size == 0:
                if buf[pos:pos + 2] != b"\r\n":
                    return None
                del buf[:pos + 2]
                return b"".join(out)
            if len(buf) < pos + size + 2:
                return None
            out.append(bytes(buf[pos:pos + size]))
            pos += size + 2

    def start(self, reply):
        self.busy = True
        if reply.defer is not None:
            ms, fn = reply.defer
            self.later(ms, lambda: self.start(fn()))
            return
        self.later(reply.delay, self.send, reply)

    def send(self, reply):
        if reply.hang:
            return
        if reply.cut and reply.cut_at is None:
            self.kill(reply.how)
            return
        close = (reply.close_after is not None or self.req.headers.get("connection", "").lower() == "close"
                 or self.req.proto == "1.0")
        if reply.chunked and not reply.cut:
            self.chunks(reply)
            return
        head = ["HTTP/1.1 %d %s\r\n" % (reply.status, REASONS.get(reply.status, "Simulated"))]
        head += ["%s: %s\r\n" % h for h in reply.headers]
        head.append("Content-Length: %d\r\n" % len(reply.body))
        if self.req.headers.get("connection", "").lower() == "close":
            head.append("Connection: close\r\n")
        head.append("\r\n")
        data = "".join(head).encode("latin-1") + reply.body
        if reply.cut:
            at = len(data) - len(reply.body) // 2 - 1 if reply.cut_at == "half" else int(reply.cut_at)
            self.transport.write(data[:at])
            self.later(50, self.kill, reply.how)
            return
        if reply.trickle:
            self.trickle(data, 0, reply, close)
            return
        self.transport.write(data)
        self.finish(reply, close)

    def trickle(self, data, at, reply, close):
        step, ms = reply.trickle
        self.transport.write(data[at:at + step])
        at += step
        if at < len(data):
            self.later(ms, self.trickle, data, at, reply, close)
        else:
            self.finish(reply, close)

    def chunks(self, reply):
        head = ["HTTP/1.1 %d %s\r\n" % (reply.status, REASONS.get(reply.status, "Simulated"))]
        head += ["%s: %s\r\n" % h for h in reply.headers]
        self.transport.write(("".join(head) + "Transfer-Encoding: chunked\r\n\r\n").encode("latin-1"))
        self.next_chunk(memoryview(reply.body), 0, reply)

    def next_chunk(self, body, at, reply):
        size = 16384
        part = bytes(body[at:at + size])
        if part:
            self.transport.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.later(1 if len(body) > 1 << 20 else 0, self.next_chunk, body, at + size, reply)
            return
        self.transport.write(b"0\r\n\r\n")
        self.finish(reply, False)

    def finish(self, reply, close):
        self.req = None
        self.busy = False
        if reply.close_after is not None:
            self.dead = True
            asyncio.get_running_loop().call_later(0.02, kill, self.transport, reply.close_after)
        elif close:
            self.dead = True
            self.transport.close()
        else:
            self.pump()


class Http2(Base):
    def __init__(self, handler, server):
        super().__init__(handler, server)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100,
                                          h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
                                          h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD})
        self.streams = {}
        self.out = {}

    def connection_made(self, transport):
        self.attach(transport)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(4 << 20)
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data and not self.dead:
            self.transport.write(data)

    def data_received(self, data):
        if self.dead:
            return
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.transport.close()
            return
        for ev in events:
            if isinstance(ev, h2.events.RequestReceived):
                self.begin(ev)
            elif isinstance(ev, h2.events.DataReceived):
                self.body(ev)
            elif isinstance(ev, h2.events.StreamEnded):
                req = self.streams.get(ev.stream_id)
                if req is not None:
                    req[0].body = bytes(req[1])
                    self.start(ev.stream_id, self.handler.handle(req[0]))
            elif isinstance(ev, h2.events.StreamReset):
                self.streams.pop(ev.stream_id, None)
                self.out.pop(ev.stream_id, None)
            elif isinstance(ev, h2.events.WindowUpdated):
                self.push()
            elif isinstance(ev, h2.events.ConnectionTerminated):
                self.transport.close()
            if self.dead:
                return
        self.flush()

    def begin(self, ev):
        fields = dict(ev.headers)
        headers = {k: v for k, v in fields.items() if not k.startswith(":")}
        self.number += 1
        req = Request(fields.get(":method", ""), fields.get(":path", "/"), headers, self.number, self.conn, "2")
        reply = self.handler.early(req)
        if reply is not None:
            self.start(ev.stream_id, reply)
            return
        self.streams[ev.stream_id] = (req, bytearray())

    def body(self, ev):
        req = self.streams.get(ev.stream_id)
        if ev.flow_controlled_length:
            self.h2.acknowledge_received_data(ev.flow_controlled_length, ev.stream_id)
        if req is None:
            return
        req[1].extend(ev.data)
        if req[0].mid_read is not None and len(req[1]) >= req[0].mid_read[0]:
            self.kill(req[0].mid_read[1])
        elif len(req[1]) > MAX_BODY:
            self.kill("rst")

    def start(self, sid, reply):
        if reply.defer is not None:
            ms, fn = reply.defer
            self.later(ms, lambda: self.start(sid, fn()))
            return
        self.later(reply.delay, self.send, sid, reply)

    def break_stream(self, sid, reply):
        """The HTTP/2 ways of not answering."""
        if reply.h2 == "goaway":
            self.h2.close_connection(last_stream_id=0)
            self.flush()
            self.later(50, self.kill, reply.how)
            return
        if reply.h2 in ("rst_stream", "refused_stream"):
            code = (h2.errors.ErrorCodes.REFUSED_STREAM if reply.h2 == "refused_stream"
                    else h2.errors.ErrorCodes.INTERNAL_ERROR)
            self.h2.reset_stream(sid, code)
            self.streams.pop(sid, None)
            self.flush()
            return
        self.kill(reply.how)

    def send(self, sid, reply):
        if reply.hang:
            return
        if reply.cut and reply.cut_at is None:
            self.break_stream(sid, reply)
            return
        headers = [(":status", str(reply.status))] + [(k.lower(), v) for k, v in reply.headers]
        if not reply.cut and not reply.chunked:
            headers.append(("content-length", str(len(reply.body))))
        body = reply.body
        if reply.cut:
            body = body[:len(body) // 2] if reply.cut_at == "half" else body[:int(reply.cut_at)]
        try:
            self.h2.send_headers(sid, headers)
        except h2.exceptions.ProtocolError:
            return
        self.out[sid] = [memoryview(body), reply, time.monotonic()]
        self.push()
        self.flush()

    def push(self):
        """Sends what the flow control windows allow."""
        for sid in list(self.out):
            item = self.out[sid]
            body, reply, _ = item
            try:
                while len(body):
                    n = min(self.h2.local_flow_control_window(sid), self.h2.max_outbound_frame_size, len(body))
                    if reply.trickle:
                        n = min(n, reply.trickle[0])
                    if n <= 0:
                        break
                    self.h2.send_data(sid, bytes(body[:n]))
                    body = item[0] = body[n:]
                    if reply.trickle:
                        break
                if len(body):
                    if reply.trickle:
                        self.later(reply.trickle[1], self.push_flush)
                    continue
                self.out.pop(sid, None)
                self.streams.pop(sid, None)
                if reply.cut:
                    self.flush()
                    self.later(50, self.break_stream, sid, reply)
                    continue
                self.h2.end_stream(sid)
                if reply.close_after is not None:
                    self.flush()
                    self.later(20, self.kill, reply.close_after)
            except h2.exceptions.ProtocolError:
                self.out.pop(sid, None)

    def push_flush(self):
        self.push()
        self.flush()


class Server:
    """Listens on one port; TLS or plain; can stop listening for a while or for good and come back on its port."""

    def __init__(self, handler, host, port, ssl_context=None, stats=None, connect_rule=None):
        self.handler = handler
        self.host = host
        self.port = port
        self.ssl = ssl_context
        self.stats = stats if stats is not None else {}
        self.connect_rule = connect_rule
        self.open_connections = set()
        self.tls_errors = []
        self.sock = None
        self.tasks = set()

    def listen(self):
        if self.sock is not None:
            return
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((self.host, self.port))
        sock.listen(512)
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        self.sock = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self.accept)

    def unlisten(self, ms=None):
        """Connections are refused from now on; with ms only for that long."""
        if self.sock is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.sock.fileno())
        self.sock.close()
        self.sock = None
        if ms is not None:
            loop.call_later(ms / 1000, self.listen)

    def accept(self):
        for _ in range(64):
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, AttributeError):
                return
            except OSError:
                return
            sock.setblocking(False)
            self.stats["connections"] = self.stats.get("connections", 0) + 1
            do = self.connect_rule() if self.connect_rule else None
            if do and do.get("refuse"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
                continue
            task = asyncio.get_running_loop().create_task(self.adopt(sock, do or {}))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def protocol(self):
        return Detect(self.handler, self)

    async def adopt(self, sock, do):
        loop = asyncio.get_running_loop()
        if do.get("hang"):
            self.held = getattr(self, "held", []) + [sock]
            return
        if do.get("delay_ms"):
            await asyncio.sleep(do["delay_ms"] / 1000)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.connect_accepted_socket(self.protocol, sock, ssl=self.ssl,
                                               ssl_handshake_timeout=10 if self.ssl else None)
        except (OSError, asyncio.TimeoutError) as e:
            self.stats["tls_errors"] = self.stats.get("tls_errors", 0) + 1
            self.tls_errors = (self.tls_errors + [str(e)])[-20:]
            sock.close()

    def close_connections(self, how):
        n = 0
        for conn in list(self.open_connections):
            conn.kill(how)
            n += 1
        return n


class Detect(asyncio.Protocol):
    """Chooses HTTP/1.1 or HTTP/2 after the TLS handshake, by what ALPN agreed on."""

    def __init__(self, handler, server):
        self.handler = handler
        self.server = server

    def connection_made(self, transport):
        tls = transport.get_extra_info("ssl_object")
        two = tls is not None and tls.selected_alpn_protocol() == "h2"
        inner = (Http2 if two else Http1)(self.handler, self.server)
        transport.set_protocol(inner)
        inner.connection_made(transport)


__all__ = ["HAVE_H2", "Reply", "Server"]
