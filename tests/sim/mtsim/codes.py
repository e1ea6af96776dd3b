"""Status and error objects of the simulated API.

Only ids, names and groups are facts of the provider; the descriptions are the simulator's own words, because no
client may depend on them.
"""

GROUPS = {0: "ACCEPTED", 1: "PENDING", 2: "UNDELIVERABLE", 3: "DELIVERED", 4: "EXPIRED", 5: "REJECTED"}
ERROR_GROUPS = {0: "OK", 1: "HANDSET_ERRORS", 2: "USER_ERRORS", 3: "OPERATOR_ERRORS"}

# id: (group, name). 87 is used twice by the provider; the SMS family means SIGNALS_BLOCKED in group 5.
STATUS = {
    3: (1, "PENDING_WAITING_DELIVERY"),
    7: (1, "PENDING_ENROUTE"),
    26: (1, "PENDING_ACCEPTED"),
    4: (2, "UNDELIVERABLE_REJECTED_OPERATOR"),
    9: (2, "UNDELIVERABLE_NOT_DELIVERED"),
    31: (2, "UNDELIVERABLE_NOT_SENT"),
    2: (3, "DELIVERED_TO_OPERATOR"),
    5: (3, "DELIVERED_TO_HANDSET"),
    15: (4, "EXPIRED_EXPIRED"),
    29: (4, "EXPIRED_DLR_UNKNOWN"),
    6: (5, "REJECTED_NETWORK"),
    8: (5, "REJECTED_PREFIX_MISSING"),
    10: (5, "REJECTED_DND"),
    11: (5, "REJECTED_SOURCE"),
    12: (5, "REJECTED_NOT_ENOUGH_CREDITS"),
    13: (5, "REJECTED_SENDER"),
    14: (5, "REJECTED_DESTINATION_BLOCKLISTED"),
    17: (5, "REJECTED_PREPAID_PACKAGE_EXPIRED"),
    18: (5, "REJECTED_DESTINATION_NOT_REGISTERED"),
    19: (5, "REJECTED_ROUTE_NOT_AVAILABLE"),
    20: (5, "REJECTED_FLOODING_FILTER"),
    21: (5, "REJECTED_SYSTEM_ERROR"),
    23: (5, "REJECTED_DUPLICATE_MESSAGE_ID"),
    24: (5, "REJECTED_INVALID_UDH"),
    25: (5, "REJECTED_MESSAGE_TOO_LONG"),
    51: (5, "MISSING_TO"),
    52: (5, "REJECTED_DESTINATION"),
    87: (5, "SIGNALS_BLOCKED"),
    99: (5, "REJECTED"),
    100: (5, "UNDELIVERABLE_REJECTED_PLATFORM"),
}

# id: (group, name, permanent)
ERROR = {
    0: (0, "NO_ERROR", False),
    1: (1, "EC_UNKNOWN_SUBSCRIBER", True),
    5: (1, "EC_UNIDENTIFIED_SUBSCRIBER", False),
    6: (1, "EC_ABSENT_SUBSCRIBER_SM", False),
    27: (1, "EC_ABSENT_SUBSCRIBER", False),
    4101: (3, "EC_VALIDITY_EXPIRED", True),
}

PENDING_ACCEPTED = 26
DELIVERED_TO_HANDSET = 5
DUPLICATE = 23

# What a report says about the error when the script names none.
DEFAULT_ERROR = {4: 5, 9: 27, 31: 27, 15: 4101}


def status_obj(what):
    """Status object for an id, a name or an object given literally (the last passes through untouched)."""
    if isinstance(what, dict):
        return what
    if isinstance(what, str) and not what.isdigit():
        for sid, (_, name) in STATUS.items():
            if name == what:
                what = sid
                break
        else:
            raise ValueError("unknown status name %r" % what)
    what = int(what)
    group, name = STATUS.get(what, (2, "SIMULATED_UNKNOWN_%d" % what))
    return {
        "groupId": group,
        "groupName": GROUPS[group],
        "id": what,
        "name": name,
        "description": "Simulated: %s" % name.replace("_", " ").lower(),
    }


def error_obj(what):
    """Error object for an id or an object given literally."""
    if isinstance(what, dict):
        return what
    what = int(what)
    group, name, permanent = ERROR.get(what, (3, "EC_SIMULATED_%d" % what, False))
    return {
        "groupId": group,
        "groupName": ERROR_GROUPS[group],
        "id": what,
        "name": name,
        "description": "Simulated: %s" % name.replace("_", " ").lower(),
        "permanent": permanent,
    }
