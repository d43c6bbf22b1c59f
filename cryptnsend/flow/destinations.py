"""Who is meant by an address of ours at the door for other servers? Tokens, and the few names that stand for people.

Every address that is refused gets the same words after the same work: one row looked for, one MAC asked for. So nobody
can find out by asking which tokens were ever made, or which names there are.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from cryptnsend.core import tokens
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Refusal, Temporary
from cryptnsend.core.tokens import LOCAL_PART_MAC, Claims
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import accounts, kept, links

_PURPOSES = {"b+": "bounce", "r+": "reply", "u-": "reply"}
_NO_TOKEN = tokens.mint(bytes(32), 0, bytes(tokens.RANDOM_ID), Claims("", "", 0, 0), LOCAL_PART_MAC)
_HUMAN = frozenset({"postmaster", "abuse"})  # RFC 5321 §4.5.1, RFC 2142 §4
NOTICE = "notice"  # who our mails are from


@dataclass(frozen=True, slots=True)
class Destination:
    """
    What an address stands for.

    `kind` is bounce, reply, notice, postmaster or abuse; `claims` are what its token stands for; `account` is who gets
    mail for postmaster and abuse.
    """

    kind: str
    address: str
    claims: Claims | None = None
    account: int = 0

    @property
    def group(self) -> Hashable:
        """Return what recipients of one message must have in common."""
        if self.claims is None:
            return self.kind
        if self.kind == "bounce":
            return self.kind, self.claims.message
        return self.kind, self.claims.subscriber, self.claims.message


class Destinations:
    """Finds out what addresses stand for. Thread-safe; keeps nothing."""

    def __init__(
        self, *, engine: Engine, keeper: Keeper, clock: Clock, domain: str, hostname: str, postmaster: str = ""
    ):
        """*postmaster* is the address of the account that gets mail for postmaster; "" is the first officer."""
        self._engine, self._keeper, self._clock = engine, keeper, clock
        self._domain, self._hostname, self._postmaster = domain, hostname, postmaster

    def find(self, address: str) -> Destination:
        """Return what *address* stands for; raise Refusal, or Temporary when keeper or store are out of reach."""
        try:
            name = canonical(address)
        except ValueError:
            name = f"@{self._domain}"
        local, _, domain = name.rpartition("@")
        if domain not in (self._domain, self._hostname):
            raise Refusal("No mail is passed on here.", code=550, status="5.7.1")
        claims = self._claims(local)
        if claims is not None and domain == self._domain:
            return Destination(claims.purpose, address, claims)
        if local in _HUMAN:
            return Destination(local, address, account=self._human())
        if local == NOTICE and domain == self._domain:
            return Destination(NOTICE, address)
        raise Refusal("Nobody can be reached at this address.", code=550, status="5.1.1")

    def _claims(self, local: str) -> Claims | None:
        """Return what the token in a local part stands for, if the keeper made it for that and its time is not over."""
        purpose = _PURPOSES.get(local[:2], "reply")
        token = local[2:]
        parts = tokens.split(token)
        if parts is None or local[:2] not in _PURPOSES:
            token, parts = _NO_TOKEN, tokens.split(_NO_TOKEN)
        row = links.link(self._engine, parts[1] if parts else b"")
        claims = _claims_of(row, purpose) if row is not None else Claims(purpose, "", 0, 0)
        is_ours = self._keeper.link(token, claims)
        if not is_ours or row is None or (row["expires"] is not None and row["expires"] <= self._clock.now()):
            return None
        return claims

    def _human(self) -> int:
        account = human(self._engine, self._postmaster)
        if account is None:
            raise Temporary("Nobody reads this yet. Try again later.")
        return account


def human(engine: Engine, postmaster: str) -> int | None:
    """Return the account of who answers for this server: *postmaster*'s, or for "" the first officer's."""
    if not postmaster:
        return kept.first_officer(engine)
    row = accounts.by_address(engine, postmaster)
    return None if row is None else int(row["id"])


def _claims_of(row: Row, purpose: str) -> Claims:
    # The purpose comes from the address: a token for one thing in the place of another is not what the keeper signed.
    return Claims(purpose, row["address"], row["subscriber"], row["message"])
