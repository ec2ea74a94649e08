"""Frames and messages of proto/schema, as far as a coordinator needs them to talk with a gate.

Written by hand so that the gate is held against the schema and not against its own generated code.
"""
import struct

OPEN, CLOSED, PINNED = 1, 2, 3
ROLE_GATE = 2

HELLO, WELCOME, HEARTBEAT, GOODBYE, GATE_ASK, GATE_REPORT = 1, 2, 3, 4, 20, 21

# field number -> (name, kind); a kind in brackets is repeated, a dict is a message
TRAFFIC = {1: ("name", str), 2: ("in_flight", int), 3: ("websockets", int), 4: ("idle", int)}
BYPASS = {1: ("key", bytes), 2: ("node", str), 3: ("shut", int)}
SCHEMA = {
    HELLO: {1: ("major", int), 2: ("minor", int), 3: ("role", int), 4: ("name", str),
            5: ("program", str), 6: ("instance", str), 7: ("epoch", int), 8: ("seq", int)},
    WELCOME: {1: ("major", int), 2: ("minor", int), 3: ("cluster", str), 4: ("epoch", int),
              5: ("heartbeat_ms", int), 6: ("lost_ms", int)},
    HEARTBEAT: {1: ("count", int)},
    GOODBYE: {1: ("reason", str)},
    GATE_ASK: {1: ("epoch", int), 2: ("seq", int), 3: ("mode", int), 4: ("pinned", str),
               5: ("drained", [str]), 6: ("cut_after_ms", int), 7: ("message", str),
               8: ("step", str), 9: ("command", str), 10: ("back_at", int), 11: ("run", int),
               12: ("refresh", int), 13: ("bypass", BYPASS), 18: ("phase", int),
               19: ("estimated", int), 120: ("hole", int)},
    GATE_REPORT: {1: ("epoch", int), 2: ("seq", int), 3: ("mode", int), 4: ("pinned", str),
                  5: ("drained", [str]), 6: ("nodes", [TRAFFIC]), 7: ("in_flight", int),
                  8: ("websockets", int), 9: ("workers", int), 10: ("passed", int),
                  11: ("refused", int), 12: ("error", str), 13: ("tabs", int), 15: ("bypassed", int),
                  16: ("held", int),
                  18: ("generations", int), 19: ("idle", int), 20: ("override", int),
                  21: ("override_at", int), 22: ("override_by", str), 23: ("waiting", int)},
}


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def encode(body, **values):
    return encode_fields(SCHEMA[body], values)


def encode_fields(schema, values):
    names = {name: (number, kind) for number, (name, kind) in schema.items()}
    out = b""
    for name, value in values.items():
        number, kind = names[name]
        for item in value if isinstance(kind, list) else [value]:
            if isinstance(item, dict):
                item = encode_fields(kind, item)
            if item:
                out += field(number, item)
    return out


def envelope(body, **values):
    return field(body, encode(body, **values))


def frame(body, **values):
    data = envelope(body, **values)
    return struct.pack(">I", len(data)) + data


def read_varint(data, at):
    shift = value = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at


def decode(schema, data):
    values = {name: [] if isinstance(kind, list) else {int: 0, str: ""}[kind]
              for name, kind in schema.values()}
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = read_varint(data, at)
        elif wire_type == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {wire_type}")
        name, kind = schema[number]
        one = kind[0] if isinstance(kind, list) else kind
        if isinstance(one, dict):
            value = decode(one, value)
        elif one is str:
            value = value.decode()
        if isinstance(kind, list):
            values[name].append(value)
        else:
            values[name] = value
    return values


def decode_envelope(data):
    key, at = read_varint(data, 0)
    size, at = read_varint(data, at)
    if at + size != len(data):
        raise ValueError("an envelope has one body")
    return key >> 3, decode(SCHEMA[key >> 3], data[at:])
