"""How does another role ask the keeper? One typed method per request; which ones are answered depends on the socket.

Requests are safe to repeat: the same proof gives the same answer. The few that make something new at each call are
sent once only, so that a broken connection never makes two.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptnsend.core.model import Signed
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import credentials
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.glass_client import GlassRequests
from cryptnsend.keeper.passkey_client import PASSKEY_ONCE, PasskeyRequests
from cryptnsend.keeper.posting import Posting
from cryptnsend.keeper.ruling import Ruling
from cryptnsend.keeper.tokens_client import TokenRequests

ANCHORED = 30.0  # seconds for which anchors are remembered

# Requests that make something new at each call.
ONCE = frozenset(
    [
        "mail_proof",
        "next_code",
        "open_second",
        "second_begin",
        "device_add",
        "token_add",
        "hook_add",
        "hook_rotate",
        "new_passphrase",
        "archive_replace",
        "organisation_add",
        "invite",
        "invite_member",
        "restored",
        "keys_rotate",
        "passwd",
        "glass_ask",
        "glass_agree",
        "glass_open",
    ]
)

_MAYBE_SIGNED: Any = Signed | None


class Keeper(Posting, Ruling, GlassRequests, PasskeyRequests, TokenRequests):
    """
    The keeper as one role sees it: thread-safe, one connection per thread, reconnecting once.

    Every method raises `KeeperGone` if the keeper does not answer within *timeout* seconds or has no master key, and
    `Denied` for requests that this role's socket does not serve.
    """

    def __init__(self, path: Path, timeout: float = 10.0):
        super().__init__(path, timeout, ONCE | PASSKEY_ONCE)
        self._anchors: tuple[int, float, q.Anchors] | None = None

    # -- every role ---------------------------------------------------------------------------------------------------

    def anchors(self) -> q.Anchors:
        """Return the keeper's public keys; remembered for half a minute, and never over a lost connection."""
        known = self._anchors
        if known is not None and known[0] == self.connected and time.monotonic() < known[1]:
            return known[2]
        anchors = self._ask(q.Anchors, "anchors")
        self._anchors = (self.connected, time.monotonic() + ANCHORED, anchors)
        return anchors

    def health(self) -> q.Health:
        """Say whether the keeper can work, and why not; answered even without a master key."""
        return self._ask(q.Health, "health")

    def card(self, holder: str) -> Signed | None:
        """Return the newest card of a holder, or None without one."""
        newest: Signed | None = self._ask(_MAYBE_SIGNED, "card", holder=holder)
        return newest

    def vouch(self, holders: Sequence[str], names: Sequence[q.ContactName]) -> q.Vouched:
        """Return today's cards and statements, in the order asked; at most 100 of each, else `Denied`."""
        return self._ask(q.Vouched, "vouch", holders=list(holders), names=list(names))

    def checkpoint(self, organisation: int, seq: int, head: bytes) -> q.Witnessed:
        """
        Note how far an audit chain has come, and return the keeper's signatures over it.

        Raise `Denied` if the keeper knows a later entry, `SealBroken` if it knows another one at *seq*.
        """
        return self._ask(q.Witnessed, "checkpoint", organisation=organisation, seq=seq, head=head)

    def witness_keys(self) -> q.WitnessKeys:
        """Return the public keys that checkpoints are checked with."""
        return self._ask(q.WitnessKeys, "witness_keys")

    def ended(self, kind: str, ids: Sequence[int]) -> None:
        """
        Write to the journal that these have ended; durable on return. Call it before the COMMIT.

        Kinds: suspend, undo, shred (grants or messages), cancel (deliveries), revoke (devices).
        """
        self._ask(type(None), "ended", kind=kind, ids=list(ids))

    def link(self, token: str, claims: Claims) -> bool:
        """Say whether *token* is ours and stands for exactly these claims (submission, inbound, portal)."""
        return self._ask(bool, "link", token=token, claims=claims)

    def resend_keys(self) -> dict[int, bytes]:
        """Return the keys for recognising resent mail, of today and yesterday, by days since 1970."""
        return self._ask(dict[int, bytes], "resend_keys")

    # -- sign-in ------------------------------------------------------------------------------------------------------

    def salt(self, address: str) -> q.Salt:
        """Return how the password of this address becomes K; unknown addresses get a stable answer of their own."""
        return self._ask(q.Salt, "salt", address=address)

    def check_password(self, address: str, k: bytes) -> q.Who:
        """Return whose password K is; raise `WrongSecret` (submission)."""
        return self._ask(q.Who, "check_password", address=address, k=k)

    def check_device(self, device: int, secret: bytes, scope: str) -> q.Who:
        """Return whose device password it is; raise `WrongSecret`, also for one that was revoked (submission)."""
        return self._ask(q.Who, "check_device", device=device, secret=secret, scope=scope)

    def open(self, address: str, k: bytes) -> q.Opened:
        """Open every pair that K opens; raise `WrongSecret`, or `SealBroken` for a damaged ledger."""
        return self._ask(q.Opened, "open", address=address, k=k)

    def hold(self, address: str, k: bytes) -> bytes:
        """Return a box with a password that is right, until its number comes; raise as `open` (portal)."""
        return self._ask(bytes, "hold", address=address, k=k)

    def open_second(self, held: bytes, code: str) -> q.Opened:
        """Open an account by what is held and a number; raise `WrongSecret`, `Throttled` or `Ended` (portal)."""
        return self._ask(q.Opened, "open_second", held=held, code=code)

    def open_recovered(self, held: bytes, key: bytes) -> q.Opened:
        """Open an account by what is held and its recovery code's key, which ends its second step (portal)."""
        return self._ask(q.Opened, "open_recovered", held=held, key=key)

    def open_trusted(self, address: str, k: bytes, trust: bytes) -> q.Opened:
        """Open an account from a browser that it trusts; raise `SecondStep` from any other (portal)."""
        return self._ask(q.Opened, "open_trusted", address=address, k=k, trust=trust)

    def trust(self, ticket: bytes) -> bytes:
        """Return what a trusted browser shows; empty where none may be trusted (portal)."""
        return self._ask(bytes, "trust", ticket=ticket)

    def forget_browsers(self, ticket: bytes) -> None:
        """Trust no browser of this account any more (portal)."""
        self._ask(type(None), "forget_browsers", ticket=ticket)

    def step_up(self, ticket: bytes, k: bytes) -> None:
        """Check the password of who is signed in; raise `WrongSecret` (portal)."""
        self._ask(type(None), "step_up", ticket=ticket, k=k)

    def second_begin(self, ticket: bytes, k: bytes) -> q.SecondSecret:
        """Make the secret of a second step; it counts from its first number on (portal)."""
        return self._ask(q.SecondSecret, "second_begin", ticket=ticket, k=k)

    def second_begun(self, ticket: bytes, code: str) -> None:
        """Take the first number of a second step; raise `WrongSecret` or `Throttled` (portal)."""
        self._ask(type(None), "second_begun", ticket=ticket, code=code)

    def second_end(self, ticket: bytes, k: bytes, code: str) -> None:
        """End the second step by password and number (portal)."""
        self._ask(type(None), "second_end", ticket=ticket, k=k, code=code)

    def second_state(self, ticket: bytes) -> bool:
        """Say whether who is signed in has a second step (portal)."""
        return self._ask(bool, "second_state", ticket=ticket)

    def open_device(self, device: int, secret: bytes) -> q.Opened:
        """Open every pair that is sealed to a reading device; the ticket is for adopting alone (mailbox)."""
        return self._ask(q.Opened, "open_device", device=device, secret=secret)

    # -- first opening ------------------------------------------------------------------------------------------------

    def prove(self, token: str, claims: Claims, code: str) -> q.Proof:
        """
        Check a sender's code for the contact that a link names.

        Raise `WrongSecret` with the tries left, or `Ended` for a code or link that works no more.
        """
        return self._ask(q.Proof, "prove", token=token, claims=claims, code=code)

    def digits(self, token: str, claims: Claims) -> int:
        """Return how many digits the code has that the page of a link asks for; raise `Ended` for a link not ours."""
        return self._ask(int, "digits", token=token, claims=claims)

    def prove_session(self, ticket: bytes, token: str, claims: Claims, code: str) -> q.ContactRow:
        """Prove a contact for who is signed in; errors as `prove`."""
        return self._ask(q.ContactRow, "prove_session", ticket=ticket, token=token, claims=claims, code=code)

    def prove_mailed(self, token: str, claims: Claims, ident: int, code: str) -> q.Proof:
        """Check a code that was mailed for one message, as its sender allowed; errors as `prove`, and Denied."""
        return self._ask(q.Proof, "prove_mailed", token=token, claims=claims, ident=ident, code=code)

    def prove_mailed_session(self, ticket: bytes, token: str, claims: Claims, ident: int, code: str) -> q.ContactRow:
        """Check such a code for who is signed in; the contact stays unproven."""
        return self._ask(
            q.ContactRow, "prove_mailed_session", ticket=ticket, token=token, claims=claims, ident=ident, code=code
        )

    def allow(self, ticket: bytes, message: int, way: str) -> None:
        """Let `mail` or `none` stand in for the subscriber's code, of one message or from now on (0)."""
        self._ask(type(None), "allow", ticket=ticket, message=message, way=way)

    def usual_way(self, ticket: bytes) -> str:
        """Return what the subscriber lets stand in for their code as a rule."""
        return self._ask(str, "usual_way", ticket=ticket)

    def way_of(self, token: str, claims: Claims) -> str:
        """Return what the message of a link asks for: code, mail, none."""
        return self._ask(str, "way_of", token=token, claims=claims)

    def mail_open(self, token: str, claims: Claims, network: str) -> q.MailProof:
        """Start a code by mail for the message of a link; raise `Denied` where its sender did not allow it."""
        return self._ask(q.MailProof, "mail_open", token=token, claims=claims, network=network)

    def prove_own(self, ticket: bytes, address: str, subscriber: int, code: str) -> q.ContactRow:
        """Prove a contact of an address that who is signed in has already; errors as `prove`, and Denied for others."""
        return self._ask(q.ContactRow, "prove_own", ticket=ticket, address=address, subscriber=subscriber, code=code)

    def own_digits(self, ticket: bytes, address: str, subscriber: int) -> int:
        """Return how many digits the code has that this needs."""
        return self._ask(int, "own_digits", ticket=ticket, address=address, subscriber=subscriber)

    def register(self, ticket: bytes, salt: bytes, params: str, k: bytes, name: str, locale: str) -> q.Opened:
        """
        Make the account of who gave the proof, and sign it in. Take the salt from the proof.

        Raise `Denied` if the address is somebody's already, `Ended` if the proof is too old.
        """
        return self._ask(q.Opened, "register", ticket=ticket, salt=salt, params=params, k=k, name=name, locale=locale)

    # -- mailed codes -------------------------------------------------------------------------------------------------

    def mail_proof(self, address: str, purpose: str, network: str = "") -> q.MailProof:
        """
        Start a proof by mail for `reset`, `signup`, `visit` or `alias`; known and unknown addresses are
        answered alike.

        *network* is where it is asked for: each gets few of a day's codes.
        """
        return self._ask(q.MailProof, "mail_proof", address=address, purpose=purpose, network=network)

    def seen(self, ticket: bytes, network: str) -> None:
        """Note that who signed in did so from this network, which then has codes that strangers cannot use up."""
        self._ask(type(None), "seen", ticket=ticket, network=network)

    def mail_salt(self, ident: int) -> bytes:
        """Return the salt to finish a mailed proof or an invitation with, for pages that kept the id only."""
        return self._ask(bytes, "mail_salt", ident=ident)

    def reset(self, ident: int, code: str, salt: bytes, params: str, k: bytes) -> q.Opened:
        """
        Set a new password by mail alone: a weak reset. Old pairs are withheld or locked, nothing is lost.

        Raise `WrongSecret` with the tries left, or `Ended`.
        """
        return self._ask(q.Opened, "reset", ident=ident, code=code, salt=salt, params=params, k=k)

    def signup(self, ident: int, code: str, salt: bytes, params: str, k: bytes, name: str, locale: str) -> q.Opened:
        """
        Make a subscriber's account by a mailed code or an invitation; *ident* is the proof's or the invitation's.

        Without an inviting organisation they get one of their own, and `recovery` has its archive's file.
        """
        return self._ask(
            q.Opened, "signup", ident=ident, code=code, salt=salt, params=params, k=k, name=name, locale=locale
        )

    def visit(self, ident: int, code: str, salt: bytes, params: str, k: bytes, name: str, locale: str) -> q.Opened:
        """Make a recipient's account by a mailed code, for who writes to a subscriber first (portal)."""
        return self._ask(
            q.Opened, "visit", ident=ident, code=code, salt=salt, params=params, k=k, name=name, locale=locale
        )

    def alias(self, ticket: bytes, ident: int, code: str) -> q.Opened:
        """Add an address proven by mail to who is signed in; `seeds` of the answer is empty."""
        return self._ask(q.Opened, "alias", ticket=ticket, ident=ident, code=code)

    def subscribe(self, ticket: bytes, k: bytes, ident: int | None, code: str) -> q.Opened:
        """Make a subscriber of a recipient who is signed in; by an invitation unless sign-up is open."""
        return self._ask(q.Opened, "subscribe", ticket=ticket, k=k, ident=ident, code=code)

    # -- who is signed in ---------------------------------------------------------------------------------------------

    def change_salt(self, ticket: bytes) -> bytes:
        """Return the salt to change the password with, so that a repeated request can be recognised."""
        return self._ask(bytes, "change_salt", ticket=ticket)

    def change(self, ticket: bytes, old_k: bytes, salt: bytes, params: str, k: bytes) -> q.Opened:
        """Change the password; all other tickets end. Raise `WrongSecret` if *old_k* is not right."""
        return self._ask(q.Opened, "change", ticket=ticket, old_k=old_k, salt=salt, params=params, k=k)

    def store_wraps(self, ticket: bytes, kind: str, key: bytes, seeds: Mapping[int, bytes]) -> tuple[int, ...]:
        """
        Wrap the session's seeds under another *key* of *kind* `recovery`; return the pairs that it now opens.

        A new recovery code takes the place of the earlier one for these pairs.
        """
        return self._ask(tuple[int, ...], "store_wraps", ticket=ticket, kind=kind, key=key, seeds=dict(seeds))

    def unlock(self, ticket: bytes, kind: str, secret: bytes, current_k: bytes, device: int = 0) -> q.Unlocked:
        """
        Open pairs from before a reset again, and end the weakness.

        *kind*: `password` (an old K, by `LockedPair.salt`), `recovery` (K of the recovery code), `device` (the secret
        of *device*), `second` (a number), `browser` (what a trusted one shows); `officer` and `waited` need no secret,
        the ledger knows. Raise `WrongSecret` or `Denied`.
        """
        return self._ask(
            q.Unlocked, "unlock", ticket=ticket, kind=kind, secret=secret, current_k=current_k, device=device
        )

    def confirm(self, ticket: bytes, address: str) -> None:
        """Confirm, as an officer, that a member of the organisation who reset their password is who they say."""
        self._ask(type(None), "confirm", ticket=ticket, address=address)

    def object_to(self, token: str, claims: Claims) -> None:
        """Note that a reset was not the owner's, by the link of the warning: waiting ends the weakness no more."""
        self._ask(type(None), "object_to", token=token, claims=claims)

    def disable_member(self, ticket: bytes, k: bytes, address: str) -> q.Opened:
        """Stop somebody of the organisation from signing in, as an officer or manager."""
        return self._ask(q.Opened, "disable_member", ticket=ticket, k=k, address=address)

    def enable_member(self, ticket: bytes, k: bytes, address: str) -> q.Opened:
        """Let somebody of the organisation sign in again."""
        return self._ask(q.Opened, "enable_member", ticket=ticket, k=k, address=address)

    def set_roles(self, ticket: bytes, k: bytes, address: str, roles: Sequence[str], code: str = "") -> q.Opened:
        """
        Give somebody of the organisation these roles, as an officer; a new officer can open the archive.

        *code* is the number of the second step, here and below; without one `SecondStep` where the last is too old.
        """
        return self._ask(q.Opened, "set_roles", ticket=ticket, k=k, address=address, roles=list(roles), code=code)

    def hand_over(self, ticket: bytes, k: bytes, address: str, to: str, code: str = "") -> list[q.Opened]:
        """Give the addresses of who leaves to a colleague; return both accounts."""
        return self._ask(list[q.Opened], "hand_over", ticket=ticket, k=k, address=address, to=to, code=code)

    def invite_member(self, ticket: bytes, address: str, name: str) -> q.MailProof:
        """Invite a subscriber into the officer's or manager's own organisation."""
        return self._ask(q.MailProof, "invite_member", ticket=ticket, address=address, name=name)

    def codes(self, ticket: bytes, addresses: Sequence[str]) -> list[q.Code]:
        """Return the codes of the subscriber's contacts; showing one the first time starts its 72 hours."""
        return self._ask(list[q.Code], "codes", ticket=ticket, addresses=list(addresses))

    def next_code(self, ticket: bytes, address: str) -> q.Code:
        """Replace a contact's code by the next; at most five a week."""
        return self._ask(q.Code, "next_code", ticket=ticket, address=address)

    def adopt(self, ticket: bytes, grants: Sequence[q.SealedGrant]) -> list[q.Adopted]:
        """Re-wrap those of the grants whose contact is proven to who is signed in; the others are left out."""
        return self._ask(list[q.Adopted], "adopt", ticket=ticket, grants=list(grants))

    def profile(
        self,
        ticket: bytes,
        name: str | None = None,
        form: str | None = None,
        locale: str | None = None,
        k: bytes | None = None,
    ) -> q.Opened:
        """Change what the account says of itself; `seeds` of the answer is empty. Form "tls" takes *k* to turn on."""
        return self._ask(q.Opened, "profile", ticket=ticket, name=name, form=form, locale=locale, k=k)

    def set_friends(self, ticket: bytes, k: bytes, addresses: Sequence[str]) -> q.Opened:
        """Let mail to these addresses go as ordinary mail; `seeds` of the answer is empty."""
        return self._ask(q.Opened, "set_friends", ticket=ticket, k=k, addresses=list(addresses))

    def set_own_key(self, ticket: bytes, k: bytes, code: str, kind: str, mark: bytes) -> q.Opened:
        """Let replies be encrypted to the key with this mark, "" for none; `seeds` of the answer is empty."""
        return self._ask(q.Opened, "set_own_key", ticket=ticket, k=k, code=code, kind=kind, mark=mark)

    def set_known_key(self, ticket: bytes, k: bytes, code: str, address: str, kind: str, mark: bytes) -> q.Opened:
        """Let mail to *address* be encrypted to the key with this mark; `seeds` of the answer is empty."""
        return self._ask(
            q.Opened, "set_known_key", ticket=ticket, k=k, code=code, address=address, kind=kind, mark=mark
        )

    def device_add(self, ticket: bytes, scope: str, seeds: Mapping[int, bytes] | None = None) -> credentials.NewDevice:
        """Make a device password to `submit`, to `read`, or for `mail`, both; who reads opens the pairs of *seeds*."""
        return self._ask(credentials.NewDevice, "device_add", ticket=ticket, scope=scope, seeds=dict(seeds or {}))

    def device_revoke(self, ticket: bytes, device: int) -> None:
        """Revoke a device password; it fails from the next check on."""
        self._ask(type(None), "device_revoke", ticket=ticket, device=device)

    def passphrase(self, ticket: bytes, k: bytes) -> list[q.Passphrase]:
        """Return the delivery passphrases, newest first."""
        return self._ask(list[q.Passphrase], "passphrase", ticket=ticket, k=k)

    def new_passphrase(self, ticket: bytes, k: bytes) -> list[q.Passphrase]:
        """Make a new delivery passphrase and return all, newest first."""
        return self._ask(list[q.Passphrase], "new_passphrase", ticket=ticket, k=k)

    def archive_recovery(self, ticket: bytes, k: bytes, code: str = "") -> q.RecoveryFile:
        """Make a recovery file of the archive, as an officer; *code* is the number of the second step, if there is."""
        return self._ask(q.RecoveryFile, "archive_recovery", ticket=ticket, k=k, code=code)

    def archive_replace(self, ticket: bytes, k: bytes, code: str = "") -> q.Opened:
        """Give the archive a new key, as an officer; `recovery` is its file, None where it takes two officers."""
        return self._ask(q.Opened, "archive_replace", ticket=ticket, k=k, code=code)

    def set_policy(self, ticket: bytes, k: bytes, text: str, code: str = "") -> q.PolicyTaken:
        """Say, as an officer with a second step, which rules the organisation has of its own."""
        return self._ask(q.PolicyTaken, "set_policy", ticket=ticket, k=k, text=text, code=code)

    def set_look(self, ticket: bytes, k: bytes, text: str, code: str = "") -> q.PolicyTaken:
        """Say, as an officer or manager with a second step, how the organisation looks."""
        return self._ask(q.PolicyTaken, "set_look", ticket=ticket, k=k, text=text, code=code)

    def close_account(self, ticket: bytes, k: bytes) -> int:
        """Close the account for good: no sign-in, no pairs; return the number by which its owner is told by mail."""
        return self._ask(int, "close_account", ticket=ticket, k=k)

    # -- new keys -----------------------------------------------------------------------------------------------------

    def keys(self) -> list[q.OwnKey]:
        """Return which keys of its own the keeper has, without the keys (owner)."""
        return self._ask(list[q.OwnKey], "keys")

    def keys_rotate(self, name: str) -> list[q.OwnKey]:
        """Make a new key in the place of link, recovery, queue or pending; return them all (owner)."""
        self._anchors = None
        return self._ask(list[q.OwnKey], "keys_rotate", name=name)

    def keys_order(self, address: str) -> int:
        """Let an account, or all with "", get new pairs at the next sign-in; return how many will (owner)."""
        return self._ask(int, "keys_order", address=address)

    # -- after a restore ----------------------------------------------------------------------------------------------

    def restored(self) -> q.Anchors:
        """
        Note that the ledger came from a backup: replay the journal and raise the era.

        Earlier codes, tickets and mailed codes die; what the journal ended stays ended.
        """
        self._anchors = None
        return self._ask(q.Anchors, "restored")
