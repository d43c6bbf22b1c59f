"""What can an account's owner see of its own doings? Browsers that are signed in, the access log, the recovery file."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import NoGrant
from cryptnsend.core.model import account_holder
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.mainrows import take_opened
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views_accounts import Browser, Doing
from cryptnsend.keeper.requests import RecoveryFile
from cryptnsend.store.records import messages, oversight, sessions

DAY = 86_400_000  # milliseconds


class Oversight(People):
    """What somebody who is signed in watches over."""

    def password_age(self, session: Session) -> int:
        """Return for how many whole days this account has had its password; 0 where nobody noted it."""
        since = oversight.password_since(self._engine, account_holder(session.account))
        return 0 if since is None else max(0, (self._clock.now() - since) // DAY)

    def browsers(self, session: Session) -> list[Browser]:
        """Return where this account is signed in, the one that asks first."""
        found = [
            Browser(row["id_hash"].hex(), row["agent"], row["created"], row["seen"], row["id_hash"] == session.id_hash)
            for row in oversight.browsers(self._engine, session.account)
        ]
        return sorted(found, key=lambda each: not each.is_this)

    def end_browser(self, session: Session, ident: str) -> None:
        """Sign a browser out; raise NoGrant if it is none of this account's."""
        id_hash = bytes.fromhex(ident) if len(ident) == 64 and all(c in "0123456789abcdef" for c in ident) else b""

        def write(rows: Rows) -> None:
            if not oversight.end_browser(rows, session.account, id_hash):
                raise NoGrant("There is no such browser.")
            self._did(rows, session, "account.signed-out", {"browser": "another"})

        self._engine.write(write).result()

    def set_rest(self, session: Session, minutes: int) -> None:
        """Let every session of this account end after so many minutes without a tap; 0 for as late as may be."""

        def write(rows: Rows) -> None:
            sessions.set_rest(rows, session.organisation, session.account, minutes)
            self._did(rows, session, "account.rest", {"minutes": minutes})

        self._engine.write(write).result()

    def access_log(self, session: Session, before: int | None = None, limit: int = 50) -> Sequence[Doing]:
        """
        Return what was done as this account, or to it by who runs the server, the latest first.

        *before* is the time of the last one seen.
        """
        rows = oversight.doings(self._engine, session.account, NEWEST if before is None else before, limit)
        return [_doing(row) for row in rows]

    # -- the file that opens the archive ------------------------------------------------------------------------------

    def recovery_file_is_missing(self, session: Session) -> bool:
        """Say whether this officer has yet to confirm that the archive's recovery file is in a safe place."""
        if "officer" not in session.roles:
            return False
        return not oversight.marked(self._engine, session.account, oversight.RECOVERY_FILE)

    def confirm_recovery_file(self, session: Session) -> None:
        """Note that the officer has the file in a safe place; raise NoGrant for everybody else."""
        if "officer" not in session.roles:
            raise NoGrant("There is nothing to confirm.")
        now = self._clock.now()

        def write(rows: Rows) -> None:
            oversight.mark(rows, session.organisation, session.account, oversight.RECOVERY_FILE, now)
            self._did(rows, session, "recovery.confirmed", {})

        self._engine.write(write).result()

    def recovery_file(self, session: Session, password: str, code: str, source: str) -> RecoveryFile:
        """
        Make another recovery file of the archive and return it, this once. Earlier ones open it too.

        All officers are told. Raises WrongSecret, Throttled, and Denied where it takes two officers.
        """
        k = self._confirmed(session, password, source)
        made = self._keeper.archive_recovery(session.ticket, k, code)
        others = [each for each in oversight.officers(self._engine, session.organisation) if each != session.account]
        mails = [self._mail("alert", "recovery-file-made", session.account)]
        mails += [self._mail("alert", "recovery-file-made-by-officer", each) for each in others]

        def write(rows: Rows) -> None:
            self._did(rows, session, "recovery.made", {})
            messages.add_deliveries(rows, mails)

        self._engine.write(write).result()
        self._wake()
        return made

    def replace_archive_key(self, session: Session, password: str, code: str, source: str) -> RecoveryFile | None:
        """
        Give the archive a new key and return its recovery file, this once; None where it takes two officers.

        Who opened the archive opens all of it; who only has what opened it before opens nothing that is sent from now
        on, and recovery files of before open nothing here any more. All officers are told, and asked for the new file.
        Raises WrongSecret, Throttled, NoGrant where this officer does not open the archive, and Denied.
        """
        k = self._confirmed(session, password, source)
        opened = self._keeper.archive_replace(session.ticket, k, code)
        officers = oversight.officers(self._engine, session.organisation)
        mails = [
            self._mail("alert", "archive-key" if each == session.account else "archive-key-by-officer", each)
            for each in officers
        ]

        def note(rows: Rows) -> None:
            for each in officers:
                oversight.unmark(rows, each, oversight.RECOVERY_FILE)
            self._did(rows, session, "archive.key-replaced", {})
            messages.add_deliveries(rows, mails)

        take_opened(self._engine, self._keeper, self._clock, self._random, opened, note)
        self._wake()
        return opened.recovery


def _doing(row: Row) -> Doing:
    said, action, about = json.loads(row["detail"]), row["action"], row["object"]
    return Doing(
        at=row["at"],
        action=action,
        message=int(about) if action.startswith("message.") and about.isdecimal() else 0,
        source=str(said.get("source", "")),
        agent=str(said.get("agent", "")),
        by_operator=row["actor"] == oversight.OPERATOR,
        user=str(said.get("login", said.get("user", ""))),
    )
