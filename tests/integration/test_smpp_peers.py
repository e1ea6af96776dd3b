"""SMPP against centres that we did not write, over TLS, and the wire as tshark reads it."""

import os

import pytest

from lib import paths, smpp_peers
from lib.wait import wait_until
from mtsim import certs

pytestmark = pytest.mark.db("sqlite")

UNBIND_RESP = 0x80000006
KOREAN = "안녕하세요, 주문하신 상품이 도착했습니다. "
TEXTS = [
    "plain GSM text",
    "€uro {braces} [brackets] ~ ^ | \\ é ñ Ü",
    "짧은 한글 메시지",
    "emoji 😀👍🏽 with surrogates",
    "long Latin " * 30,
    KOREAN * 12,
    "😀" * 90,
]


@pytest.fixture
def cert(folder):
    """Files of a server that the published authority has signed."""
    where = os.path.join(folder, "certs")
    certs.make(where)
    return lambda name: os.path.join(where, name)


def channel(folder, port, **extra):
    password = os.path.join(folder, "smpp.pass")
    paths.write_file(password, "secret08\n")
    return dict({"name": "smsc", "driver": "smpp", "hosts": ["127.0.0.1:%d" % port], "system_id": "shop",
                 "password_file": password, "window": 20}, **extra)


def have(make, *args):
    try:
        return make(*args)
    except smpp_peers.Unavailable as e:
        if os.environ.get("MTRELAY_TEST_STRICT"):
            raise
        pytest.skip(str(e))


def send_all(database, agent, texts, **options):
    a = agent(channels=[options], extra={"routes": [{"type": ["SMS"], "channels": ["smsc"]}]})
    ids = [database.insert("010-3000-%04d" % i, text, sender="0212345678") for i, text in enumerate(texts)]
    for one in ids:
        row = database.wait_result(one, 40, fail=a.dead_text)
        assert (row["result_class"], row["result_code"], row["sent_type"], row["channel"]) == ("OK", "0000", "SMS", "smsc"), row
    return a, ids


def whole_texts(messages):
    """Recipient -> text, parts put together; each part must have come once."""
    parts = {}
    for m in messages:
        if m["udh"]:
            header = bytes.fromhex(m["udh"][0])
            assert header[:2] == b"\x00\x03"
            total, no = header[3], header[4]
        else:
            total, no = m.get("total") or 1, m.get("part") or 1
        mine = parts.setdefault(m["to"], {})
        assert no not in mine, "part %d to %s came twice" % (no, m["to"])
        mine[no] = m["text"]
        assert max(mine) <= total
    return {to: "".join(mine[n] for n in sorted(mine)) for to, mine in parts.items()}


@pytest.mark.parametrize("split", ["payload", "udh", "sar"])
def test_npm_smpp_over_tls(database, agent, folder, cert, split):
    centre = have(smpp_peers.npm_centre, folder, cert("good.pem"), cert("good.key"))
    a, _ = send_all(database, agent, TEXTS, **channel(folder, centre.port, ca_file=cert("ca.pem"), split=split, id_submit="hex",
                                                      id_receipt="decimal", id_tlv="hex"))
    got = smpp_peers.npm_messages(centre)
    assert whole_texts(got) == {"82103000%04d" % i: text for i, text in enumerate(TEXTS)}
    assert all(m["malformed"] == 0 and m["from"] in ("0212345678", "212345678") for m in got)
    a.stop()
    assert not centre.proc.dead_text()


def test_the_wire_as_tshark_reads_it(database, agent, folder):
    centre = have(smpp_peers.npm_centre, folder)
    shark = have(smpp_peers.Tshark, folder, centre.port)
    a, _ = send_all(database, agent, TEXTS + ["one more"] * 50,
                    **channel(folder, centre.port, tls="off", split="sar", id_submit="hex", id_receipt="decimal", id_tlv="hex",
                              user_reference=True, tlvs=["0x1400=text:SHOP", "0x1402=int2:7"], enquire_link="100ms"))
    a.stop()
    commands, bad = shark.pdus(UNBIND_RESP)
    assert not bad
    assert commands.count(0x9) == commands.count(0x80000009) == 1
    assert commands.count(0x4) == commands.count(0x80000004) == len(smpp_peers.npm_messages(centre))
    assert commands.count(0x5) == commands.count(0x80000005) == commands.count(0x4)
    assert commands.count(0x6) == 1


def test_net_smpp_behind_stunnel(database, agent, folder, cert):
    centre = have(smpp_peers.perl_centre, folder)
    proxy, port = have(smpp_peers.stunnel, folder, centre.port, cert("good.pem"), cert("good.key"))
    texts = TEXTS[:4] + ["message %d" % i for i in range(100)]
    a, _ = send_all(database, agent, texts, **channel(folder, port, ca_file=cert("ca.pem"), id_strip_zeros=True,
                                                      charsets=["latin1", "ucs2"]))
    got = {}
    for line in centre.lines():
        _, to, _, coding, octets = line.split()
        assert to not in got
        got[to] = bytes.fromhex(octets).decode({3: "latin-1", 8: "utf-16-be"}[int(coding)])
    assert got == {"82103000%04d" % i: text for i, text in enumerate(texts)}
    a.stop()
    proxy.stop()


def test_a_wrong_password_is_named(database, agent, folder, cert):
    centre = have(smpp_peers.npm_centre, folder, cert("good.pem"), cert("good.key"))
    options = channel(folder, centre.port, ca_file=cert("ca.pem"))
    paths.write_file(options["password_file"], "wrong\n")
    a = agent(channels=[options], extra={"routes": [{"type": ["SMS"], "channels": ["smsc"]}]})
    wait_until(lambda: "refuses the bind of system_id shop with RINVPASWD" in a.log(), 10, "the sentence", fail=a.dead_text)
    assert "state=REFUSED" in a.log()
    assert centre.lines() == []
