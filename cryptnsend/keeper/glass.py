"""May an officer open the archive now? Glass breaks: asked for, agreed to where two are needed, and over by themselves.

The archive's seed is sealed to officers' own pairs, so that nothing here opens it without an officer's password. What
the ledger adds is who else must say yes, for whose mailbox it is, and until when: it is given out for no other, and a
ticket alone is not enough.
"""

from __future__ import annotations

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended, Sentence
from cryptnsend.core.model import new_id
from cryptnsend.core.names import legible
from cryptnsend.keeper import archives, everyone, glass_rows, ledger, passkeys, policies, tickets
from cryptnsend.keeper import second as steps
from cryptnsend.keeper.context import DAY, Context
from cryptnsend.keeper.requests import GlassBreak, GlassOpened, Recovered, Witnessed
from cryptnsend.keeper.rows import Account, Glass

MINUTE = 60_000  # milliseconds
SHORTEST, LONGEST = 5, 480  # minutes for which one may be open
REASON = 10  # characters at least
RECOVERED = 15  # minutes for which an export by a recovery file may take
WAITS = DAY  # for which another officer may agree, and the first one open it then
OVER = "This glass break is over. Ask for another one, with its own reason."
NOT_THIS_FILE = "This recovery file opens no archive that is here."
TWO_FIRST = (
    "This archive opens with two officers, so a file alone opens nothing. `cryptnsend archive rule one` ends that, and "
    "stands in the audit trail."
)
NOT_ONESELF = "Another officer has to agree, not the one who asks."
NO_REASON = "Say in a sentence why this mailbox has to be opened. It stands in the audit trail."


def ask(
    context: Context, ticket: bytes, k: bytes, code: str, mailbox: str, reason: str, minutes: int, second: str
) -> GlassOpened:
    """
    Begin a glass break for one mailbox; it is open at once where the organisation asks for one officer only.

    Where it asks for two, *second* is the address of the one who is to agree, and nobody else can.
    Raise `Denied` to everybody else and without a reason, `WrongSecret`, `NoGrant`, `Throttled`.
    """
    if len(legible(reason)) < REASON:
        raise Denied(NO_REASON)
    if not SHORTEST <= minutes <= LONGEST:
        raise Denied(
            Sentence(
                "A glass break lasts between %(least)s minutes and %(most)s hours.", least=SHORTEST, most=LONGEST // 60
            )
        )
    officer = _officer(context, ticket)
    seeds = steps.shown(context, officer, k, code)
    pair, seed = archives.opened(context.reads, officer, seeds)
    now = context.clock.now()
    alone = not needs_two(context.reads, officer.org)
    named = None if alone else _named(context, officer, second).id
    made = Glass(
        id=new_id(now, context.rng),
        org=officer.org,
        officer=officer.id,
        mailbox=mailbox,
        minutes=minutes,
        asked=now,
        agreed_by=None,
        opened=now if alone else None,
        ends=now + minutes * MINUTE if alone else None,
        second=named,
    )

    def note(rows: Rows) -> None:
        _is_still(rows, officer)
        ledger.insert(rows, "glass_breaks", made)

    context.commit(note)
    return GlassOpened(_said(made), archives.whole(context.reads, pair, seed) if alone else {})


def agree(context: Context, ticket: bytes, k: bytes, code: str, ident: int) -> GlassBreak:
    """Let the officer whom the question names say yes, and nobody else. Raise `Denied`, `Ended`, `WrongSecret`."""
    officer = _officer(context, ticket)
    asked = _asked(context, context.reads, officer, ident)
    if _are_one(context.reads, asked.officer, officer.id):
        raise Denied(NOT_ONESELF)
    if asked.second != officer.id:
        raise Denied("Another officer was named to agree to this one.")
    archives.opened(context.reads, officer, steps.shown(context, officer, k, code))

    def note(rows: Rows) -> Glass:
        _is_still(rows, officer)
        now = _asked(context, rows, officer, ident)
        if now.agreed_by is None:
            glass_rows.set_glass(rows, ident, agreed_by=officer.id)
        return _known(rows, officer, ident)

    return _said(context.commit(note))


def open_agreed(context: Context, ticket: bytes, k: bytes, code: str, ident: int) -> GlassOpened:
    """Open what another officer agreed to, or go on with what is open, for the officer who asked for it."""
    officer = _officer(context, ticket)
    asked = _asked(context, context.reads, officer, ident)
    if asked.officer != officer.id:
        raise Denied("Only the officer who asked for it can open it.")
    if asked.agreed_by is None and needs_two(context.reads, officer.org):
        raise Denied("Another officer has to agree first.")
    pair, seed = archives.opened(context.reads, officer, steps.shown(context, officer, k, code))

    def note(rows: Rows) -> Glass:
        _is_still(rows, officer)
        now, at = _asked(context, rows, officer, ident), context.clock.now()
        if now.opened is None:
            glass_rows.set_glass(rows, ident, opened=at, ends=at + now.minutes * MINUTE)
        return _known(rows, officer, ident)

    return GlassOpened(_said(context.commit(note)), archives.whole(context.reads, pair, seed))


