"""What does the owner of a home ask the keeper? People and organisations, and files for safe places."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.keeper import credentials
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.channel import Channel


class Ruling(Channel):
    """Requests of the owner's commands; see client.py."""

    def organisation_add(self, name: str, custody: str, code_rule: str) -> q.OrganisationRow:
        """Make an organisation; its archive comes with its first officer."""
        return self._ask(q.OrganisationRow, "organisation_add", name=name, custody=custody, code_rule=code_rule)

    def organisation_rule(self, organisation: int, code_rule: str) -> q.OrganisationRow:
        """Change when the organisation's contacts need a code."""
        return self._ask(q.OrganisationRow, "organisation_rule", organisation=organisation, code_rule=code_rule)

    def organisation_policy(self, organisation: int, text: str) -> q.PolicyTaken:
        """Say which rules an organisation has of its own."""
        return self._ask(q.PolicyTaken, "organisation_policy", organisation=organisation, text=text)

    def end_partners(self, organisation: int, text: str) -> q.PolicyTaken:
        """Say the same rules without the numbers of partners whose domains are proven no more (courier)."""
        return self._ask(q.PolicyTaken, "end_partners", organisation=organisation, text=text)

    def organisation_look(self, organisation: int, text: str) -> q.PolicyTaken:
        """Say how an organisation looks."""
        return self._ask(q.PolicyTaken, "organisation_look", organisation=organisation, text=text)

    def add(
        self,
        address: str,
        organisation: int | None,
        roles: Sequence[str],
        salt: bytes,
        params: str,
        k: bytes,
        name: str,
        locale: str = "",
    ) -> q.Opened:
        """
        Make an account on the owner's word; without *organisation* it gets one of its own.

        Roles: subscriber, officer, manager. `recovery` of the answer is the archive's file where one was made.
        """
        return self._ask(
            q.Opened,
            "add",
            address=address,
            organisation=organisation,
            roles=list(roles),
            salt=salt,
            params=params,
            k=k,
            name=name,
            locale=locale,
        )

    def invite(self, address: str, organisation: int, name: str) -> q.MailProof:
        """Invite a subscriber, into *organisation* or, if that is 0, into one of their own."""
        return self._ask(q.MailProof, "invite", address=address, organisation=organisation, name=name)

    def disable(self, address: str) -> q.Opened:
        """Stop an account from signing in; `seeds` of the answer is empty."""
        return self._ask(q.Opened, "disable", address=address)

    def enable(self, address: str) -> q.Opened:
        """Let a disabled account sign in again; `seeds` of the answer is empty."""
        return self._ask(q.Opened, "enable", address=address)

    def passwd(self, address: str, salt: bytes, params: str, k: bytes, old_k: bytes | None = None) -> q.Opened:
        """Set a password; without the old one it is a weak reset."""
        return self._ask(q.Opened, "passwd", address=address, salt=salt, params=params, k=k, old_k=old_k)

    def confirm_account(self, address: str) -> None:
        """Confirm, as the owner of the server, that who reset an account's password is who they say."""
        self._ask(type(None), "confirm_account", address=address)

    def revoke(self, device: int) -> None:
        """Revoke a device password of any account."""
        self._ask(type(None), "revoke", device=device)

    def device_list(self, address: str) -> list[credentials.DeviceRow]:
        """Return the devices of an account."""
        return self._ask(list[credentials.DeviceRow], "device_list", address=address)

    def seal_file(self, name: str, octets: bytes) -> bytes:
        """Seal a file of the home for a backup, bound to its name (owner)."""
        return self._ask(bytes, "seal_file", name=name, octets=octets)

    def open_file(self, name: str, sealed: bytes) -> bytes:
        """Open a file from a backup; raise `SealBroken` for another name or another installation's (owner)."""
        return self._ask(bytes, "open_file", name=name, sealed=sealed)

    def recovery_file(self) -> q.RecoveryFile:
        """Make a recovery file of the installation: the master key under a fresh code."""
        return self._ask(q.RecoveryFile, "recovery_file")
