"""How does content leave? As a locked file to an original inbox, or in plain where its author said so.

Content is opened here only for one delivery, with the key that the keeper gives for it; where it may go is bound to
that key. Plain mail streams from the vault to the wire and never stands in memory as a whole.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator

import msgspec
import pyzipper

from cryptnsend.core.contracts import Engine, Row
from cryptnsend.core.errors import CryptnSendError, NoGrant, Refusal, SealBroken
from cryptnsend.core.keys import queue_form
from cryptnsend.core.mime import Index, header_end
from cryptnsend.core.model import Card, account_holder
from cryptnsend.core.seal import unpad
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.opening import Sealed
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import EpochRow, Leaving, QueueGrant
from cryptnsend.store.records import deliveries, mailing, ownkeys
from cryptnsend.store.vault import Stored, Vault

HEADER_MOST = 1 << 20  # octets of a header block that a relayed mail may have
ENTRY = "message.eml"


class Moot(CryptnSendError):
    """There is nothing to send any more: taken back, expired, used, or told already."""


class TooLargeToHandOver(CryptnSendError):
    """The file is larger than goes to an inbox, or cannot be made any more; the recipient gets a link."""


def asks_requiretls(row: Row) -> bool:
    """Say whether the author wants hosts that promise protection for the rest of the way (RFC 8689)."""
    return "requiretls" in msgspec.json.decode(row["dsn"], type=dict[str, str])


class Parcels:
    """Opens what leaves. Thread-safe; keeps nothing. *most* is how many octets go to an inbox as a file."""

    def __init__(self, engine: Engine, vault: Vault, keeper: Keeper, holders: Holders, most: int):
        self._engine, self._vault, self._keeper, self._holders = engine, vault, keeper, holders
        self._most = most

    def inbox(self, row: Row) -> str:
        """Return where a handoff goes: the reply address on the recipient's card, whatever else rows say."""
        account, name = row["recipient_account"], row["recipient_address"]
        if account is None:
            raise Moot("the account was closed before it left")
        card = self._holders.settled(
            lambda: self._engine.write(lambda rows: self._holders.account_card(rows, account, name)).result()
        )
        if card is None:
            raise Moot("the address changed hands before it left")
        return card.reply_address

    def locked(self, row: Row, inbox: str, above: bytes = b"") -> tuple[str, bytes]:
        """
        Return the one address that a locked file may go to, and the file; raise TooLargeToHandOver.

        *above* are header fields that stand in it before the message's own.

        Without its key it was taken back and given back again since, so that a link has to do.
        """
        if row["queue_wrap"] is None:
            raise TooLargeToHandOver("its key was destroyed when it was taken back")
        try:
            leaving = self._opened(row, inbox)
        except NoGrant:
            raise TooLargeToHandOver("there is no passphrase to lock it with") from None
        if leaving.passphrase is None:
            raise SealBroken("A handoff as ZIP came without its passphrase.")
        return leaving.recipient, self._zip(row, leaving.keys[:32], leaving.passphrase, above)

    def readable(self, row: Row, inbox: str) -> Leaving:
        """Return the key of a message that arrives readable, and its one inbox; raise TooLargeToHandOver."""
        if row["queue_wrap"] is None or row["size"] > self._most:
            raise TooLargeToHandOver("its key was destroyed, or it is larger than goes to an inbox")
        return self._opened(row, inbox)

    def own_key(self, row: Row) -> bytes:
        """
        Return the key that a delivery is to be encrypted to: its recipient's own, or for a notice one its author knows.

        Raises TooLargeToHandOver where a card names none of that kind, or another than the row has.
        """
        mine = row["kind"] == "handoff"
        account, kind = row["recipient_account"] if mine else row["author"], row["form"]
        name = "" if mine else row["recipient_address"]
        card = None if account is None else self._card(account)
        if card is None or "subscriber" not in card.roles:
            raise TooLargeToHandOver("there is no key to encrypt it to")
        known = card.known_key(name) if name else None
        mark = card.own_key(kind) if mine else known.mark if known and known.kind == kind else None
        octets = ownkeys.octets(self._engine, account, name, kind)
        if mark is None or octets is None or hashlib.sha256(octets).digest() != mark:
            raise TooLargeToHandOver("there is no key to encrypt it to")
        return octets

    def _card(self, account: int) -> Card | None:
        return self._holders.settled(
            lambda: self._engine.write(lambda rows: self._holders.card(rows, account_holder(account))).result()
        )

    def check_whole(self, octets: bytes) -> None:
        """Raise TooLargeToHandOver for a mail that is larger than goes to an inbox."""
        if len(octets) > self._most:
            raise TooLargeToHandOver("larger than goes to an inbox")

    def document(self, row: Row, inbox: str) -> tuple[str, Index | None, Sealed, bytes]:
        """
        Return the one address that a PDF may go to, and what it is made of: index, message, content key.

        Raises TooLargeToHandOver.
        """
        if row["queue_wrap"] is None or row["size"] > self._most:
            raise TooLargeToHandOver("its key was destroyed, or it is larger than goes to an inbox")
        leaving = self._opened(row, inbox)
        key = leaving.keys[:32]
        octets = unpad(b"".join(self._part(row, key, "index").chunks()))
        try:
            index = Index.from_octets(octets)
        except ValueError:
            index = None
        return leaving.recipient, index, self._part(row, key, "raw"), key

    def check_size(self, octets: bytes) -> None:
        """Raise TooLargeToHandOver for a file that is larger than goes to an inbox."""
        if len(octets) * 4 // 3 > self._most:  # base64 makes four of three
            raise TooLargeToHandOver("larger than goes to an inbox")

    def plain(self, row: Row) -> Leaving:
        """Return the key of a message that leaves in plain, and the one address that it may go to."""
        try:
            return self._opened(row, row["recipient_address"])
        except NoGrant:
            raise SealBroken("The key of a message that waits to leave is not the keeper's any more.") from None

    def raw(self, row: Row, key: bytes) -> Iterator[bytes]:
        """Yield the message; a damaged end breaks the transfer, so nothing partial counts as a message."""
        return self._part(row, key, "raw").chunks()

    def _part(self, row: Row, key: bytes, part: str) -> Sealed:
        rests = mailing.content(self._engine, row["org"], row["message"], part)
        if rests is None:
            raise Moot("the message is gone")
        return Sealed(self._vault, Stored(rests["body"], rests["blob_key"]), key, row["message"], part)

    def _opened(self, row: Row, recipient: str) -> Leaving:
        """Ask the keeper for the content key of a delivery that carries content."""
        if row["queue_wrap"] is None:
            raise Moot("its key was destroyed when it was taken back")
        epoch = deliveries.epoch(self._engine, row["queue_epoch"])
        return self._keeper.queue(
            QueueGrant(
                row["org"],
                row["message"],
                row["id"],
                recipient,
                queue_form(row["kind"], row["form"], row["tls_class"], requiretls=asks_requiretls(row)),
                EpochRow(epoch["id"], epoch["pair"], epoch["suite"], epoch["owner"], epoch["holder"], epoch["sealed"]),
                row["queue_wrap"],
            )
        )

    def _zip(self, row: Row, key: bytes, passphrase: str, above: bytes) -> bytes:
        """
        Return an AES-256 ZIP with exactly one entry, the whole message.

        Names inside an encrypted ZIP can be read by anybody, so the entry says nothing, and Gmail refuses archives
        inside encrypted archives, so the attachments stay inside the message.
        """
        if row["size"] > self._most:
            raise TooLargeToHandOver("larger than goes to an inbox")
        packed = io.BytesIO()
        with pyzipper.AESZipFile(packed, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
            archive.setpassword(passphrase.encode())
            about = pyzipper.zipfile_aes.AESZipInfo(ENTRY, date_time=time.gmtime(row["message_created"] / 1000)[:6])
            about.compress_type = pyzipper.ZIP_DEFLATED
            with archive.open(about, "w") as entry:
                entry.write(above + row["received"])
                for chunk in self.raw(row, key):
                    entry.write(chunk)
        octets = packed.getvalue()
        self.check_size(octets)
        return octets


def split_header(chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Read *chunks* up to the end of the header block; return it with its empty line, and what came along behind."""
    held = b""
    for chunk in chunks:
        held += chunk
        if held.startswith(b"\r\n"):
            return held[:2], held[2:]
        end = held.find(b"\r\n\r\n")
        if end >= 0:
            return held[: end + 4], held[end + 4 :]
        if len(held) > HEADER_MOST:
            raise Refusal("The header of this message is too long to be sent on.", status="5.6.0")
    end = header_end(held)
    return held[:end] + b"\r\n", held[end:].removeprefix(b"\r\n")
