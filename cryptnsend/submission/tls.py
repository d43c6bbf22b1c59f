"""Which certificate do the doors show, and how is a renewed one taken up without a restart?"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import structlog


class Certificate:
    """
    A certificate chain and its key as PEM files, and the TLS context made from them.

    A new context is made when the files change; connections that are open keep theirs. A pair that cannot be loaded
    (half written, key and certificate that do not belong together) is logged and the old one stays in use.
    """

    def __init__(self, chain: Path, key: Path, log: structlog.typing.FilteringBoundLogger):
        self._chain, self._key, self._log = chain, key, log
        self._seen = self._marks()
        self.context = self._load()

    def renew(self, *, always: bool = False) -> bool:
        """Load the files again if they changed (or *always*), and say whether the context is a new one."""
        try:
            marks = self._marks()
            if marks == self._seen and not always:
                return False
            context = self._load()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            # The marks stay as they were, so that the next look tries again.
            self._log.warning("certificate not reloaded", error=type(error).__name__, file=str(self._chain))
            return False
        self._seen, self.context = marks, context
        self._log.info("certificate reloaded", file=str(self._chain))
        return True

    def _load(self) -> ssl.SSLContext:
        context = server_context()
        context.load_cert_chain(self._chain, self._key)
        return context

    def _marks(self) -> tuple[tuple[int, int, int], ...]:
        stats = (os.stat(self._chain), os.stat(self._key))
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in stats)


class FixedCertificate:
    """A TLS context that somebody else made and looks after."""

    def __init__(self, context: ssl.SSLContext):
        self.context = context

    def renew(self, *, always: bool = False) -> bool:
        """Say that nothing is new."""
        return False


def server_context() -> ssl.SSLContext:
    """Return a server's TLS context without a certificate: 1.2 and newer, forward secrecy only (RFC 9325 §4.2)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # Each ticket costs the server; mail clients use one connection after the other and need no second one.
    context.num_tickets = 1
    return context
