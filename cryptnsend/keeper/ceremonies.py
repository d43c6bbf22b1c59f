"""Did a passkey answer a challenge of ours? WebAuthn level 3, sections 7.1 and 7.2.

A challenge rests nowhere: it carries its end and the keeper's MAC over what it is for, whose it is and where it was
asked for, so that one of another purpose, account or browser is none. The first right answer uses it up.

The library checks what authenticators and browsers say: origin, host, that its owner was there and was recognised
(user verification), the signature by the key that was stored. A wrong answer tells nobody whether there is such a
passkey.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.core.seal import framed
from cryptnsend.keeper import ledger, passkey_rows
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.rows import Passkey

LASTS = 5 * 60_000  # milliseconds for which a challenge may be answered
NONCE, TIME, MAC = 16, 8, 32  # octets of a challenge
LONGEST = 32 * 1024  # octets of an answer
CREDENTIAL = 1023  # octets, section 4: the longest id
FORMATS = ("none", "packed")  # of attestation: none is asked for, and a key may vouch for itself
WRONG = "This passkey does not open anything here."
LATE = "This took too long, or was answered already. Try again."
COPIED = "This passkey counted backwards, so somebody may have a copy of it. Sign in with your password and remove it."
NOT_MADE = "The passkey could not be made. Try again."
NOT_HERE = "This server knows no address of its pages, so there are no passkeys."


@dataclass(frozen=True, slots=True)
class Made:
    """A passkey that an authenticator has just made."""

    credential: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    counter: int
    kept: str
    challenge: bytes = field(repr=False)
    ends: int  # of that challenge


class _Response(msgspec.Struct):
    clientDataJSON: str


class _Said(msgspec.Struct):
    id: str
    response: _Response


class _Client(msgspec.Struct):
    """What the browser says of itself, section 5.8.1."""

    challenge: str
    origin: str
    crossOrigin: bool = False


def place(context: Context) -> tuple[str, str]:
    """Return host and origin of the pages, which passkeys are bound to; raise `Denied` without any."""
    origin = context.settings.origin()
    host = urlsplit(origin).hostname
    if not host:
        raise Denied(NOT_HERE)
    return host, origin


# -- challenges -------------------------------------------------------------------------------------------------------


def challenge(context: Context, purpose: str, bound: bytes, account: int = 0) -> bytes:
    """Return a challenge for one *purpose*, *bound* to what only the browser that asked can show again."""
    ends = context.clock.now() + LASTS
    body = context.rng(NONCE) + ends.to_bytes(TIME, "big")
    return body + _mac(context, purpose, bound, account, body)


def _ends(context: Context, purpose: str, bound: bytes, account: int, shown: bytes) -> int:
    """Return when a challenge of ours ends; raise `Ended` for any other, and one that is over."""
    body, mac = shown[: NONCE + TIME], shown[NONCE + TIME :]
    if len(body) != NONCE + TIME or not hmac.compare_digest(mac, _mac(context, purpose, bound, account, body)):
        raise Ended(LATE)
    ends = int.from_bytes(body[NONCE:], "big")
    if ends <= context.clock.now():
        raise Ended(LATE)
    return ends


def _mac(context: Context, purpose: str, bound: bytes, account: int, body: bytes) -> bytes:
    where = hashlib.sha256(bound).digest()
    covered = framed("passkey challenge", ledger.era(context.reads), purpose, account, where, body)
    return hmac.digest(context.secrets.key("ticket"), covered, "sha256")


def use_up(rows: Rows, context: Context, shown: bytes, ends: int) -> None:
    """Note, in the transaction of what it is good for, that a challenge was answered; raise `Ended` the second time."""
    if not passkey_rows.take(rows, hashlib.sha256(shown).digest(), ends, context.clock.now()):
        raise Ended(LATE)


# -- answers ----------------------------------------------------------------------------------------------------------


def made(context: Context, purpose: str, bound: bytes, account: int, answer: bytes) -> Made:
    """Return the passkey that was made for a challenge, which the caller uses up; raise `Ended` or `Denied`."""
    from webauthn import verify_registration_response

    host, origin = place(context)
    said, shown = _read(answer)
    ends = _ends(context, purpose, bound, account, shown)
    found = _checked(
        verify_registration_response,
        credential=said,
        expected_challenge=shown,
        expected_rp_id=host,
        expected_origin=origin,
        require_user_verification=True,
    )
    if found is None or found.fmt not in FORMATS or len(found.credential_id) > CREDENTIAL:
        raise Denied(NOT_MADE)
    return Made(found.credential_id, found.credential_public_key, found.sign_count, _kept(found), shown, ends)


def answered(context: Context, purpose: str, bound: bytes, answer: bytes, account: int = 0) -> Passkey:
    """
    Return the passkey that answered a challenge, of *account* where one is given, and note that it was used.

    Raise `WrongSecret` for an answer that is not right, or one that a copy of the passkey may have given; `Ended` for
    a challenge that is not of this purpose, account and browser, is over, or was answered already.
    """
    from webauthn import verify_authentication_response

    host, origin = place(context)
    said, shown = _read(answer)
    ends = _ends(context, purpose, bound, account, shown)
    row = passkey_rows.by_credential(context.reads, _identifier(said))
    if row is None or (account and row.account != account):
        raise WrongSecret(WRONG)
    found = _checked(
        verify_authentication_response,
        credential=said,
        expected_challenge=shown,
        expected_rp_id=host,
        expected_origin=origin,
        credential_public_key=row.public_key,
        credential_current_sign_count=0,  # judged below, once the signature is known to be right
        require_user_verification=True,
    )
    if found is None or (_kept(found) == "device") != (row.kept == "device"):  # section 7.2 step 19: this never changes
        raise WrongSecret(WRONG)

    def note(rows: Rows) -> bool:
        use_up(rows, context, shown, ends)
        now = passkey_rows.passkey(rows, row.id)
        if now is None:
            raise WrongSecret(WRONG)  # removed a moment ago
        if (found.new_sign_count or now.counter) and found.new_sign_count <= now.counter:
            passkey_rows.change(rows, row.id, copied=context.clock.now())
            return False
        used = context.clock.now()
        passkey_rows.change(rows, row.id, counter=found.new_sign_count, used=used, kept=_kept(found))
        return True

    if not context.commit(note):
        context.log.warning("keeper.passkey-copied", passkey=row.id)
        raise WrongSecret(COPIED)
    return row


def _checked(verify: Any, **values: Any) -> Any:
    """Return what the library says of an answer, None for one that is not right or not well formed."""
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        return verify(**values)
    except (WebAuthnException, ValueError, LookupError, TypeError, EOFError, AttributeError, OverflowError):
        return None  # a stranger chose every octet of it


def _read(answer: bytes) -> tuple[str, bytes]:
    """Return an answer as text, and the challenge that it is to; raise `WrongSecret` for what is none."""
    try:
        if len(answer) > LONGEST:
            raise ValueError
        said = msgspec.json.decode(answer, type=_Said)
        client = msgspec.json.decode(_octets(said.response.clientDataJSON), type=_Client)
        if client.crossOrigin:
            raise ValueError  # in a frame of somebody else's page
        return answer.decode(), _octets(client.challenge)
    except (msgspec.MsgspecError, ValueError):
        raise WrongSecret(WRONG) from None


def _identifier(said: str) -> bytes:
    try:
        return _octets(msgspec.json.decode(said, type=_Said).id)
    except ValueError:
        raise WrongSecret(WRONG) from None


def _octets(text: str) -> bytes:
    """Return what base64url without padding stands for; raise ValueError."""
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _kept(found: Any) -> str:
    if found.credential_device_type.value != "multi_device":
        return "device"
    return "backed-up" if found.credential_backed_up else "synced"
