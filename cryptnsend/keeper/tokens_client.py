"""How do the portal and the owner's commands ask the keeper about tokens of programs?"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.keeper import credentials
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.channel import Channel


class TokenRequests(Channel):
    """Requests about tokens of programs; see client.py."""

    def token_add(self, ticket: bytes, k: bytes, scopes: Sequence[str], days: int) -> credentials.NewDevice:
        """Make a token for who is signed in and typed the password again; its secret is in this answer only."""
        return self._ask(credentials.NewDevice, "token_add", ticket=ticket, k=k, scopes=list(scopes), days=days)

    def token_revoke(self, ticket: bytes, token: int) -> None:
        """Revoke a token; it fails from the next check on."""
        self._ask(type(None), "token_revoke", ticket=ticket, token=token)

    def check_token(self, token: int, secret: bytes) -> q.Who:
        """Return whose token it is, `scope` saying what for; raise `WrongSecret` for whatever is no live one."""
        return self._ask(q.Who, "check_token", token=token, secret=secret)

    def token_list(self, address: str) -> list[credentials.ApiTokenRow]:
        """Return the tokens of an account (owner)."""
        return self._ask(list[credentials.ApiTokenRow], "token_list", address=address)

    def revoke_token(self, token: int) -> None:
        """Revoke a token of any account (owner)."""
        self._ask(type(None), "revoke_token", token=token)

    def hook_add(
        self, ticket: bytes, k: bytes, url: str, events: Sequence[str], *, whole: bool = False, code: str = ""
    ) -> credentials.NewHook:
        """
        Make a webhook for who is signed in and typed the password again (portal).

        With *whole* it hears what happens to the mail of everybody in the organisation; *code* is the second step then.
        """
        given = {"url": url, "events": list(events), "whole": whole, "code": code}
        return self._ask(credentials.NewHook, "hook_add", ticket=ticket, k=k, **given)

    def hook_rotate(self, ticket: bytes, k: bytes, hook: int, code: str = "") -> credentials.NewHook:
        """Make a new secret for a webhook; the one before signs beside it for some days (portal)."""
        return self._ask(credentials.NewHook, "hook_rotate", ticket=ticket, k=k, hook=hook, code=code)

    def hook_end(self, ticket: bytes, hook: int) -> None:
        """End a webhook (portal)."""
        self._ask(type(None), "hook_end", ticket=ticket, hook=hook)

    def end_hook(self, hook: int) -> None:
        """End a webhook of any account or organisation (owner)."""
        self._ask(type(None), "end_hook", hook=hook)

    def hook(self, hook: int) -> credentials.HookPlace:
        """Return where a webhook's events go and what signs them; raise `NoGrant` for one that ended (courier)."""
        return self._ask(credentials.HookPlace, "hook", hook=hook)
