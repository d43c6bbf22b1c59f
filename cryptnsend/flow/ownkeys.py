"""Which keys may mail be encrypted to? A subscriber's own, for replies; and those of people whom they write to.

What was handed in is read in a confined process. Rows keep the keys; which of them count says the subscriber's card,
which the keeper signs, by their SHA-256: a row that was changed is no key. The keeper is asked with the password, and
the number where there is a second step, since whoever's key it is reads what is encrypted to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptnsend.core.addresses import canonical
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import Denied, NoGrant, Refusal, Sentence
from cryptnsend.core.model import Card, KeyMark, account_holder
from cryptnsend.core.protected import NAMES
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.requests import Opened
from cryptnsend.ownkeys.locksmith import Locksmith, NotNow, Unusable
from cryptnsend.ownkeys.reading import LEAST_RSA, OwnKey
from cryptnsend.store.records import ownkeys as records

DAY = 86_400_000  # milliseconds
SOON = 30 * DAY  # before its end, a key is shown as one that ends

# What is wrong with a key, by the words of cryptnsend/ownkeys, and what to do about it.
WRONG: Mapping[str, Sentence] = {
    "empty": Sentence("There is no key in it. Paste the key, or choose its file."),
    "private": Sentence(
        "This is a PRIVATE key, or a file with one in it. It was not kept. Never give it away, here or anywhere: who"
        " has it reads your mail. What belongs here is the public key or the certificate. If others may have seen it,"
        " make a new key."
    ),
    "too-large": Sentence(
        "This is too large for a key. Export it without the signatures of others, as with: gpg --export-options"
        " export-minimal --armor --export you@example.com"
    ),
    "several": Sentence("There is more than one key in it. Hand in one, without those of authorities or other people."),
    "no-key": Sentence(
        "This cannot be read as a key. Export it once more: an OpenPGP key as text (.asc), a certificate as .pem, .crt"
        " or .cer."
    ),
    "weak": Sentence(
        "This key is too weak, by its length or by what it was made with. Make a new one: RSA with %(least)s bits or"
        " more, or for OpenPGP what your program offers first.",
        least=LEAST_RSA,
    ),
    "not-rsa": Sentence(
        "This certificate has no RSA key, and to others nothing can be locked here. Ask for one with RSA, 3072 bits."
    ),
    "authority": Sentence("This is the certificate of an authority, not of a person. Hand in your own."),
    "no-encryption": Sentence(
        "This key is not for encrypting mail: it only signs, or has another use. Hand in one that encrypts."
    ),
    "many-names": Sentence("This key has too many names. Export it with your own name and address only."),
    "expired": Sentence("The time of this key is over. Prolong it or make a new one, and hand that in."),
    "not-yet": Sentence("This key is not valid yet. Look at the clock of the computer that made it, or wait."),
    "revoked": Sentence("This key was revoked, so nothing is locked to it. Make a new one, and hand that in."),
}


@dataclass(frozen=True, slots=True)
class Looked:
    """What a key says of itself."""

    kind: str  # smime, openpgp
    fingerprint: str
    names: tuple[str, ...]
    algorithm: str
    ends: int | None

    @property
    def name(self) -> str:
        """Return what its kind is called."""
        return NAMES[self.kind]

    @property
    def grouped(self) -> str:
        """Return its fingerprint as people compare it, in groups of four digits."""
        digits = self.fingerprint.upper()
        return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


@dataclass(frozen=True, slots=True)
class Held(Looked):
    """A key that is kept. `state` is good, ends (soon), over, or changed: its row is not what the card says."""

    address: str  # canonical, of the person whose key it is; "" for one's own
    added: int
    state: str


class OwnKeys(People):
    """Keys of subscribers and of those whom they write to. Shared by all requests of a process; thread-safe."""

    def __init__(self, *, locksmith: Locksmith, **of_people: Any):
        super().__init__(**of_people)
        self._locksmith = locksmith

    def close(self) -> None:
        """End the process that reads keys."""
        self._locksmith.close()

    # -- one's own ----------------------------------------------------------------------------------------------------

    def own(self, session: Session) -> list[Held]:
        """Return the subscriber's own keys, at most one of a kind."""
        card = self._card(session)
        marks = {each.kind: each for each in card.own_keys} if card else {}
        return [self._held(row, marks.get(row["kind"])) for row in self._rows(session) if not row["address"]]

    def set_own(self, session: Session, octets: bytes, password: str, source: str, code: str = "") -> OwnKey:
        """
        Keep a key, in the place of the one of its kind, and return it; the owner is told by mail.

        Raises Refusal for what can be no key of theirs, WrongSecret, Throttled, and Denied after a reset by mail. With
        the revocation of a key that is kept, their own or somebody else's, that key is taken away.
        """
        try:
            key = self._read(octets)
        except _Revoked as revoked:
            self._forget_revoked(session, revoked.fingerprint, password, source, code)
            raise
        if not {*key.addresses} & {*session.addresses}:
            raise _names_nobody(key, session.address)
        self._keep(session, "", key, password, source, code)
        self._alert(session.account, "own-key-changed")
        return key

    def drop_own(self, session: Session, kind: str, password: str, source: str, code: str = "") -> None:
        """Encrypt nothing to that key any more; replies that came by it come as ZIP. The owner is told by mail."""
        self._forget(session, "", kind, password, source, code)
        self._alert(session.account, "own-key-changed")

    # -- those of others ----------------------------------------------------------------------------------------------

    def may_use_others(self, session: Session) -> bool:
        """Say whether the rules let mail leave encrypted to keys of those who get it."""
        return self._policies.now(session.organisation).own_keys

    def known(self, session: Session) -> list[Held]:
        """Return the keys of others that this subscriber knows."""
        card = self._card(session)
        marks = {each.address: each for each in card.known_keys} if card else {}
        return [self._held(row, marks.get(row["address"])) for row in self._rows(session) if row["address"]]

    def look(self, address: str, octets: bytes) -> Looked:
        """Return what a key says that is somebody else's, whose fingerprint is to be compared; raise Refusal."""
        key = self._theirs(_canonical(address), octets)
        return Looked(key.kind, key.fingerprint, key.names, key.algorithm, key.ends)

    def set_known(
        self,
        session: Session,
        address: str,
        octets: bytes,
        fingerprint: str,
        password: str,
        source: str,
        code: str = "",
    ) -> OwnKey:
        """
        Keep the key of somebody else, who compared this *fingerprint* with the subscriber; as `set_own` besides.

        Raises Denied where the rules are against it.
        """
        if not self.may_use_others(session):
            raise Denied("The rules here do not let mail leave locked to keys of those who get it.")
        name = _canonical(address)
        key = self._theirs(name, octets)
        if name in session.addresses:
            raise Refusal(Sentence("This is your own address. Hand in your own key under How replies come."))
        if fingerprint != key.fingerprint:
            raise Refusal(Sentence("This is another key than the one you were shown. Hand it in again, and compare."))
        self._keep(session, name, key, password, source, code)
        self._alert(session.account, "known-key-changed")
        return key

    def drop_known(self, session: Session, address: str, password: str, source: str, code: str = "") -> None:
        """Encrypt nothing to that person's key any more; they get a notice again."""
        found = next((each for each in self.known(session) if each.address == _canonical(address)), None)
        if found is None:
            raise NoGrant("There is no such key here.")
        self._forget(session, found.address, found.kind, password, source, code)
        self._alert(session.account, "known-key-changed")

    # -- both ---------------------------------------------------------------------------------------------------------

    def _theirs(self, name: str, octets: bytes) -> OwnKey:
        key = self._read(octets)
        if name not in key.addresses:
            raise _names_nobody(key, name)
        return key

    def _read(self, octets: bytes) -> OwnKey:
        try:
            return self._locksmith.read(octets, self._clock.now())
        except Unusable as unusable:
            if unusable.word == "revoked":
                raise _Revoked(WRONG["revoked"], unusable.fingerprint) from None
            raise Refusal(self._why_not(unusable.word)) from None
        except NotNow:
            raise Refusal(Sentence("No key can be read on this server now. Try again later.")) from None

    def _forget_revoked(self, session: Session, fingerprint: str, password: str, source: str, code: str) -> None:
        for row in self._rows(session):
            if row["kind"] == "openpgp" and row["fingerprint"] == fingerprint:
                self._forget(session, row["address"], row["kind"], password, source, code)
                self._alert(session.account, "known-key-changed" if row["address"] else "own-key-changed")

    def _why_not(self, word: str) -> Sentence:
        return WRONG.get(word, WRONG["no-key"])

    def _keep(self, session: Session, address: str, key: OwnKey, password: str, source: str, code: str) -> None:
        k, mark, now = (
            self._confirmed(session, password, source),
            hashlib.sha256(key.octets).digest(),
            self._clock.now(),
        )
        earlier = [each for each in self._rows(session) if each["address"] == address]

        def write(rows: Rows) -> None:
            for each in earlier if address else ():  # one key for an address, whatever its kind
                records.drop(rows, session.account, address, each["kind"])
            records.put(
                rows, session.organisation, session.account, address, key.kind, key.octets, key.fingerprint,
                key.names, key.algorithm, key.starts, key.ends, now,
            )  # fmt: skip

        # The row goes first: what no card names is no key, and a card without its row would stop what leaves.
        self._engine.write(write).result()
        opened = self._asked(session, k, code, address, key.kind, mark)
        detail = {**session.origin, "kind": key.kind, "fingerprint": key.fingerprint}
        self._take(opened, "key.added", detail | ({"address": address} if address else {}))

    def _forget(self, session: Session, address: str, kind: str, password: str, source: str, code: str) -> None:
        if not any((each["address"], each["kind"]) == (address, kind) for each in self._rows(session)):
            raise NoGrant("There is no such key here.")
        k = self._confirmed(session, password, source)
        opened = self._asked(session, k, code, address, kind, b"")
        self._engine.write(lambda rows: records.drop(rows, session.account, address, kind)).result()
        detail = {**session.origin, "kind": kind}
        self._take(opened, "key.removed", detail | ({"address": address} if address else {}))

    def _asked(self, session: Session, k: bytes, code: str, address: str, kind: str, mark: bytes) -> Opened:
        if address:
            return self._keeper.set_known_key(session.ticket, k, code, address, kind, mark)
        return self._keeper.set_own_key(session.ticket, k, code, kind, mark)

    def _card(self, session: Session) -> Card | None:
        signed = self._keeper.card(account_holder(session.account))
        return read_card(signed, self._keeper.anchors().card_key) if signed else None

    def _rows(self, session: Session) -> list[Row]:
        return records.of(self._engine, session.account)

    def _held(self, row: Row, mark: KeyMark | None) -> Held:
        now, ends = self._clock.now(), row["ends"]
        state = "good" if ends is None or ends > now + SOON else "ends" if ends > now else "over"
        if mark is None or mark.kind != row["kind"] or hashlib.sha256(row["octets"]).digest() != mark.mark:
            state = "changed"
        names = tuple(row["names"].split("\n")) if row["names"] else ()
        return Held(row["kind"], row["fingerprint"], names, row["algorithm"], ends, row["address"], row["added"], state)


class _Revoked(Refusal):
    """The key was revoked by its owner."""

    def __init__(self, words: str, fingerprint: str):
        super().__init__(words)
        self.fingerprint = fingerprint


def _canonical(address: str) -> str:
    try:
        return canonical(address)
    except ValueError:
        raise Refusal(
            Sentence("This is no address: %(typed)s. Correct it, or take it out.", typed=address[:200])
        ) from None


def _names_nobody(key: OwnKey, address: str) -> Refusal:
    if not key.addresses:
        return Refusal(
            Sentence("This key names no address. It has to name %(address)s, to be sure whose it is.", address=address)
        )
    return Refusal(
        Sentence(
            "This key is for %(named)s, and has to be for %(address)s. Add that address to it, or hand in another.",
            named=", ".join(key.addresses[:3]),
            address=address,
        )
    )
