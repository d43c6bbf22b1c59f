"""What may be said in one POP3 session? RFC 1939, RFC 2449 CAPA, RFC 1734 AUTH PLAIN, RFC 3206 response codes."""

from __future__ import annotations

from cryptnsend.mailbox.connection import Connection


class PopSession(Connection):
    """One POP3 connection."""

    def _farewell(self, text: str) -> bytes:
        return f"-ERR [SYS/TEMP] {text}\r\n".encode("ascii", "replace")
