"""Ways for progress and the end of a handler to leave it: files, HTTP with the token of the launch, lines of output."""

import json
import os
import random
import sys
import time
import urllib.error
import urllib.request

MOST_MESSAGE = 4096
MOST_EVENTS = 1000
MOST_EVENT_TEXT = 65536
MOST_CODE = 200


class EndNotDelivered(Exception):
    def __init__(self, why):
        super().__init__(f"The end of the handler could not be reported: {why}")


class ResultTooLarge(Exception):
    code = "resultTooLarge"

    def __init__(self, size, most):
        super().__init__(
            f"The result has {size} bytes; this launch takes at most {most} (POP_RESULT_FILE_BYTES) "
            "and has no token to report a larger one with."
        )


def choose_reporter(environment):
    """POP_REPORT_BY, else a progress file, else a token, else lines of output."""
    way = environment.get("POP_REPORT_BY") or (
        "file" if environment.get("POP_PROGRESS_FILE") else "http" if environment.get("POP_TOKEN_FILE") else "log"
    )
    if way not in ("file", "http", "log"):
        raise ValueError(f'The handler cannot report by "{way}": this module reports by file, http or log.')
    return {"file": FileReporter, "http": HttpReporter, "log": LogReporter}[way](environment)


class ResultFile:
    """Where the result goes."""

    def __init__(self, environment):
        self.path = environment.get("POP_RESULT_FILE") or None
        most = environment.get("POP_RESULT_FILE_BYTES")
        self.most = int(most) if most else None

    def write(self, text):
        """Whether the file takes it. With a limit it is a mounted file, over which nothing can be renamed."""
        if self.path is None:
            return False
        if self.most is None:
            _write_whole(self.path, text)
            return True
        if len(text.encode()) > self.most:
            return False
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        return True


class LogReporter:
    least_seconds = 0.25

    def __init__(self, environment):
        self._result_file = ResultFile(environment)

    def progress(self, state):
        print(f"EXECUTING {state['percentComplete']}% {state.get('processingStateMessage', '')}", flush=True)

    def end(self, state, outcome, result):
        if result is not None and not self._result_file.write(result):
            if self._result_file.most is not None:
                raise ResultTooLarge(len(result.encode()), self._result_file.most)
            print(result)
        print(f"COMPLETE {state['percentComplete']}% {outcome}", flush=True)


class FileReporter:
    least_seconds = 0.25

    def __init__(self, environment):
        self._path = environment["POP_PROGRESS_FILE"]
        self._result_file = ResultFile(environment)
        self._larger = HttpReporter(environment) if environment.get("POP_TOKEN_FILE") else None

    def progress(self, state):
        _write_whole(self._path, json.dumps(state, ensure_ascii=False))

    def end(self, state, outcome, result):
        if result is not None and not self._result_file.write(result):
            if self._larger is not None:
                self._larger.end(state, outcome, result)
            elif self._result_file.most is not None:
                raise ResultTooLarge(len(result.encode()), self._result_file.most)
            else:
                print(result, flush=True)
        self.progress(state)


class _NotAnswered(Exception):
    def __init__(self, message, is_passing):
        super().__init__(message)
        self.is_passing = is_passing


class HttpReporter:
    """The token is read anew for each report, since it may be rotated."""

    least_seconds = 1
    _reasons = {
        "cancelled": "The Operation was cancelled.",
        "over": "This launch is over: the Operation has ended, or another launch took its place.",
    }

    def __init__(self, environment):
        self._url = environment["POP_URL"]
        self._token_file = environment["POP_TOKEN_FILE"]
        self._launch = json.loads(environment["POP_LAUNCH"])
        self._result_file = ResultFile(environment)
        self._end_seconds = float(environment.get("POP_END_SECONDS") or 120)

    def progress(self, state):
        """Why the handler is to stop; None when it may go on."""
        return self._reasons.get(self._post("reportProgress", _fields_of(state))["verdict"])

    def end(self, state, outcome, result):
        is_in_file = result is not None and self._result_file.write(result)
        report = dict(_fields_of(state), outcome=outcome)
        for name in ("message", "percentComplete"):
            report.pop(name, None)
        if result is not None:
            report["result"] = result
        try:
            verdict = self._post_until_taken(report)
        except _NotAnswered as error:
            if outcome == "failed" or result is None or is_in_file:
                print(f"Nobody took the report of the end; the exit code tells it. {error}", file=sys.stderr, flush=True)
                return
            raise EndNotDelivered(error) from error
        if verdict["verdict"] == "refused":
            raise EndNotDelivered(verdict.get("message", "it was refused"))

    def _post_until_taken(self, report):
        last, wait = time.monotonic() + self._end_seconds, 0.25
        while True:
            try:
                return self._post("finishOperation", report)
            except _NotAnswered as error:
                rest = wait * (0.5 + random.random() / 2)
                if not error.is_passing:
                    raise
                if time.monotonic() + rest > last:
                    raise _NotAnswered(f"not taken in {self._end_seconds:g} s. {error}", False) from error
                time.sleep(rest)
                wait = min(10, wait * 2)

    def _post(self, operation, report):
        address = f"{self._url}/resourcepool/service/{operation}"
        try:
            with open(self._token_file, encoding="utf-8") as file:
                token = file.read().strip()
            body = json.dumps({"items": [dict(self._launch, **report)]}).encode()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=15) as response:
                return json.load(response)["items"][0]
        except urllib.error.HTTPError as error:
            said = error.read(500).decode("utf-8", "replace")
            is_passing = error.code >= 500 or error.code in (401, 408, 425, 429)
            raise _NotAnswered(f"{operation} is answered with {error.code}: {said}", is_passing) from error
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise _NotAnswered(f"{address} cannot be reached: {error}", True) from error


def _fields_of(state):
    """A report in the words of the ResourcePool service, within its limits."""
    fields = {"percentComplete": state["percentComplete"]}
    if "processingStateMessage" in state:
        fields["message"] = _text(state["processingStateMessage"], MOST_MESSAGE)
    if "params" in state:
        fields["params"] = state["params"]
    if state["diagnosticEvents"]:
        fields["diagnosticEvents"] = [_event(event) for event in state["diagnosticEvents"][-MOST_EVENTS:]]
    return fields


def _event(event):
    most = {"message": MOST_EVENT_TEXT, "stackTrace": MOST_EVENT_TEXT, "code": MOST_CODE}
    return {name: _text(value, most[name]) if name in most else value for name, value in event.items()}


def _text(value, most):
    return str(value).replace("\0", "\ufffd")[:most].encode("utf-8", "replace").decode()


def _write_whole(path, text):
    """Readers see the old content or the new, never a part."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
