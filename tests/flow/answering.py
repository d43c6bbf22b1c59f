"""Answers to a message: from a mail program, and on the page."""

from __future__ import annotations

from tests.support.house import House


def message_id(house: House, message: int) -> str:
    return str(house.engine.query("SELECT message_id FROM messages WHERE id = :m", m=message)[0]["message_id"])


def answer(house: House, author: str, to: list[str], ident: str, subject: str = "Re: Results", field: str = "") -> int:
    """Answer in a mail program, which knows nothing but Message-IDs."""
    more = f"{field or 'In-Reply-To'}: {ident}\r\n"
    return house.submit(author, to, house.mail(subject, author=author, to=to, more=more))


def reply(house: House, address: str, message: int, text: str = "Thank you.", everybody: bool = False) -> int:
    session = house.session(address)
    return house.replies.send(session, message, everybody=everybody, text=text, files=[], nonce=text.encode()[:16])