def end(context: Context, ticket: bytes, ident: int) -> GlassBreak:
    """End a glass break before its time; any officer of the organisation may."""
    officer = _officer(context, ticket)

    def note(rows: Rows) -> Glass:
        known, now = _known(rows, officer, ident), context.clock.now()
        if known.ends is None or known.ends > now:
            glass_rows.set_glass(rows, ident, ends=now)
        return _known(rows, officer, ident)

    return _said(context.commit(note))


def running(context: Context, ticket: bytes, ident: int) -> GlassBreak:
    """Return a glass break that is open at this moment and this officer's; raise `Ended`, `Denied`."""
    officer = _officer(context, ticket)
    known = _known(context.reads, officer, ident)
    if known.officer != officer.id or known.opened is None or known.ends is None:
        raise Denied(OVER)
    if not known.opened <= context.clock.now() < known.ends:
        raise Ended(OVER)
    return _said(known)


def seal_export(context: Context, ticket: bytes, ident: int, entries: int, digest: bytes) -> Witnessed:
    """Sign the list of an export out of the archive, while its glass break is open."""
    running(context, ticket, ident)
    if len(digest) != 32:
        raise Denied("This is no hash of a list.")
    return everyone.witness(context, "export", tickets.signed_in(context, context.reads, ticket).org, entries, digest)


def recovery_ticket(context: Context, pair: int) -> bytes:
    """
    Return a ticket for one export, sealed to an archive's own pair: only its recovery file opens it.

    So the file is shown without its seed leaving the hands of who has it, and no officer is needed. Where the
    organisation asks for two, whoever runs the server has to end that rule first, in everybody's sight.
    """
    found = ledger.pair(context.reads, pair)
    if found is None or found.role != "archive" or found.state != "current":
        raise Denied(NOT_THIS_FILE)
    if needs_two(context.reads, found.org):
        raise Denied(TWO_FIRST)
    ticket = tickets.seal(
        context, tickets.RecoveryTicket(pair, context.clock.now() + RECOVERED * MINUTE, context.rng(8))
    )
    return keys.seal_to(found.public, ticket, label="recovery", owner=found.holder, holder=found.holder, ref=pair)


def recovered(context: Context, ticket: bytes) -> Recovered:
    """Return whose archive a recovery file opened, and until when; raise `Denied`, `Ended`."""
    shown = tickets.read_recovery(context, ticket)
    found = ledger.pair(context.reads, shown.pair)
    if found is None or found.state != "current":
        raise Denied(NOT_THIS_FILE)
    if needs_two(context.reads, found.org):
        raise Denied(TWO_FIRST)
    return Recovered(found.org, shown.ends, tuple(archives.earlier(context.reads, found.holder)))


def seal_recovered(context: Context, ticket: bytes, entries: int, digest: bytes) -> Witnessed:
    """Sign the list of an export that a recovery file opened, while its time lasts."""
    organisation = recovered(context, ticket).organisation
    if len(digest) != 32:
        raise Denied("This is no hash of a list.")
    return everyone.witness(context, "export", organisation, entries, digest)


def two_officers(context: Context, organisation: int, two: bool) -> None:
    """Set whether a glass break of an organisation needs a second officer."""
    if ledger.organisation(context.reads, organisation) is None or not organisation:
        raise Denied("There is no such organisation.")
    if two and len(ledger.officers(context.reads, organisation)) < 2:
        raise Denied("This organisation has no second officer who could agree.")
    context.commit(lambda rows: glass_rows.set_two_officers(rows, organisation, two))


def confirm(context: Context, ticket: bytes, k: bytes, code: str) -> None:
    """
    Check that it is an officer who is signed in: by the password, and the number if the last one is not fresh.

    Raise `Denied`, `WrongSecret`, `Throttled`, `SecondStep` without a number that is needed.
    """
    _shown_again(context, _officer(context, ticket), k, code)


def take_two(context: Context, ticket: bytes, k: bytes, code: str) -> None:
    """
    Let the archive open with two officers from now on, by the word of one.

    The way back is the server owner's, so that nobody who may open it with another's yes takes that need away.
    """
    officer = _officer(context, ticket)
    _shown_again(context, officer, k, code)
    two_officers(context, officer.org, True)


