"""What does the courier ask the keeper? Where mail of ours goes, what stands in it, and what opens what leaves."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.keeper import requests as q
from cryptnsend.keeper.channel import Channel


class Posting(Channel):
    """Requests of the courier; see client.py."""

    def notice(self, address: str, subscriber: int, message: int, author: str = "") -> q.Notice:
        """
        Return where a notice goes and its tokens; the same for each try.

        *author* is who gets answers to the notice, by default the subscriber.
        """
        return self._ask(q.Notice, "notice", address=address, subscriber=subscriber, message=message, author=author)

    def reply_token(self, address: str, subscriber: int, message: int) -> q.Token:
        """Return the local part that stands for *address* in this thread."""
        return self._ask(q.Token, "reply_token", address=address, subscriber=subscriber, message=message)

    def receipt(self, subscriber: int, addresses: Sequence[str]) -> q.Receipt:
        """Return where the subscriber's receipt goes, and the codes it tells."""
        return self._ask(q.Receipt, "receipt", subscriber=subscriber, addresses=list(addresses))

    def queue(self, grant: q.QueueGrant) -> q.Leaving:
        """Open mail that waits to leave; raise `SealBroken` if the grant is not for this delivery."""
        return self._ask(q.Leaving, "queue", grant=grant)

    def mail_code(self, ident: int) -> q.MailCode:
        """Return the code to mail; raise `NoGrant` where nothing is to be mailed."""
        return self._ask(q.MailCode, "mail_code", ident=ident)

    def closed(self, account: int) -> int:
        """Return the number of the mail that tells its owner that the account is closed; 0 for one that is not."""
        return self._ask(int, "closed", account=account)

    def resets(self) -> list[q.Reset]:
        """Return the resets by mail of the last day."""
        return self._ask(list[q.Reset], "resets")

    def bounce(self, delivery: int) -> q.Token:
        """Return the local part that failures of this delivery come back to."""
        return self._ask(q.Token, "bounce", delivery=delivery)

    def invitation(self, ident: int) -> q.Invitation:
        """Return the invitation to mail; raise `NoGrant` if it was used or taken back."""
        return self._ask(q.Invitation, "invitation", ident=ident)

    def alert(self, account: int) -> str:
        """Return the address that alerts about an account go to."""
        return self._ask(str, "alert", account=account)

    def warning(self, account: int) -> q.Notice:
        """Return where the warning after a weak reset goes, and the link by which its reader objects to it."""
        return self._ask(q.Notice, "warning", account=account)
