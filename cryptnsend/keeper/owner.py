"""What may the owner of the home order? Accounts, organisations, invitations, recovery, and what follows a restore."""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied
from cryptnsend.core.keys import box, unbox
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import framed
from cryptnsend.keeper import (
    accounts,
    api_tokens,
    archives,
    cards,
    contacts,
    glass_rows,
    hook_rows,
    ledger,
    mailed,
    own,
    passkey_rows,
    policies,
    recovery,
    weakness,
    wraps,
)
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.journal import Entry, replay
from cryptnsend.keeper.requests import Opened, OrganisationRow, RecoveryFile
from cryptnsend.keeper.rows import Account

CUSTODIES = ("managed", "strict")
GIVEN = ("subscriber", "officer", "manager")  # roles that are given and taken; their order is that of the journal


def organisation_add(context: Context, name: str, custody: str, code_rule: str) -> OrganisationRow:
    """Make an organisation."""
    if custody not in CUSTODIES or code_rule not in ("", *contacts.CODE_RULES):
        raise Denied("An organisation cannot be set up like this.")
    made = context.commit(
        lambda rows: archives.make_organisation(context, rows, name, single=False, custody=custody, code_rule=code_rule)
    )
    return cards.organisation_row(made)


def organisation_rule(context: Context, organisation: int, code_rule: str) -> OrganisationRow:
    """Change when an organisation's contacts need a code."""
    if code_rule not in ("", *contacts.CODE_RULES) or not organisation:
        raise Denied("An organisation cannot be set up like this.")
    context.commit(lambda rows: ledger.set_code_rule(rows, organisation, code_rule))
    changed = ledger.organisation(context.reads, organisation)
    if changed is None:
        raise Denied("There is no such organisation.")
    return cards.organisation_row(changed)


def add(
    context: Context,
    address: str,
    organisation: int | None,
    roles: Sequence[str],
    password: accounts.Password,
    name: str,
    locale: str,
) -> Opened:
    """Make an account on the owner's word; the same request again opens the same account."""
    if not roles or not set(roles) <= accounts.ROLES - {"recipient"}:
        raise Denied("An account cannot have these roles.")

    def make(rows: Rows) -> int:
        known = ledger.account_at(rows, address)
        if known is not None:
            if known.salt == password.salt:
                return known.id  # the answer of an earlier try was lost
            raise Denied("There is an account at this address already.")
        if organisation is not None and (not organisation or ledger.organisation(rows, organisation) is None):
            raise Denied("There is no such organisation.")
        account = mailed.add_subscriber(
            context,
            rows,
            address=address,
            proof="owner",
            org=organisation or 0,
            password=password,
            name=name,
            locale=locale,
            roles=tuple(roles),
        )
        return account.id

    ident = context.commit(make)
    account = accounts.row(context.reads, ident)
    seeds = wraps.seeds(context, context.reads, account, password.k)
    return accounts.opened(context, account, seeds, recovery=mailed.archive_file(context, account, seeds))


def disable(context: Context, address: str) -> Opened:
    """Stop an account from signing in, journal first; its tickets end."""
    account = _known(context, address)
    if account.state != "disabled":
        context.journal.append(context.clock.now(), "disable", (account.id, account.credential_version + 1))
        _set_state(context, account, "disabled")
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False)


def enable(context: Context, address: str) -> Opened:
    """Let a disabled account sign in again, weak if it was."""
    account = _known(context, address)
    if account.state == "disabled":
        if account.has("subscriber"):
            policies.check_subscriber(context.reads, account.org, ledger.addresses(context.reads, account.id)[0])
        context.journal.append(context.clock.now(), "enable", (account.id, account.credential_version + 1))
        _set_state(context, account, "active" if account.weak_since is None else "weak")
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False)


def seal_file(context: Context, name: str, octets: bytes) -> bytes:
    """Seal a file of the home for a backup, bound to its name; it opens only with this ledger and its master key."""
    return box(context.secrets.key("file"), octets, framed("file", name), context.rng)


def open_file(context: Context, name: str, sealed: bytes) -> bytes:
    """Return what `seal_file` sealed under this name; raise `SealBroken`."""
    return unbox(context.secrets.key("file"), sealed, framed("file", name))


def recovery_file(context: Context) -> RecoveryFile:
    """Make a recovery file of the installation."""
    return recovery.master_file(context.provider, context.clock.now(), context.rng)


