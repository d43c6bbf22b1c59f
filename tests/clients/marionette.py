"""How is a Mozilla program driven? Marionette: commands and answers as JSON on a socket, each after its length.

Scripts run inside the program with the rights of its own code. Only what the tests need is here.
"""

from __future__ import annotations

import json
import socket
from typing import Any


class ScriptFailed(Exception):
    """A script threw, or took too long; the text is what the program says about it."""


class Marionette:
    """One session with a program that listens on *port*."""

    def __init__(self, port: int, timeout: float):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout + 30)
        self._stream = self._socket.makefile("rb")
        self._number = 0
        self._receive()  # who it is, and which version of the protocol it speaks
        self._call("WebDriver:NewSession", {})
        self._call("Marionette:SetContext", {"value": "chrome"})
        self._call("WebDriver:SetTimeouts", {"script": int(timeout * 1000)})

    def close(self) -> None:
        """Leave the program as it is."""
        self._stream.close()
        self._socket.close()

    def run(self, script: str, *values: Any) -> Any:
        """Run the body of an asynchronous function that knows *values*; return what it returns, as JSON."""
        # An answer that is given twice would be an error of its own, so that both ways lead through one promise.
        body = (
            "const values = Array.from(arguments), done = values.pop();"
            f"(async () => {{ {script} }})().then("
            "found => done([true, found === undefined ? null : found]),"
            "error => done([false, `${error} ${error && error.stack}`]));"
        )
        found = self._call(
            "WebDriver:ExecuteAsyncScript",
            {"script": body, "args": list(values), "sandbox": "system"},
        )["value"]
        if not found[0]:
            raise ScriptFailed(str(found[1]))
        return found[1]

    def quit(self) -> None:
        """Ask the program to end."""
        self._call("Marionette:Quit", {"flags": ["eForceQuit"]})

    def _call(self, name: str, values: dict[str, Any]) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, name, values]).encode()
        self._socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, found = self._receive()
        if number != self._number:
            raise ScriptFailed(f"{name}: the answer is to another command")
        if error is not None:
            raise ScriptFailed(f"{name}: {error['error']}: {error['message']}")
        return found

    def _receive(self) -> Any:
        digits = b""
        while (octet := self._stream.read(1)) not in (b":", b""):
            digits += octet
        if not digits:
            raise ScriptFailed("the program has closed the connection")
        return json.loads(self._stream.read(int(digits)))
