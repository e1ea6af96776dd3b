"""Renders the agent's configuration (libconfig) from Python values, and makes the usual one of the tests.

test_conf() is the only place that knows which options tests set; agent/conf.def is the list of all options.
"""

import copy
import os
import pwd

PYTHON_LIST = (list, tuple)


def _value(v, depth):
    pad = "\t" * depth
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return "%dL" % v if abs(v) > 0x7FFFFFFF else str(v)
    if isinstance(v, float):
        return repr(v)
    if isinstance(v, dict):
        inner = "".join("%s\t%s = %s;\n" % (pad, k, _value(x, depth + 1)) for k, x in v.items() if x is not None)
        return "{\n%s%s}" % (inner, pad)
    if isinstance(v, PYTHON_LIST):
        if v and isinstance(v[0], dict):
            return "( %s )" % (",\n%s  " % pad).join(_value(x, depth) for x in v)
        return "[ %s ]" % ", ".join(_value(x, depth) for x in v)
    if isinstance(v, Raw):
        return v.text
    text = str(v).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"%s"' % text


class Raw:
    """Text that goes into the file as it is: for tests of bad configurations."""

    def __init__(self, text):
        self.text = text


def render(config):
    """libconfig text of nested dictionaries; a value of None is left out."""
    out = []
    for section, value in config.items():
        if value is None:
            continue
        out.append("%s = %s;\n" % (section, _value(value, 0)))
    return "".join(out)


def merge(base, extra):
    """base with extra laid over it: dictionaries are merged, everything else replaced, None removes."""
    out = copy.copy(base)
    for k, v in (extra or {}).items():
        if isinstance(v, dict) and isinstance(out.get(k), dict):
            out[k] = merge(out[k], v)
        else:
            out[k] = v
    return out


# Short enough for tests, and still in the right relation to each other.
TIMES = {
    "heartbeat": "200ms", "agent_lease": "2s", "write_deadline": "3s", "row_lease": "20s", "care_pass": "200ms",
    "idle_poll": "20ms", "quiet_time": "1s", "unknown_look": "300ms", "walk": "300ms", "drain": "10s",
}
CHANNEL = {"connect_timeout": "3s", "answer_timeout": "1s", "report_poll": "50ms"}
# report_poll is of the channels that ask for reports.
CHANNELS = {"null": {}, "smpp": {k: v for k, v in CHANNEL.items() if k != "report_poll"}}


def test_conf(folder, database, channels=(), agent_id="test-1", routes=None):
    """The usual configuration: everything in folder, short times, every SMS and LMS to the channels given."""
    channels = [merge(CHANNELS.get(c.get("driver"), CHANNEL), c) for c in channels]
    if not channels:
        channels = [{"name": "null", "driver": "null"}]
    names = [c["name"] for c in channels]
    config = {
        "agent": {"id": agent_id, "state_dir": os.path.join(folder, "state"),
                  "control_socket": os.path.join(folder, "control.sock"),
                  "pid_file": os.path.join(folder, "mtrelayd.pid")},
        "database": dict(database),
        "channels": channels,
        "routes": routes if routes is not None else [{"type": ["SMS"], "channels": names},
                                                     {"type": ["LMS"], "channels": names}],
        "times": dict(TIMES),
        "log": {"level": "debug"},
    }
    if os.geteuid() == 0:
        # The suite may run as root in a container; the agent then stays who it is.
        config["agent"]["user"] = pwd.getpwuid(0).pw_name
    return config
