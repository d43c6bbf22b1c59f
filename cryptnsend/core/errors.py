"""What can go wrong, by what the caller does about it.

    CryptnSendError
    ├── Refusal            a permanent no to the sender of a message: SMTP 5xx, HTTP 4xx
    │   ├── TooBig
    │   ├── NotAuthor
    │   ├── Unencrypted
    │   ├── Malformed
    │   ├── Infected       a virus scanner found something
    │   └── Spam
    ├── Temporary          not now: SMTP 4xx, HTTP 503; nothing was kept
    │   ├── KeeperGone
    │   ├── ScannerGone
    │   ├── NotYet         a spam filter asks to come again
    │   ├── Enough         a day's share is used up
    │   └── StoreBroken
    ├── Denied             the keeper or a flow says no to a person: wrong code, wrong password, not yours
    │   ├── WrongSecret    counts as a guess
    │   ├── NoGrant        there is nothing here for this holder
    │   └── Ended          it existed, and was taken back, expired or revoked
    ├── SealBroken         sealed octets fail their check: damage or tampering, never a wrong password
    └── ConfigError        names file, key, value and what is allowed

`str()` of every one of them may be shown to the person concerned, so it tells no secrets.
"""

from __future__ import annotations


class Sentence(str):
    """
    A text for people that names or figures were put into, and what it was before.

    *words* has its holes as %(name)s, and *values* is what goes in; whoever shows it in another language fills them
    anew. A value may be a sentence itself.
    """

    words: str
    values: dict[str, str | int]

    def __new__(cls, words: str, /, **values: str | int) -> Sentence:
        """Return the text in English."""
        said = super().__new__(cls, words % values)
        said.words, said.values = words, values
        return said


class CryptnSendError(Exception):
    """The root; never raised itself."""

    @property
    def text(self) -> str:
        """What it says: words as they stand in the source, or a `Sentence`."""
        said = self.args[0] if self.args else ""
        return said if isinstance(said, str) else str(said)


class Refusal(CryptnSendError):
    """We do not take this message. Carries the SMTP reply (RFC 5321 §4.2.3) and enhanced code (RFC 3463)."""

    code, status = 550, "5.7.1"

    def __init__(self, text: str, *, code: int | None = None, status: str | None = None):
        super().__init__(text)
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status


class TooBig(Refusal):
    """The message has more octets than may be sent; both figures are octets as encoded."""

    code, status = 552, "5.3.4"

    def __init__(self, size: int, limit: int):
        figures = Sentence(
            "The message has %(size)s bytes; at most %(limit)s can be sent.", size=f"{size:,}", limit=f"{limit:,}"
        )
        super().__init__(figures)
        self.size, self.limit = size, limit


class NotAuthor(Refusal):
    """The author of the message is not the subscriber who signed in."""

    code, status = 550, "5.7.1"


class Unencrypted(Refusal):
    """The connection is not encrypted yet (RFC 3207 §4)."""

    code, status = 530, "5.7.0"


class Malformed(Refusal):
    """Octets that no mail may contain: bare CR, bare LF, NUL (RFC 5321 §2.3.8)."""

    code, status = 550, "5.5.2"


class Infected(Refusal):
    """A virus scanner found something; *finding* is its name for it, printable and short."""

    code, status = 554, "5.7.1"

    def __init__(self, finding: str):
        super().__init__(
            Sentence("The virus scanner found %(what)s in this message, so it was not taken.", what=finding)
        )
        self.finding = finding


class Spam(Refusal):
    """A spam filter is sure that nobody wants this."""

    code, status = 554, "5.7.1"


class Temporary(CryptnSendError):
    """Not now; nothing was kept, and trying again later is right."""

    code, status = 451, "4.3.0"


class KeeperGone(Temporary):
    """The keeper does not answer, or has no master key."""


class ScannerGone(Temporary):
    """
    A scanner that has to look at a message cannot. The text is for whoever sends; *why* is for the log.

    *waited* says that it was waited for in vain, so that others need not wait as well.
    """

    code, status = 451, "4.7.1"

    def __init__(self, why: str, *, waited: bool = False):
        super().__init__(
            Sentence("A scanner has to look at this message first, and does not answer. Try again in a minute.")
        )
        self.why, self.waited = why, waited


class NotYet(Temporary):
    """A spam filter wants to see the message once more, later."""

    code, status = 451, "4.7.1"


class Enough(Temporary):
    """What somebody may send, or be kept, in a day is used up; the text says when it goes on."""

    code, status = 450, "4.7.1"


class StoreBroken(Temporary):
    """Rows or blobs cannot be made durable at this moment."""


class BlobGone(StoreBroken):
    """The sealed content of one message is missing, or is not whole; the store itself may be well."""


class StoreFull(StoreBroken):
    """There is no room left (RFC 3463: 4.3.1)."""

    code, status = 452, "4.3.1"


class Denied(CryptnSendError):
    """A person may not do this. The text says what to do next."""


class WrongSecret(Denied):
    """A code, password or proof that does not fit; `tries_left` is None where tries are not counted."""

    def __init__(self, text: str, *, tries_left: int | None = None):
        super().__init__(text)
        self.tries_left = tries_left


class SecondStep(Denied):
    """The password was right, and the account asks for a number besides; *held* is the keeper's, for that number."""

    def __init__(self, text: str, *, held: bytes = b""):
        super().__init__(text)
        self.held = held


class Throttled(Denied):
    """Too many failures from this source; `retry_after` is seconds."""

    def __init__(self, text: str, *, retry_after: int):
        super().__init__(text)
        self.retry_after = retry_after


class NoGrant(Denied):
    """There is nothing here for this holder: not theirs, or not there; both look alike."""


class Ended(Denied):
    """It existed and has ended: taken back, expired, revoked."""


class SealBroken(CryptnSendError):
    """Sealed octets fail their check: damage or tampering. Never means a wrong password."""


class ConfigError(CryptnSendError):
    """The configuration cannot be used; the text names file, key, value and what is allowed."""
