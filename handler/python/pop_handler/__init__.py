"""For authors of handlers of Priority Operation Processing (POP), without dependencies.

    from pop_handler import fail, run_handler

    def handle(context):
        files = context.payload["files"]
        for index, file in enumerate(files):
            context.report(f"Reading {file}", 100 * index / len(files))
        return {"files": len(files)}

    run_handler(handle)

The handler's return value is the result of the Operation. What it raises fails the Operation. When it is asked to end
(SIGTERM, a cancelled Operation), `Stopped` is raised in the main thread, and no end is reported.
"""

import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback

from ._inputs import Operation, invalid_input, read_last_progress, read_payload
from ._reporters import EndNotDelivered, ResultTooLarge, choose_reporter

__all__ = ["Context", "HandlerFailure", "Operation", "Stopped", "fail", "run_handler"]
__version__ = "0.1.0"

STOPPED_CODE = 143


class HandlerFailure(Exception):
    """Raised by `fail`; becomes a diagnostic event of the Operation."""

    def __init__(self, message, code="handlerError", status_code=None, payload=None):
        super().__init__(message)
        self.code = code
        self.status_code = status_code
        self.payload = payload


class Stopped(BaseException):
    """The handler was asked to end: tidy up, and let it pass. No `except Exception` catches it."""


def fail(message, code="handlerError", status_code=None, payload=None):
    """Ends the Operation as failed with this message."""
    raise HandlerFailure(message, code, status_code, payload)


class Context:
    """What a handler is called with."""

    def __init__(self, payload, last_progress, operation, progress):
        #: JSON, references replaced; None when there is none.
        self.payload = payload
        #: The OperationProgress of the attempt before; its "params" are what that attempt reported last. None at first.
        self.last_progress = last_progress
        #: agenda_id, customer_id, operation_id, operation_name, progress_id, cid, attempt.
        self.operation = operation
        #: Set when the handler is asked to end.
        self.stopping = progress.stopping
        self._progress = progress

    @property
    def resumed(self):
        """The params that the attempt before reported last; {} when there are none."""
        params = (self.last_progress or {}).get("params")
        return params if isinstance(params, dict) else {}

    def report(self, message=None, percent_complete=None, params=None, diagnostic_events=None):
        """Tells how far it is, as often as you like. What is left out stays as it was. Any thread may call it."""
        return self._progress.report(message, percent_complete, params, diagnostic_events)

    def log(self, line):
        """A line of the Operation's log."""
        print(line, flush=True)


class _Progress:
    """Gathers reports and hands them on: seldom, the last one always, nothing after the end."""

    def __init__(self, reporter):
        self.stopping = threading.Event()
        self._reporter = reporter
        self._state = {"percentComplete": 0, "diagnosticEvents": []}
        self._changed = threading.Condition()
        self._is_new = False
        self._is_over = False
        self._thread = threading.Thread(target=self._hand_on, daemon=True)
        self._thread.start()

    def report(self, message, percent, params, events):
        with self._changed:
            if self._is_over:
                return False
            if message is not None:
                self._state["processingStateMessage"] = str(message)
            if percent is not None and percent == percent:
                self._state["percentComplete"] = max(self._state["percentComplete"], min(100, percent))
            if params is not None:
                # As it is now: the handler may go on changing it.
                self._state["params"] = json.loads(_json(params))
            for event in events or ():
                self._state["diagnosticEvents"] = self._state["diagnosticEvents"] + [json.loads(_json(event))]
            self._is_new = True
            self._changed.notify()
            return True

    def _hand_on(self):
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_new or self._is_over)
                if self._is_over and not self._is_new:
                    return
                self._is_new = False
                state = dict(self._state)
            try:
                reason = self._reporter.progress(dict(state, processingState="EXECUTING"))
                failures = 0
                if reason is not None and not self.stopping.is_set():
                    _stop(reason)
            except Exception as error:  # A report that fails never fails the handler.
                failures += 1
                print(f"Progress could not be reported ({failures}): {error}", file=sys.stderr, flush=True)
                with self._changed:
                    self._is_new = not self._is_over
            rest = self._reporter.least_seconds if failures == 0 else min(30, 2**failures)
            with self._changed:
                self._changed.wait_for(lambda: self._is_over, rest)

    def close(self, is_handed_on):
        """Takes nothing more. The thread ends, with what is new handed on, where nobody else tells it."""
        with self._changed:
            self._is_over = True
            self._is_new = self._is_new and is_handed_on
            self._changed.notify()
        self._thread.join(5)

    def end(self, outcome, result=None, has_result=False, event=None):
        self.close(is_handed_on=False)
        state = dict(self._state, processingState="COMPLETE", processingStateMessage=outcome)
        if event is not None:
            state["diagnosticEvents"] = state["diagnosticEvents"] + [event]
        if outcome == "succeeded":
            state["percentComplete"] = 100
        self._reporter.end(state, outcome, result if has_result else None)


