"""How does somebody set up a second step after their password, trust a browser, and end both?"""

from __future__ import annotations

from cryptnsend.core import passwords
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session


class SecondSteps(People):
    """The second step of who is signed in: a number that changes, from a program on their phone."""

    def has_second_step(self, session: Session) -> bool:
        """Say whether this account asks for a number."""
        return self._keeper.second_state(session.ticket)

    def begin_second_step(self, session: Session, password: str, source: str) -> bytes:
        """Return the secret that a phone makes its numbers from, this once; raise WrongSecret, Throttled, Denied."""
        k = self._confirmed(session, password, source)
        return self._keeper.second_begin(session.ticket, k).secret

    def begun_second_step(self, session: Session, code: str) -> str:
        """
        Take the first number, and return a fresh recovery code: it stands in for a phone that is lost.

        Raises WrongSecret, Throttled, or Ended if nothing was begun.
        """
        self._keeper.second_begun(session.ticket, code)
        recovery = passwords.new_recovery_code(self._random)
        self._keeper.store_wraps(session.ticket, "recovery", passwords.recovery_key(recovery), session.seeds)
        self._note(session, "account.second-begun", {})
        self._alert(session.account, "second-begun")
        return recovery

    def end_second_step(self, session: Session, password: str, code: str, source: str) -> None:
        """End the second step by password and number; raise WrongSecret or Throttled."""
        k = self._confirmed(session, password, source)
        self._keeper.second_end(session.ticket, k, code)
        self._note(session, "account.second-ended", {})
        self._alert(session.account, "second-ended")

    def trust(self, session: Session) -> bytes:
        """Return what this browser shows in the place of a number from now on; empty where none may be trusted."""
        made = self._keeper.trust(session.ticket)
        if made:
            self._note(session, "account.browser-trusted", {})
        return made

    def forget_browsers(self, session: Session) -> None:
        """Trust no browser any more."""
        self._keeper.forget_browsers(session.ticket)
        self._note(session, "account.browsers-forgotten", {})