def takes_two(context: Context, ticket: bytes) -> bool:
    """Say whether one's archive opens with two officers."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    if not account.has("officer") or not account.org:
        raise Denied(archives.NOT_OFFICER)
    return needs_two(context.reads, account.org)


def manifest(context: Context, organisation: int, seq: int, head: bytes) -> Witnessed:
    """Note how far an archive's manifest has come, never backwards, and sign it."""
    if len(head) != 32 or ledger.organisation(context.reads, organisation) is None:
        raise Denied("This is no manifest of an archive here.")

    def note(rows: Rows) -> None:
        known = glass_rows.manifest_head(rows, organisation)
        if known is not None and (seq < known[0] or (seq == known[0] and head != known[1])):
            raise Denied("The archive's manifest was another one before: entries are missing or were changed.")
        glass_rows.set_manifest_head(rows, organisation, seq, head)

    context.commit(note)
    return everyone.witness(context, "manifest", organisation, seq, head)


def manifest_fits(context: Context, organisation: int, seq: int, head: bytes) -> bool:
    """Say whether an archive's manifest, as far as it was signed, is the one that ends so; give and note nothing."""
    known = glass_rows.manifest_head(context.reads, organisation)
    return known is None or seq > known[0] or (seq, head) == known


def needs_two(reads: ledger.Reads, org: int) -> bool:
    """Say whether one officer alone does not open the archive of an organisation."""
    found = ledger.organisation(reads, org)
    return found is None or bool(found.two_officers)


# -- inside -----------------------------------------------------------------------------------------------------------


def _shown_again(context: Context, officer: Account, k: bytes, code: str) -> None:
    passkeys.confirm(context, officer, k)
    if steps.is_on(context.reads, officer.id):
        steps.check_fresh(context, officer, code)


def _officer(context: Context, ticket: bytes) -> Account:
    account = tickets.signed_in_well(context, context.reads, ticket)
    if not account.has("officer") or not account.org:
        raise Denied(archives.NOT_OFFICER)
    own = ledger.organisation(context.reads, account.org)
    # Somebody alone opens what is theirs anyway; whoever looks after others' mail has shown more than a password.
    if (own is None or not own.single) and not steps.is_on(context.reads, account.id):
        raise Denied(policies.SECOND)
    return account


def _is_still(rows: Rows, officer: Account) -> None:
    """Raise `Denied` for whom somebody made no officer, or stopped, while their password was looked at."""
    now = ledger.account(rows, officer.id)
    if now is None or not now.has("officer") or now.credential_version != officer.credential_version:
        raise Denied(archives.NOT_OFFICER)


def _named(context: Context, officer: Account, address: str) -> Account:
    """Return the officer whom another one names to agree: somebody else, who could do it at this moment."""
    if not address:
        raise Denied("Name the officer who is to agree: this archive opens with two.")
    named = ledger.account_at(context.reads, address)
    if named is not None and _are_one(context.reads, officer.id, named.id):
        raise Denied(NOT_ONESELF)
    is_able = named is not None and named.org == officer.org and named.has("officer") and named.state == "active"
    if named is None or not is_able:
        raise Denied("Whoever is to agree has to be an officer of your organisation.")
    if not steps.is_on(context.reads, named.id) or not archives.is_shared(context.reads, named):
        raise Denied("That officer cannot agree yet: it takes a second step, and a share in the archive.")
    return named


def _are_one(reads: ledger.Reads, one: int, other: int) -> bool:
    """Say whether two accounts are one person's as far as can be told: the same, or with addresses of one mailbox."""
    return one == other or bool(_mailboxes(reads, one) & _mailboxes(reads, other))


def _mailboxes(reads: ledger.Reads, account: int) -> set[str]:
    """Return whose mail an account gets: its addresses without what stands behind a plus (RFC 5233)."""
    parts = (address.rpartition("@") for address in ledger.addresses(reads, account))
    return {f"{local.partition('+')[0]}@{domain}" for local, _, domain in parts}


def _known(reads: ledger.Reads, officer: Account, ident: int) -> Glass:
    """Return a glass break of the officer's organisation; one of another does not exist."""
    found = glass_rows.glass(reads, ident)
    if found is None or found.org != officer.org:
        raise Denied("There is no such glass break.")
    return found


def _asked(context: Context, reads: ledger.Reads, officer: Account, ident: int) -> Glass:
    found, now = _known(reads, officer, ident), context.clock.now()
    over = found.ends <= now if found.ends is not None else found.asked + WAITS <= now
    if over:
        raise Ended(OVER)
    return found


def _said(known: Glass) -> GlassBreak:
    return GlassBreak(
        known.id, known.org, known.officer, known.mailbox, known.minutes, known.asked, known.agreed_by, known.opened,
        known.ends, known.second,
    )  # fmt: skip
