"""Certificates of the simulator: one published CA, one hidden CA, server certificates of every kind, client pairs.

Files made in the folder: ca.pem (give this one to the client), KIND.pem + KIND.key for KIND in KINDS, client.pem +
client.key (issued by the published CA), client-bad.pem + client-bad.key (issued by the hidden one).  bad() makes more that nobody
should trust.
"""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KINDS = ("good", "expired", "notyet", "selfsigned", "unknownca", "wronghost")

DAY = datetime.timedelta(days=1)


def _key():
    return ec.generate_private_key(ec.SECP256R1())


def _name(cn):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "mtsim"),
                      x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def _write(path, data, mode=0o644):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as f:
        f.write(data)


def _pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def _keypem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def _build(cn, key, issuer_cn, issuer_key, begin, end, san=None, ca=False, client=False, digest=None):
    b = (x509.CertificateBuilder().subject_name(_name(cn)).issuer_name(_name(issuer_cn))
         .public_key(key.public_key()).serial_number(x509.random_serial_number())
         .not_valid_before(begin).not_valid_after(end)
         .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
         .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
         .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
                        critical=False))
    b = b.add_extension(x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False),
        critical=True)
    if san:
        b = b.add_extension(x509.SubjectAlternativeName(san), critical=False)
    if not ca:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        b = b.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return b.sign(issuer_key, digest or hashes.SHA256())


def bad(folder):
    """More server certificates under the authority bad-ca.pem: kind -> path of KIND.pem (with its chain; KIND.key beside it)."""
    os.makedirs(folder, exist_ok=True)
    now = datetime.datetime.utcnow()
    begin, end = now - DAY, now + 30 * DAY
    san = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    ca_key, middle_key, leaf_key, other_key = _key(), _key(), _key(), _key()
    weak_key = rsa.generate_private_key(65537, 1024)
    ca, middle = "mtsim second CA", "mtsim intermediate CA"

    def intermediate(first, last):
        return _build(middle, middle_key, ca, ca_key, first, last, ca=True)

    def leaf(issuer, issuer_key, **more):
        more = dict({"key": leaf_key, "first": begin, "last": end}, **more)
        return _build("localhost", more.pop("key"), issuer, issuer_key, more.pop("first"), more.pop("last"), san=san, **more)

    other = leaf(ca, ca_key, key=other_key)
    made = {
        "fine": [leaf(ca, ca_key)],
        "fine-chain": [leaf(middle, middle_key), intermediate(begin, end)],
        "past": [leaf(ca, ca_key, first=now - 10 * DAY, last=now - DAY)],
        "future": [leaf(ca, ca_key, first=now + 5 * DAY)],
        "self": [leaf("localhost", leaf_key)],
        "stranger": [leaf("mtsim hidden CA", other_key)],
        "no-intermediate": [leaf(middle, middle_key)],
        "old-intermediate": [leaf(middle, middle_key), intermediate(now - 10 * DAY, now - DAY)],
        "sha1": [leaf(ca, ca_key, digest=hashes.SHA1())],
        "rsa1024": [leaf(ca, ca_key, key=weak_key)],
        "client-only": [leaf(ca, ca_key, client=True)],
        "signed-by-a-server": [leaf("localhost", other_key), other],
        "other-name": [_build("localhost", leaf_key, ca, ca_key, begin, end, san=[x509.DNSName("other.example.invalid")])],
    }
    _write(os.path.join(folder, "bad-ca.pem"), _pem(_build(ca, ca_key, ca, ca_key, begin, end, ca=True)))
    paths = {}
    for kind, chain in made.items():
        paths[kind] = os.path.join(folder, kind + ".pem")
        _write(paths[kind], b"".join(_pem(c) for c in chain))
        _write(os.path.join(folder, kind + ".key"), _keypem(weak_key if kind == "rsa1024" else leaf_key), 0o600)
    return paths


def make(folder):
    """Makes all files unless they are there; returns the folder."""
    os.makedirs(folder, exist_ok=True)
    done = os.path.join(folder, ".complete")
    if os.path.exists(done):
        return folder
    now = datetime.datetime.utcnow()
    begin, end = now - DAY, now + 30 * DAY
    good_san = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("::1"))]
    wrong_san = [x509.DNSName("other.example.invalid"), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))]
    ca_key, hidden_key = _key(), _key()
    ca = _build("mtsim test CA", ca_key, "mtsim test CA", ca_key, begin, end, ca=True)
    _write(os.path.join(folder, "ca.pem"), _pem(ca))
    issue = {
        "good": (ca_key, "mtsim test CA", begin, end, good_san),
        "expired": (ca_key, "mtsim test CA", now - 10 * DAY, now - DAY, good_san),
        "notyet": (ca_key, "mtsim test CA", now + 5 * DAY, end, good_san),
        "unknownca": (hidden_key, "mtsim hidden CA", begin, end, good_san),
        "wronghost": (ca_key, "mtsim test CA", begin, end, wrong_san),
    }
    for kind in KINDS:
        key = _key()
        if kind == "selfsigned":
            cert = _build("localhost", key, "localhost", key, begin, end, san=good_san)
        else:
            issuer_key, issuer, nb, na, san = issue[kind]
            cert = _build("localhost", key, issuer, issuer_key, nb, na, san=san)
        _write(os.path.join(folder, kind + ".pem"), _pem(cert))
        _write(os.path.join(folder, kind + ".key"), _keypem(key), 0o600)
    for name, issuer_key, issuer in (("client", ca_key, "mtsim test CA"),
                                     ("client-bad", hidden_key, "mtsim hidden CA")):
        key = _key()
        cert = _build("mtrelay test client", key, issuer, issuer_key, begin, end, client=True)
        _write(os.path.join(folder, name + ".pem"), _pem(cert))
        _write(os.path.join(folder, name + ".key"), _keypem(key), 0o600)
    _write(done, b"")
    return folder
