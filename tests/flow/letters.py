"""What a desk sent, as those read it who got it."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage

from cryptnsend.core.passwords import Argon, derive
from cryptnsend.flow.views import Upload
from tests.flow.conftest import Desk, faces, parsed
from tests.support.house import PASSWORD, House

ANN = "ann@gmail.example"


def upload(name: str, octets: bytes, kind: str = "application/pdf") -> Upload:
    def chunks() -> Iterator[bytes]:
        yield from (octets[at : at + 4096] for at in range(0, len(octets), 4096))

    return Upload(name, kind, len(octets), chunks)


def sent(desk: Desk, address: str) -> EmailMessage:
    """Let everything leave, and return the newest mail to an address."""
    desk.deliver()
    return desk.answers.mails(address)[-1]


def words(mail: EmailMessage) -> str:
    """Return the plain text on one line."""
    return " ".join(faces(mail)[0].split())


def envelope(desk: Desk, mail: EmailMessage) -> str:
    """Return the reverse-path under which a mail left."""
    ident = mail["Message-ID"]
    return next(each.reverse_path for each, _, octets in desk.answers.sent if parsed(octets)["Message-ID"] == ident)


def passphrase(house: House, address: str = ANN) -> bytes:
    keeper = house.keeper("portal")
    salt = keeper.salt(address)
    k = derive(PASSWORD, salt.salt, Argon.decode(salt.params))
    return keeper.passphrase(house.session(address).ticket, k)[0].words.encode()
