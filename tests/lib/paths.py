"""Where things are: the tree, the build, caches, temporary folders."""

import atexit
import os
import shutil
import socket
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SRCDIR = os.path.abspath(os.environ.get("MTRELAY_SRCDIR") or os.path.join(HERE, "..", ".."))
BUILDDIR = os.path.abspath(os.environ.get("MTRELAY_BUILDDIR") or SRCDIR)
_made = set()
atexit.register(lambda: [remove_dir(p) for p in list(_made)])
SIM = os.path.join(SRCDIR, "tests", "sim", "mtsim.py")


def program(name):
    """Full path of a program of the build (mtrelayd, mtrelayctl)."""
    for folder in (BUILDDIR, os.path.join(BUILDDIR, "agent")):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise FileNotFoundError("%s is not built below %s (set MTRELAY_BUILDDIR)" % (name, BUILDDIR))


def cache_dir():
    path = os.environ.get("MTRELAY_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "mtrelay-tests")
    os.makedirs(path, exist_ok=True)
    return path


def specs_dir():
    """Folder of the published API documents, or None."""
    path = os.environ.get("MTRELAY_SPECS") or os.path.join(SRCDIR, "..", "shared", "specs")
    return os.path.abspath(path) if os.path.isdir(path) else None


def temp_dir(tag):
    """A short path that other users may pass through: sockets need the one, a server under its own user the other.

    Removed at the latest when this interpreter ends; keep_dir() leaves it behind."""
    path = tempfile.mkdtemp(prefix="mtr-%s-" % tag, dir=os.environ.get("MTRELAY_TMP") or None)
    os.chmod(path, 0o755)
    _made.add(path)
    return path


def keep_dir(path):
    _made.discard(path)


def remove_dir(path):
    _made.discard(path)
    if path and not os.environ.get("MTRELAY_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


def free_port():
    """A port of the loopback address that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_file(path, text, mode=0o600):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path