def run_handler(handle):
    """Calls the handler and ends the process: 0 with its result, 1 with diagnostics, 143 when it was asked to end.

    The handler takes the context; one without parameters is called without it.
    """
    progress = None
    try:
        progress = _Progress(choose_reporter(os.environ))
        _listen(progress)
        payload = invalid_input("payload", lambda: read_payload(sys.argv[1:], os.environ))
        last = invalid_input("last progress", lambda: read_last_progress(sys.argv[1:], os.environ))
        context = Context(payload, last, Operation(os.environ), progress)
        result = handle(context) if inspect.signature(handle).parameters else handle()
        _ignore_signals()
        if progress.stopping.is_set() and result is None:
            raise Stopped(_reason)
        text = None if result is None else _json(result)
        progress.end("succeeded", text, has_result=text is not None)
        _exit(0)
    except Stopped as stopped:
        _ignore_signals()
        print(stopped, file=sys.stderr, flush=True)
        progress.close(is_handed_on=True)
        _exit(STOPPED_CODE)
    except EndNotDelivered as error:
        print(error, file=sys.stderr, flush=True)
        _exit(1)
    except BaseException as error:
        _ignore_signals()
        _end_as_failed(progress, error)


def _end_as_failed(progress, error):
    traceback.print_exc()
    if progress is not None and progress.stopping.is_set():
        progress.report(None, None, None, [_event_of(error)])
        progress.close(is_handed_on=True)
        _exit(STOPPED_CODE)
    try:
        if progress is not None:
            progress.end("failed", event=_event_of(error))
    except Exception as undelivered:
        print(undelivered, file=sys.stderr, flush=True)
    _exit(1)


def _event_of(error):
    event = {
        "message": str(error) or type(error).__name__,
        "code": getattr(error, "code", None) or "handlerError",
        "time": int(time.time() * 1000),
        "stackTrace": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    if not isinstance(event["code"], str):  # SystemExit and others have a number of that name.
        event["code"] = "handlerError"
    if isinstance(error, (HandlerFailure, ResultTooLarge)):
        if getattr(error, "status_code", None) is not None:
            event["statusCode"] = error.status_code
        if getattr(error, "payload", None) is not None:
            event["payload"] = json.loads(_json(error.payload))
    return event


_reason = "The handler was asked to end."


def _listen(progress):
    def on_signal(number, _frame):
        if not progress.stopping.is_set():
            progress.stopping.set()
            raise Stopped(_reason)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)


def _ignore_signals():
    """The end is under way; nothing may come between."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _stop(reason):
    """From the thread of the reports: the main thread hears it as a signal, also where it waits for something."""
    global _reason
    _reason = reason
    os.kill(os.getpid(), signal.SIGTERM)


def _json(value):
    """As every reader takes it: no NaN, which is no JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _exit(code):
    """Whatever threads the handler left must not keep the Operation running."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
