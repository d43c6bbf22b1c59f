"""Who is told each day how TLS with their mail hosts went? Looks for domains that ask, and queues a report for each.

Reports leave through the same queue as everything else, composed from the day's counts at the moment they leave.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from functools import partial
from random import uniform

import msgspec
import structlog

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.core.mime_build import rfc_date
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token
from cryptnsend.core.model import INSTALLATION, Random, new_id
from cryptnsend.delivery.dns import DnsTrouble, Resolver
from cryptnsend.delivery.tlsrpt import MEDIA_TYPE, Result, file_name, packed, places, report
from cryptnsend.store.records import messages, transport

DAY = 86_400_000  # milliseconds
HOUR = 3_600_000
ROUND = 600.0  # seconds between two looks
PAGE = 100  # domains per look, so that a house with many correspondents asks DNS in portions

log = structlog.stdlib.get_logger(__name__)


class TlsReports:
    """Queues reports about the days that are over. One thread; a second one changes nothing."""

    def __init__(self, *, engine: Engine, resolver: Resolver, clock: Clock, random: Random):
        self._engine, self._resolver, self._clock, self._random = engine, resolver, clock, random
        # Reports of all the world at midnight would be a flood (RFC 8460 §4.1: up to four hours at random).
        self._delay = int(uniform(0, 4) * HOUR)  # noqa: S311 - no secret

    def run(self, stop: threading.Event) -> None:
        """Look now and again until *stop* is set. What fails is tried again in the next round."""
        while not stop.wait(ROUND * uniform(0.8, 1.2)):  # noqa: S311 - only so that servers do not go in step
            try:
                self.once()
            except CryptnSendError as error:
                log.warning("TLS reports have to wait", error=type(error).__name__)

    def once(self) -> int:
        """Look once, at a portion of the domains; return how many reports are queued by it."""
        now = self._clock.now()
        today = (now - self._delay) // DAY
        queued = 0
        for row in transport.unreported(self._engine, today, PAGE):
            try:
                asked = places(self._resolver.texts(f"_smtp._tls.{row['domain']}"))
            except DnsTrouble:
                continue  # asked again in the next round, until the counts are too old
            self._engine.write(partial(self._queue, row, asked, now)).result()
            queued += len(asked)
        return queued

    def _queue(self, row: Row, asked: Sequence[str], now: int, rows: Rows) -> None:
        for place in asked or [""]:
            ident = new_id(now, self._random)
            if transport.add_report(rows, ident, row["day"], row["domain"], place, now) and place:
                due = messages.Delivery(
                    new_id(now, self._random), INSTALLATION, "tls-report", "", None, None, ident, "daily",
                    "", "{}", "report", now, None, None, now,
                )  # fmt: skip
                messages.add_deliveries(rows, [due])


def report_file(engine: Engine, about: Row, *, submitter: str, contact: str) -> tuple[str, bytes]:
    """Return file name and packed report for a row of tls_reports."""
    results = [
        Result(row["kind"], *_policy(row["policy"]), row["result"], row["host"], row["address"], row["sessions"])
        for row in transport.results(engine, about["day"], about["domain"])
    ]
    ident = f"{about['id']}@{submitter}"
    octets = report(about["domain"], about["day"], results, organisation=submitter, contact=contact, ident=ident)
    return file_name(submitter, about["domain"], about["day"], str(about["id"])), packed(octets)


def report_mail(
    about: Row, name: str, octets: bytes, *, to: str, submitter: str, author: Mailbox, ident: str, date: int
) -> bytes:
    """Return the mail that carries a report (RFC 8460 §5.3), not yet signed."""
    domain, boundary = about["domain"], f"=_r{about['id']}"
    subject = f"Report Domain: {domain} Submitter: {submitter} Report-ID: <{about['id']}@{submitter}>"
    text = (
        f"This is a report about TLS between {submitter} and the mail hosts of {domain}.\r\n"
        "The file holds JSON (RFC 8460), packed by gzip.\r\n"
    )
    line = f"\r\n--{boundary}".encode()
    fields = (
        encode_field("Date", rfc_date(date)),
        encode_mailboxes("From", [author]),
        encode_mailboxes("To", [Mailbox("", to)]),
        encode_field("Subject", subject),
        encode_ids("Message-ID", [ident]),
        encode_field("Auto-Submitted", "auto-generated"),
        encode_field("TLS-Report-Domain", domain),
        encode_field("TLS-Report-Submitter", submitter),
        b"MIME-Version: 1.0\r\n",
        encode_token("Content-Type", "multipart/report", {"report-type": "tlsrpt", "boundary": boundary}),
        b"\r\n",
    )
    parts = (
        encode_token("Content-Type", "text/plain", {"charset": "us-ascii"}) + b"\r\n" + text.encode(),
        encode_token("Content-Type", MEDIA_TYPE)
        + encode_token("Content-Transfer-Encoding", "base64")
        + encode_token("Content-Disposition", "attachment", {"filename": name})
        + b"\r\n"
        + base64.encodebytes(octets).replace(b"\n", b"\r\n"),
    )
    return b"".join(fields) + b"".join(line + b"\r\n" + part for part in parts) + line + b"--\r\n"


def _policy(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    policy = msgspec.json.decode(text, type=dict[str, tuple[str, ...]])
    return policy.get("lines", ()), policy.get("hosts", ())