def restored(context: Context) -> None:
    """
    Replay the journal over a ledger that came from a backup, and raise the era.

    An account whose password was changed or reset since cannot be signed in to with the password of the backup. It has
    to be reset by mail; that old password then opens its old pairs, so that nothing is lost.
    """
    entries = replay(context.settings.journal)
    if entries.damaged:
        context.log.warning("keeper.journal-damaged", lines=entries.damaged)

    def apply(rows: Rows) -> None:
        ledger.raise_era(rows, context.clock.now())
        # Before anything else gives cards new versions: these tell which changes of roles the backup has already.
        for roles in {entry.ids[0]: entry for entry in entries.entries if entry.kind == "roles"}.values():
            _take_roles(context, rows, roles)
        for entry in entries.entries:
            if entry.kind == "revoke":
                for device in entry.ids:
                    ledger.revoke_device(rows, device, entry.at)
                    api_tokens.end(rows, device, entry.at)
                    hook_rows.drop(rows, device, entry.at)
                    passkey_rows.drop(rows, device)  # ids are of both, and no two are the same
            elif entry.kind == "renew":
                _order_again(rows, entry)
            elif entry.kind in ("disable", "enable", "credential", "weak", "close"):
                _replay(context, rows, entry)

    context.commit(apply)


def journal_roles(context: Context, rows: Rows, account: Account) -> None:
    """Renew the card of an account whose roles are others now, and write into the journal which it has left."""
    holder = account_holder(account.id)
    cards.renew(context, rows, holder)
    version, _, _ = ledger.card(rows, holder) or (0, b"", b"")
    left = sum(1 << place for place, role in enumerate(GIVEN) if account.has(role))
    context.journal.append(context.clock.now(), "roles", (account.id, version, left))


def _take_roles(context: Context, rows: Rows, entry: Entry) -> None:
    """Take the roles from an account that were taken since the backup; none is given, nor a share in an archive."""
    if len(entry.ids) != 3:
        return
    ident, version, left = entry.ids
    account, written = ledger.account(rows, ident), ledger.card(rows, account_holder(ident))
    if account is None or account.state == "closed" or (written is not None and written[0] >= version):
        return  # it was made after the backup, or the backup has this already
    kept = [role for role in account.role_names if role not in GIVEN or left >> GIVEN.index(role) & 1]
    if len(kept) == len(account.role_names):
        return
    if account.has("officer") and "officer" not in kept:
        archives.unshare(rows, account)
    ledger.set_account(rows, ident, roles=",".join(kept or ["recipient"]))
    cards.renew(context, rows, account_holder(ident))


def _order_again(rows: Rows, entry: Entry) -> None:
    """Let accounts get new pairs at the next sign-in that got them after the backup, or were to."""
    for ident, version in zip(entry.ids[::2], entry.ids[1::2], strict=False):
        account = ledger.account(rows, ident)
        if account is not None and account.may_sign_in and account.credential_version < version:
            ledger.set_account(rows, ident, renew=entry.at)


def _replay(context: Context, rows: Rows, entry: Entry) -> None:
    if len(entry.ids) != 2:
        return
    ident, version = entry.ids
    account = ledger.account(rows, ident)
    if account is None or account.state == "closed" or account.credential_version >= version:
        return  # it was made after the backup, or the backup has this already
    if entry.kind == "close":
        own.end_for_good(context, rows, account, version)
        return
    values: dict[str, str | int | None] = {"credential_version": version}
    if entry.kind == "disable":
        values["state"] = "disabled"
    elif entry.kind == "enable":
        values["state"] = "active" if account.weak_since is None else "weak"
    else:
        weakness.shut(rows, account)
        if account.state == "active":
            values |= {"state": "weak", "weak_since": entry.at, "trusted_line": account.line}
    ledger.set_account(rows, ident, **values)
    cards.renew(context, rows, account_holder(ident))


def _set_state(context: Context, account: Account, state: str) -> None:
    def note(rows: Rows) -> None:
        ledger.set_account(rows, account.id, state=state, credential_version=account.credential_version + 1)
        if state == "disabled":
            glass_rows.end_all(rows, account.id, context.clock.now())
        cards.renew(context, rows, account_holder(account.id))

    context.commit(note)


def _known(context: Context, address: str) -> Account:
    account = ledger.account_at(context.reads, address)
    if account is None:
        raise Denied("There is no account at this address.")
    return account
