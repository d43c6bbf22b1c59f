"""What do programs send and get? Each type is checked when it arrives, and the OpenAPI document shows it as it is here.

Ids are texts, since they have 63 bits and a number in JSON often has 53. Times are UTC, as RFC 3339 writes them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.flow.api_mail import Letter, Told

JSON_OCTETS = 1 << 20  # largest text of JSON
PAGE, LONGEST_PAGE = 50, 100

Address = Annotated[
    str,
    Meta(min_length=3, max_length=400, description="An address, also with a name: Pat Doe <pat@example.org>."),
]
Ident = Annotated[str, Meta(pattern="^[0-9]{1,19}$", examples=["8123456789012345678"])]
PROTECTION = (
    "usual: as the rules say. sealed: always in the vault. plain: ordinary mail, where allowed. pdf: a locked PDF."
)


class Message(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to send. Name at least one recipient, and give a text, an HTML body or a file."""

    to: Annotated[list[Address], Meta(max_length=1000)] = []
    cc: Annotated[list[Address], Meta(max_length=1000)] = []
    bcc: Annotated[list[Address], Meta(max_length=1000, description="Shown to nobody.")] = []
    sender: Annotated[str, Meta(max_length=320, description="One of the account's own addresses.")] = ""
    subject: Annotated[str, Meta(max_length=900)] = ""
    text: Annotated[str, Meta(max_length=1_000_000)] = ""
    html: Annotated[str, Meta(max_length=1_000_000, description="Cleaned before it is sealed.")] = ""
    protection: Annotated[Literal["usual", "sealed", "plain", "pdf"], Meta(description=PROTECTION)] = "usual"
    expires_days: Annotated[int, Meta(ge=0, le=2555, description="How long it opens; 0 is the usual life.")] = 0

    def letter(self) -> Letter:
        """Return what is to be sent."""
        return Letter(
            tuple(self.to), tuple(self.cc), tuple(self.bcc), self.subject, self.text, self.html, self.sender,
            self.protection, self.expires_days,
        )  # fmt: skip


class Expiry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """From whom a message is taken back."""

    recipient: (
        Annotated[
            str, Meta(min_length=3, max_length=320, description="One recipient's address; everybody without one.")
        ]
        | UnsetType
    ) = UNSET


class Recipient(msgspec.Struct, kw_only=True):
    """How a message stands with one recipient."""

    address: str
    state: Annotated[
        Literal[
            "waiting", "notified", "delayed", "bounced", "fetched", "opened", "handoff", "readable", "relayed", "held",
            "ended",
        ],
        Meta(description="opened: its content was shown to the person who proved to be the recipient."),
    ]  # fmt: skip
    at: datetime | None = None
    needs_code: Annotated[bool, Meta(description="They need a code, which stands on the page of the message.")] = False
    decision: Annotated[
        Literal["vault", "handoff", "relay", "pdf", "encrypt", "hold"] | UnsetType, Meta(description="How it goes.")
    ] = UNSET


class MessageStatus(msgspec.Struct, kw_only=True):
    """What became of a message. Neither its subject nor its content: a token opens nothing."""

    id: Ident
    created: datetime
    expires: datetime | None
    size: Annotated[int, Meta(ge=0, description="Octets, as encoded.")]
    taken_back: bool
    recipients: list[Recipient]

    @classmethod
    def of(cls, told: Told) -> MessageStatus:
        """Say what is told of a message."""
        return cls(
            id=str(told.message),
            created=_time(told.created),
            expires=None if told.ends is None else _time(told.ends),
            size=told.size,
            taken_back=told.taken_back,
            recipients=[
                Recipient(
                    address=each.address,
                    state=each.state,  # type: ignore[arg-type]  # the flow's words are these
                    at=None if each.at is None else _time(each.at),
                    needs_code=each.needs_code,
                    decision=told.decisions.get(each.address, UNSET),  # type: ignore[arg-type]
                )
                for each in told.recipients
            ],
        )


class MessagePage(msgspec.Struct, kw_only=True):
    """Messages, newest first, and where the next ones begin."""

    messages: list[MessageStatus]
    next: Annotated[str | None, Meta(description="The cursor of the next page; null on the last one.")] = None


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a request came to nothing (RFC 9457)."""

    type: Annotated[str, Meta(description="urn:cryptnsend:problem: and the code.")]
    title: str
    status: Annotated[int, Meta(ge=400, le=599)]
    detail: Annotated[str, Meta(description="What happened, and what to do.")]
    code: Annotated[str, Meta(description="A word for programs; it never changes its meaning.")]
    field: Annotated[str, Meta(description="The field of the request that is meant.")] = ""


class BadRequest(CryptnSendError):
    """A request that cannot be read; *field* says where, if that is known."""

    def __init__(self, text: str, code: str = "malformed", field: str = "", status: int = 400):
        super().__init__(text)
        self.code, self.field, self.status = code, field[:64], status


def read(kind: Any, octets: bytes) -> Any:
    """Return what *octets* of JSON say, checked; raise `BadRequest`, which names what is wrong."""
    if len(octets) > JSON_OCTETS:
        raise BadRequest(
            f"The JSON has more than {JSON_OCTETS:,} octets. Send long content as a file.", "too-large", "", 413
        )
    try:
        found = msgspec.json.decode(octets, type=kind)
    except msgspec.ValidationError as wrong:
        raise BadRequest(f"{wrong}.", "invalid", _place(str(wrong)), 422) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("This is no JSON text in UTF-8 (RFC 8259).") from None
    # What was decoded has a flat shape, so that this reads it without a danger from its depth.
    json.loads(octets, object_pairs_hook=_each_once)
    for name in msgspec.structs.asdict(found):
        value = getattr(found, name)
        if isinstance(value, str) and "\0" in value:
            raise BadRequest("There is a NUL in it, which no mail may contain.", "invalid", name, 422)
    return found


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in pairs:
        if name in seen:
            raise BadRequest(f"The field {name[:64]!r} stands there twice.", "invalid", name, 422)
        seen[name] = value
    return seen


def _place(said: str) -> str:
    """Return the field that a complaint of msgspec names: "... `bccc`" or "... - at `$.to[0]`"."""
    inside = said.split("`")
    return inside[-2].removeprefix("$.") if len(inside) > 2 else ""


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
