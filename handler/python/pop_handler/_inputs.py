"""What a handler is given: argument file, environment, compressed environment, named file."""

import base64
import json
import zlib


class InvalidInput(Exception):
    code = "invalidInput"


class Operation:
    """The ids of the work; one that is not told is empty."""

    def __init__(self, environment):
        self.agenda_id = environment.get("AGENDA_ID", "")
        self.customer_id = environment.get("CUSTOMER_ID", "")
        self.operation_id = environment.get("OPERATION_ID", "")
        self.operation_name = environment.get("OPERATION_NAME", "")
        self.progress_id = environment.get("PROGRESS_ID", "")
        self.cid = environment.get("CID", "")
        #: 1 at first, more when the Operation runs again.
        self.attempt = int(environment.get("POP_ATTEMPT") or 1)


def read_payload(arguments, environment):
    text = _first(
        lambda: _read(_argument(arguments, "-payloadFile")),
        lambda: environment.get("PAYLOAD") or None,
        lambda: _decompress(environment),
        lambda: _read_parts(environment),
    )
    return None if text is None or text.strip() == "" else json.loads(text)


def read_last_progress(arguments, environment):
    text = _first(
        lambda: _read(_argument(arguments, "-lastProgressFile")),
        lambda: environment.get("LAST_PROGRESS") or None,
        lambda: _read(environment.get("POP_LAST_PROGRESS_FILE")),
    )
    value = None if text is None or text.strip() == "" else json.loads(text)
    return value if isinstance(value, dict) else None


def invalid_input(what, read):
    try:
        return read()
    except (OSError, ValueError, zlib.error) as error:
        raise InvalidInput(f"The {what} cannot be read: {error}") from error


def _first(*ways):
    for way in ways:
        value = way()
        if value is not None:
            return value
    return None


def _argument(arguments, name):
    return arguments[arguments.index(name) + 1] if name in arguments[:-1] else None


def _read(path):
    if not path:
        return None
    with open(path, encoding="utf-8") as file:
        return file.read()


def _read_parts(environment):
    """The named file; in a Pod a large payload is several, cut between bytes, and the others stand beside it."""
    path = environment.get("POP_PAYLOAD_FILE")
    if not path:
        return None
    parts = b""
    for part in [path] + [f"{path}.{n}" for n in range(1, int(environment.get("POP_PAYLOAD_PARTS") or 1))]:
        with open(part, "rb") as file:
            parts += file.read()
    return parts.decode("utf-8")


def _decompress(environment):
    """POP's segments: zlib and base64, cut in pieces that one variable can hold."""
    if environment.get("POP_PAYLOAD_TYPE") != "compressedEnvVar":
        return None
    segments = []
    while (segment := environment.get(f"POP_COMPRESSED_PAYLOAD_{len(segments)}")) is not None:
        segments.append(segment)
    return zlib.decompress(base64.b64decode("".join(segments))).decode("utf-8") if segments else None
