"""What is written about the running server, and what never is.

One JSON object per line. Content, credentials, tokens and codes stay out by construction, not by care at each call:
fields with a telling name are blotted out, links lose their secret part, an exception is shown by its type and its
place in the code without its text (which may quote what it tripped over), and lines of other people's libraries lose
their arguments.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import structlog

from cryptnsend.core.errors import CryptnSendError

OURS = "cryptnsend"
EXACT = 1 << 53  # from here on, what reads JSON numbers as floating point rounds them: ids become text
BLOTTED = "[withheld]"

# Names of fields that carry what must not be written, whatever the value.
TELLING = re.compile(
    r"passw|passphrase|secret|token|cookie|credential|authorization|seed|octets|content|body|subject|header|link|query"
    r"|filename|file_name|(^|_)(code|codes|key|keys|path|url|claims|ticket|text|k)$",
    re.IGNORECASE,
)
# A path below one of our link pages, a reply or bounce address, or a long run of key-like characters.
SECRET_SHAPES = (
    (re.compile(r"(https?://[^/\s\"]+)/[^\s\"]*"), rf"\1/{BLOTTED}"),
    (re.compile(r"(?<![\w.+-])([rbu])([+-])[a-z0-9]{16,}(?=@)"), rf"\1\2{BLOTTED}"),
    (re.compile(r"\b[A-Za-z0-9_-]{32,}\b"), BLOTTED),
)
SHORTEST_KEY = 32  # characters, as in the last shape
# Libraries write what they were given into their lines, from commands to message content (aiosmtpd: DATA at DEBUG).
LIBRARY_WORDS = re.compile(r"[\"'`<({\[:=%\n]")


def configure(level: str = "info", file: str = "", role: str = "") -> None:
    """
    Send all log lines of this process, ours and the libraries', as JSON to *file*, or to standard output.

    *role* names the process in every line. Calling it again replaces the earlier arrangement.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _take_exception,
        _name_role(role),
        _Stamp(),
        _show_exception,
        redact,
    ]
    if file:
        Path(file).touch(mode=0o600)
    handler = logging.FileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stdout)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, _Writer(handler)],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _logger, _method, line: _as_json(line),
            ],
        )
    )
    handler.addFilter(_forget_arguments)
    root = logging.getLogger()
    for earlier in list(root.handlers):
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(level.upper())
    logging.raiseExceptions = False  # or a line that cannot be written is shown with its arguments on standard error
    logging.captureWarnings(True)
    for loud in ("mail", "mail.log", "mail.debug", "asyncio", "werkzeug", "_granian", "granian.access"):
        logging.getLogger(loud).setLevel(logging.WARNING)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def logger(name: str) -> Any:
    """Return the logger of one of our modules; call it with `__name__`. Events are words, facts are keywords."""
    return structlog.stdlib.get_logger(name)


class _Writer:
    """
    The last step of our own lines: written at once, with the handler's lock.

    The standard library would look up the caller and make a record of it first, which costs more than all the rest of
    a line, and there is a line for every message.
    """

    def __init__(self, handler: logging.StreamHandler[Any]):
        self._handler, self.lost = handler, 0

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> str:
        text = _as_json(line) + "\n"
        handler = self._handler
        try:
            with handler.lock or threading.RLock():
                handler.stream.write(text)
                handler.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed, as by a later `configure`
            # A full disk or a reader that went away loses this line. It must not lose the mail that the line is about.
            self.lost += 1
        raise structlog.DropEvent


class _Stamp:
    """Adds the time, UTC with microseconds. Seconds are written out once each."""

    def __init__(self) -> None:
        self._second = (-1, "")

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
        known, text = self._second
        if known != seconds:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
            self._second = seconds, text
        line["at"] = f"{text}.{micros:06}Z"
        return line


def _as_json(line: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(line).decode()
    except (TypeError, ValueError, OverflowError):  # lone surrogates, integers beyond 64 bits
        return json.dumps(line, default=lambda value: type(value).__name__)


def redact(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blot out every field whose name tells that it is secret, and every secret shape inside the others."""
    for name, value in line.items():
        if name not in ("event", "level", "logger", "at", "role", "exception") and not name.startswith("_"):
            line[name] = BLOTTED if _is_telling(name) else _clean(value)
        elif isinstance(value, str) and name == "event":
            line[name] = _clean(value)
    return line


@lru_cache(maxsize=1024)
def _is_telling(name: str) -> bool:
    return TELLING.search(name) is not None


def _clean(value: Any) -> Any:
    if type(value) is str:
        return _without_secrets(value)
    if type(value) is int:
        return value if -EXACT < value < EXACT else str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): BLOTTED if _is_telling(str(key)) else _clean(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(entry) for entry in value]
    if isinstance(value, CryptnSendError):
        value = str(value)  # their texts are made to be shown
    if not isinstance(value, str | Path):
        return type(value).__name__  # octets, exceptions, objects: their text is not ours to vouch for
    return _without_secrets(str(value))


def _without_secrets(text: str) -> str:
    if len(text) < SHORTEST_KEY and "@" not in text and "://" not in text:
        return text  # none of the shapes fits in
    for shape, instead in SECRET_SHAPES:
        text = shape.sub(instead, text)
    return text


def _forget_arguments(record: logging.LogRecord) -> bool:
    """Keep the words of a library's line and drop its arguments, before anybody formats them."""
    if not _is_ours(record.name):
        record.msg = LIBRARY_WORDS.split(str(record.msg), maxsplit=1)[0].strip() or "(no words)"
        record.args = None
    return True


def _is_ours(name: str) -> bool:
    return name == OURS or name.startswith(f"{OURS}.")


def _take_exception(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record = line.get("_record")
    if record is not None and record.exc_info:
        line["exc_info"] = record.exc_info
    return line


def _name_role(role: str) -> Any:
    def add(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if role:
            line["role"] = role
        return line

    return add


def _show_exception(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by type and place; the text only of our own errors, which are made to be shown."""
    info = line.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        line["exception"] = describe_exception(error)
    return line


def describe_exception(error: BaseException) -> dict[str, Any]:
    """Return an exception's type, the places it passed in the code, and its cause; no values."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{'/'.join(Path(code.co_filename).parts[-2:])}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    shown: dict[str, Any] = {"type": type(error).__qualname__, "at": places[-12:]}
    if isinstance(error, CryptnSendError):
        shown["says"] = _clean(str(error))
    if isinstance(error, ImportError) and error.name:
        shown["name"] = error.name
    if isinstance(error, OSError) and error.errno is not None:
        shown["errno"] = error.errno
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        shown["because"] = type(cause).__qualname__
    return shown


def _uncaught(kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger(OURS).critical("a process dies of an error", exc_info=error)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        logger(OURS).critical("a thread dies of an error", exc_info=args.exc_value)
