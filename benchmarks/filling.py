"""How does a benchmark come to a vault with a hundred thousand messages in minutes?

`fill` takes the road of a submission without its door: messages are sealed, granted, stored and audited by the very
code that the SMTP doors call, many of them in one transaction, in this process. `mail` writes what is filled in: every
tenth message has an attachment, the others are a text and its HTML, as programs send them.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Iterable
from email.utils import formatdate
from functools import lru_cache

from generator import KIB
from server import Server

from cryptnsend import app as composition
from cryptnsend.flow.gate import Subscriber
from cryptnsend.flow.intake import SmtpIntake
from cryptnsend.submission.contract import Envelope, Peer, Rcpt

AT_ONCE = 200  # messages on the way; about as many share a transaction
FIRST = 1_750_000_000  # seconds of the epoch: the Date of number 0; each number is a minute later
SMALL, LARGE, EVERY = 4 * KIB, 45 * KIB, 10  # octets of a message, of every tenth one
_WORDS = ["the", "patient", "was", "seen", "again", "on", "Friday", "results", "within", "normal", "range"]
_SUBJECTS = ["Lab results", "Your appointment", "=?UTF-8?Q?Befund_f=C3=BCr?=", "Re: Prescription", "Discharge letter"]


def mail(number: int, author: str, recipient: str) -> bytes:
    """Return message *number* with CRLF line ends."""
    head, body = _template(number % 100, number % EVERY == 0)
    fields = (
        f"Message-ID: <{number:08}.filled@client.example>\r\n"
        f"Date: {formatdate(FIRST + 60 * number)}\r\n"
        "MIME-Version: 1.0\r\n"
        "User-Agent: Mozilla Thunderbird\r\n"
        f"Subject: {_SUBJECTS[number % len(_SUBJECTS)]} {number:08}\r\n"
        "Content-Language: en-US\r\n"
        f'To: "Pat Doe" <{recipient}>\r\n'
        f'From: "Ann Ruiz, MD" <{author}>\r\n'
        f"In-Reply-To: <{number // 2:08}.filled@client.example>\r\n"
        f"References: <{number // 4:08}.filled@client.example>\r\n <{number // 2:08}.filled@client.example>\r\n"
    ).encode()
    return fields + head + body.replace(b"@@@@@@@@", b"%08d" % number)


@lru_cache(maxsize=200)
def _template(kind: int, is_large: bool) -> tuple[bytes, bytes]:
    """Return the last header fields with the empty line, and the body, of one of a hundred kinds."""
    chance = random.Random(kind)
    border = b"------------filled%04d" % kind
    text = b"Dear Pat,\r\n\r\n" + _prose(chance, SMALL * 2 // 5) + b"\r\nNumber @@@@@@@@\r\n"
    html = b"<html><body><p>Dear Pat,</p><p>" + _prose(chance, SMALL * 2 // 5) + b"</p>@@@@@@@@</body></html>\r\n"
    open_, plain = b"--" + border, b"Content-Type: text/plain; charset=UTF-8; format=flowed\r\n"
    coding = b"Content-Transfer-Encoding: 8bit\r\n\r\n"
    if not is_large:
        head = b'Content-Type: multipart/alternative; boundary="' + border + b'"\r\n\r\n'
        rich = b"Content-Type: text/html; charset=UTF-8\r\n"
        parts = (open_, b"\r\n", plain, coding, text, open_, b"\r\n", rich, coding, html, open_, b"--\r\n")
        return head, b"".join(parts)
    head = b'Content-Type: multipart/mixed; boundary="' + border + b'"\r\n\r\n'
    coded = base64.b64encode(chance.randbytes(LARGE * 7 // 10))
    lines = b"\r\n".join(coded[at : at + 76] for at in range(0, len(coded), 76))
    file = (
        b'Content-Type: application/pdf; name="findings.pdf"\r\n'
        b'Content-Disposition: attachment; filename="findings.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    return head, b"".join((open_, b"\r\n", plain, coding, text, open_, b"\r\n", file, lines, b"\r\n", open_, b"--\r\n"))


def _prose(chance: random.Random, size: int) -> bytes:
    lines, have = [], 0
    while have < size:
        line = " ".join(chance.choices(_WORDS, k=11)).encode() + b"\r\n"
        lines.append(line)
        have += len(line)
    return b"".join(lines)


def fill(
    server: Server, author: int, recipient: str, mails: Iterable[bytes], told: Callable[[int], None] = lambda _: None
) -> int:
    """
    Let the server's sender number *author* send *mails* to *recipient*, in their order, and return how many.

    The server's keeper has to run; its SMTP doors need not. *told* hears now and then how many are durable.
    """
    app = composition.build(server.config, "submission")
    try:
        sender = server.senders[author]
        who = app.gate.authenticate(sender.address, sender.password, "127.0.0.1")
        return asyncio.run(_fill(app, who, recipient, mails, told))
    finally:
        app.close()


async def _fill(
    app: composition.App, who: Subscriber, recipient: str, mails: Iterable[bytes], told: Callable[[int], None]
) -> int:
    loop = asyncio.get_running_loop()
    intake = SmtpIntake(app.admission, app.engine.batcher(loop), lambda wait: loop.run_in_executor(None, wait))
    peer = Peer("127.0.0.1", "client.example", "TLSv1.3")
    waiting: list[asyncio.Future[str]] = []
    done = 0

    async def settle() -> int:
        await asyncio.gather(*waiting)
        count = len(waiting)
        waiting.clear()
        told(done + count)
        return done + count

    for octets in mails:
        draft = intake.begin(who, Envelope(who.address, (Rcpt(recipient),), peer))
        end = octets.index(b"\r\n\r\n") + 4
        draft.header(octets[:end])
        wait = draft.body(octets[end:])
        if wait is not None:
            await wait
        waiting.append(loop.create_task(draft.commit()))
        if len(waiting) >= AT_ONCE:
            done = await settle()
    return await settle()
