"""The house in one process: a real keeper on its sockets, real rows, real seals; only the clock is in the test's hand.

def test_something(house: House) -> None:
    house.add_subscriber("ann@gmail.example")
    message = house.submit("ann@gmail.example", ["pat@yahoo.example"], house.mail("Results", "All is well."))
    pat = house.register("pat@yahoo.example", message)
    assert house.pickup.show(pat, message).subject == "Results"
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cryptnsend.app import App
from cryptnsend.config import Config
from cryptnsend.core.contracts import Rows
from cryptnsend.core.dlp.detect import Finding
from cryptnsend.core.errors import SecondStep
from cryptnsend.core.model import Signed
from cryptnsend.core.passwords import Argon
from cryptnsend.delivery.dns import Answer, Mx, NoSuchDomain, Tlsa
from cryptnsend.dlp.nursery import Job, look
from cryptnsend.flow.account import Accounts
from cryptnsend.flow.gate import Gate, Subscriber
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.flow.pickup import Pickup
from cryptnsend.flow.replies import Replies
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.upkeep import Upkeep
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.home import Home, file_mode, write_private
from cryptnsend.keeper import ledger
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.context import Settings
from cryptnsend.keeper.providers import FileProvider, make_master_key
from cryptnsend.keeper.requests import LinkRow
from cryptnsend.keeper.rows import Wrap
from cryptnsend.keeper.schema import STEPS as LEDGER_STEPS
from cryptnsend.keeper.server import serve
from cryptnsend.logs import logger
from cryptnsend.store.records import accounts, links
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from tests.support.homes import make_home

START = 1_795_000_000_000  # 18 November 2026, 11:06:40 UTC
PASSWORD = "velvet acorn harvest dune pickle"
ORIGIN = "https://secure.clinic.example"  # of the pages that passkeys are bound to
OTHER = "gravel sunny pilot lemon basket"
SOURCE, AGENT = "192.0.2.7", "Firefox on a phone"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class HandClock:
    """Time that moves when a test says so; both clocks together, unless the time of day is made to jump."""

    def __init__(self) -> None:
        self.at, self.passed = START, 1000.0

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.passed

    def forward(self, milliseconds: int) -> None:
        """Let time pass."""
        self.at += milliseconds
        self.passed += milliseconds / 1000

    def jump(self, milliseconds: int) -> None:
        """Set the time of day, as an operator or a broken battery does."""
        self.at += milliseconds


class NoNames:
    """A resolver in whose world nobody has a name, so that no test asks the network."""

    def mx(self, domain: str) -> Answer[Mx]:
        raise NoSuchDomain(f"{domain} does not exist")

    def addresses(self, host: str) -> Answer[str]:
        raise NoSuchDomain(f"{host} does not exist")

    def alias_is_secure(self, host: str) -> bool:
        return False

    def tlsa(self, name: str) -> Answer[Tlsa]:
        return Answer(name=name)

    def texts(self, name: str) -> Answer[str]:
        return Answer(name=name)


class LooksHere:
    """Looks into mail in this very process, which is quicker than a process for it, and as good for our own mail."""

    def inspect(self, octets: Iterable[bytes], job: Job) -> list[Finding]:
        return look(b"".join(octets), job)

    def cut(self) -> None:
        pass

    def close(self) -> None:
        pass


class House:
    """One installation. `portal` and `door` are the pieces of two roles over the same rows."""

    def __init__(self, folder: Path, values: Mapping[str, Mapping[str, Any]] | None = None):
        self._roles: list[App] = []
        self._phones: dict[str, bytes] = {}
        self.clock = HandClock()
        self.rings = 0  # how often the courier was woken
        self.config = _made(folder / "home", values)
        self.home = Home(self.config.server.home)
        make_master_key(self.config.keeper.key_file, os.urandom)
        furnish(self.home)
        self._ledger = SqliteEngine(self.home.ledger)
        self._stop = threading.Event()
        self._serving: threading.Thread | None = None
        self.start_keeper()
        self.portal, self.door, self.courier, self.owner = map(self._role, ("portal", "submission", "courier", "owner"))
        self.inbound, self.mailbox = self._role("inbound"), self._role("mailbox")
        self.engine, self.vault = self.portal.engine, self.portal.vault

    # -- the pieces ---------------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> Accounts:
        return self.portal.accounts

    @property
    def pickup(self) -> Pickup:
        return self.portal.pickup

    @property
    def replies(self) -> Replies:
        self.clock.forward(1)  # as in `submit`
        return self.portal.replies

    @property
    def gate(self) -> Gate:
        return self.door.gate

    @property
    def upkeep(self) -> Upkeep:
        return self.courier.upkeep

    def wraps(self, holder: str) -> list[Wrap]:
        """Return what the keeper's ledger has the seeds of a holder's pairs sealed in."""
        return self._ledger.write(lambda rows: ledger.wraps(rows, holder)).result()

    def keeper(self, role: str) -> Keeper:
        """Return the keeper as *role* sees it."""
        return {
            each.role: each for each in (self.portal, self.door, self.courier, self.owner, self.inbound, self.mailbox)
        }[role].keeper

    def start_keeper(self) -> None:
        """Start the keeper, also again after `stop_keeper`."""
        figures, codes = self.config.argon2, self.config.codes
        settings = Settings(
            journal=self.home.journal,
            domain=self.config.server.domain,
            origin=lambda: ORIGIN,
            code_rule=codes.rule,
            codes_per_week=codes.per_week,
            tries=codes.tries,
            signup=self.config.signup.mode,
            instead_of_code=codes.instead,
            custody=self.config.policy.custody,
            argon=Argon(figures.memory_kib, figures.iterations, figures.lanes),
        )
        ready = threading.Event()
        self._stop = threading.Event()
        self._serving = threading.Thread(
            target=serve,
            args=(
                self._ledger,
                FileProvider(self.config.keeper.key_file, os.urandom),
                self.home.keeper_sockets,
                self.clock,
                os.urandom,
                settings,
                logger("cryptnsend.keeper"),
                ready.set,
                self._stop,
            ),
            name="keeper",
        )
        self._serving.start()
        assert ready.wait(120)

    def stop_keeper(self) -> None:
        """Stop the keeper; requests then fail with KeeperGone."""
        self._stop.set()
        if self._serving is not None:
            self._serving.join(120)
            assert not self._serving.is_alive()

    def close(self) -> None:
        """End everything."""
        for each in self._roles:
            if "keeper" in vars(each):
                each.keeper.close()
        self.stop_keeper()
        for each in self._roles:
            if "deliver" in vars(each):
                each.deliver.close()
        # Roles share pieces, or made their own; whatever there is holds descriptors that a long run would pile up.
        held = [vars(each)[name] for each in self._roles for name in ("engine", "blobs") if name in vars(each)]
        for piece in {id(each): each for each in (self.engine, *held)}.values():
            piece.close()
        self._ledger.close()

    def process(self, role: str = "portal") -> App:
        """Return the pieces of another process of *role*: its own memory, the same rows and keeper."""
        return self._role(role)

    def _role(self, role: str) -> App:
        app = App(self.config, role)
        self._roles.append(app)
        vars(app).update(clock=self.clock, wake=self._ring, resolver=NoNames(), inspector=LooksHere())
        if hasattr(self, "portal"):
            vars(app).update(engine=self.portal.engine, blobs=self.portal.blobs, vault=self.portal.vault)
        return app

    def _ring(self) -> None:
        self.rings += 1

    # -- people -------------------------------------------------------------------------------------------------------

    def organisation(self, name: str) -> int:
        """Make an organisation with an officer, so that it has an archive; return its id."""
        made = self.owner.owner.add_organisation(name)
        local = "".join(filter(str.isalnum, name.lower()))
        self.owner.owner.add(
            f"officer@{local}.example", PASSWORD, organisation=made.id, roles=("officer",), name="Olive"
        )
        return made.id

    def add_subscriber(
        self,
        address: str,
        password: str = PASSWORD,
        organisation: int | None = None,
        name: str = "Ann Ruiz",
        roles: Sequence[str] = ("subscriber",),
    ) -> int:
        """Make a subscriber on the owner's word, in an organisation of one unless another is given; return its id."""
        opened = self.owner.owner.add(address, password, organisation=organisation, roles=tuple(roles), name=name)
        return opened.account

    def session(self, address: str, password: str = PASSWORD, source: str = SOURCE, agent: str = AGENT) -> Session:
        """Sign in on a page, with the number of this moment where `second` was called."""
        try:
            return self.found(self.accounts.sign_in(address, password, source, agent), source, agent)
        except SecondStep as step:
            if address not in self._phones:
                raise
            return self.found(
                self.accounts.second_step(address, step.held, self.number(address), source, agent), source, agent
            )

    def second(self, address: str) -> None:
        """Let somebody sign in with a number from now on, whose phone this house holds."""
        session = self.session(address)
        self._phones[address] = self.accounts.begin_second_step(session, PASSWORD, SOURCE)
        self.accounts.begun_second_step(session, self.number(address))

    def number(self, address: str) -> str:
        """Return a number that was not shown yet, half a minute later; "" for somebody without a phone."""
        if address not in self._phones:
            return ""
        self.clock.forward(MINUTE // 2)
        made = TOTP(self._phones[address], 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - RFC 6238
        return made.generate(self.clock.now() // 1000).decode()

    def found(self, entered: str | SignedIn, source: str = SOURCE, agent: str = AGENT) -> Session:
        """Return the session that a cookie names, of a request from *source*."""
        session = self.accounts.session(entered if isinstance(entered, str) else entered.cookie, source, agent)
        assert session is not None
        return session

    def account(self, address: str) -> int:
        """Return whose account an address is."""
        row = accounts.by_address(self.engine, address)
        assert row is not None
        return int(row["id"])

    # -- mail ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def mail(
        subject: str = "Results",
        text: str = "All is well.",
        *,
        author: str = "ann@gmail.example",
        to: Sequence[str] = ("pat@yahoo.example",),
        cc: Sequence[str] = (),
        bcc: Sequence[str] = (),
        more: str = "",
    ) -> bytes:
        """Return the octets of a plain mail; *more* is further header fields, each with its line end."""
        fields = [f"From: Ann Ruiz <{author}>", f"To: {', '.join(to)}"]
        fields += [f"Cc: {', '.join(cc)}"] if cc else []
        fields += [f"Bcc: {', '.join(bcc)}"] if bcc else []
        fields += [f"Subject: {subject}", f"Message-ID: <{os.urandom(8).hex()}@client.example>"]
        return ("\r\n".join(fields) + f"\r\n{more}\r\n{text}\r\n").encode()

    def submit(self, author: str, recipients: Sequence[str], octets: bytes) -> int:
        """Submit a mail as the SMTP door does, and return the message's id."""
        row = accounts.by_address(self.engine, author)
        assert row is not None
        self.clock.forward(1)  # ids follow the clock, and lists the ids
        own = frozenset(accounts.addresses(self.engine, row["id"]))
        draft = self.door.admission.begin(
            Author(row["id"], row["org"], author, own, True),
            Envelope(author, tuple(map(Addressee, recipients))),
            "smtp",
        )
        end = octets.index(b"\r\n\r\n") + 4
        draft.header(octets[:end])
        draft.body(octets[end:])
        return draft.commit_now().message

    def sign_in_smtp(self, username: str, password: str, source: str = SOURCE) -> Subscriber:
        """Sign in at the SMTP door."""
        return self.gate.authenticate(username, password, source)

    # -- what leaves, as the courier would mail it --------------------------------------------------------------------

    def link(self, message: int, address: str) -> str:
        """Return the token of the link in the notice to *address*, as if the courier had mailed it."""
        row = self.engine.query(
            "SELECT m.org, t.subscriber FROM messages m JOIN threads t ON t.id = m.thread WHERE m.id = :id", id=message
        )[0]
        told = self.keeper("courier").notice(address, row["subscriber"], message)
        self.keep(told.link.row, row["org"])
        self.keep(told.reply.row, row["org"])
        return told.link.token

    def reply_token(self, message: int, address: str) -> str:
        """Return the local part by which *address* is answered from a mail program."""
        row = self.engine.query(
            "SELECT m.org, t.subscriber FROM messages m JOIN threads t ON t.id = m.thread WHERE m.id = :id", id=message
        )[0]
        token = self.keeper("courier").reply_token(address, row["subscriber"], message)
        self.keep(token.row, row["org"])
        return f"r+{token.token}@{self.config.server.domain}"

    def keep(self, row: LinkRow, org: int) -> None:
        """Remember what a token stands for, as the courier does before it mails one."""
        self.engine.write(
            lambda rows: links.add(
                rows, row.id, org, row.purpose, row.key_id, row.message, row.address, row.subscriber, None, None
            )
        ).result()

    def code(self, subscriber: str, address: str) -> str:
        """Return the code that *subscriber* tells *address*, from the receipt."""
        told = self.keeper("courier").receipt(self.account(subscriber), [address])
        code = told.codes[0].code
        assert code is not None, told.codes[0].state
        return code

    def mailed_code(self) -> str:
        """Return the code of the newest mail that proves an address."""
        self.clock.forward(1)
        row = self.queued("code")[-1]
        return self.keeper("courier").mail_code(row["subject_id"]).code

    def queued(self, kind: str) -> list[dict[str, Any]]:
        """Return the deliveries of a kind, oldest first."""
        return self.engine.query("SELECT * FROM deliveries WHERE kind = :kind ORDER BY id", kind=kind)

    def alerts(self) -> list[tuple[str, str]]:
        """Return (address, template) of each alert that waits to leave, oldest first."""
        return [(self.keeper("courier").alert(row["subject_id"]), row["template"]) for row in self.queued("alert")]

    # -- the way in ---------------------------------------------------------------------------------------------------

    def register(self, address: str, message: int, password: str = PASSWORD) -> Session:
        """Open a message's link with its sender's code, choose a password, and return the session."""
        token = self.link(message, address)
        waiting = self.pickup.waiting(token)
        proof = self.pickup.prove(token, self.code(waiting.sender_address, address), SOURCE)
        return self.found(self.accounts.register(proof.ticket, password, "", SOURCE, AGENT, "en"))

    def prove(self, session: Session, address: str, message: int) -> None:
        """Show a message's code for somebody who is signed in."""
        token = self.link(message, address)
        waiting = self.pickup.waiting(token)
        self.pickup.prove_as(session, token, self.code(waiting.sender_address, address), SOURCE)

    def reset(self, address: str, password: str = OTHER) -> Session:
        """Choose a new password by mail alone."""
        self.clock.forward(1)
        started = self.accounts.start_reset(address, SOURCE)
        return self.found(self.accounts.finish_reset(started.id, self.mailed_code(), password, SOURCE, AGENT))

    # -- what a thief can do ------------------------------------------------------------------------------------------

    def tamper(self, sql: str, **values: Any) -> None:
        """Change rows of the main database behind everybody's back."""
        self.engine.write(lambda rows: rows.execute(sql, values)).result()

    def spoil(self, sql: str, **values: Any) -> None:
        """Change sealed contents as somebody does who has the file itself, where no trigger guards the archive."""
        guard = "archived_content_is_as_it_was"

        def write(rows: Rows) -> None:
            made = rows.query("SELECT sql FROM sqlite_master WHERE name = :guard", {"guard": guard})[0]["sql"]
            rows.execute(f"DROP TRIGGER {guard}")
            rows.execute(sql, values)
            rows.execute(made)

        self.engine.write(write).result()

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every row of the main database with its table's name."""
        for table in self.engine.query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"):
            for row in self.engine.query(f"SELECT * FROM {table['name']}"):  # noqa: S608 - names from the schema itself
                yield table["name"], row

    def card(self, holder: str) -> Signed | None:
        """Return the newest card that the keeper has of a holder."""
        return self.keeper("portal").card(holder)

    def audited(self, org: int) -> list[tuple[str, str]]:
        """Return (actor, action) of each entry of an organisation's audit trail."""
        rows = self.engine.query("SELECT actor, action FROM audit WHERE org = :org ORDER BY seq", org=org)
        return [(row["actor"], row["action"]) for row in rows]


_empty: dict[str, bytes] = {}  # stores without a row: their many steps take longer than most tests


def furnish(home: Home) -> None:
    """Lay empty stores of the newest schema into a fresh home; who opens them finds no step to be made."""
    if not _empty:
        with tempfile.TemporaryDirectory() as folder:
            for name, steps in (("main", STEPS), ("ledger", LEDGER_STEPS)):
                engine = SqliteEngine(Path(folder) / name)
                engine.migrate(steps)
                assert engine.checkpoint()
                engine.close()
                _empty[name] = (Path(folder) / name).read_bytes()
    for path, name in ((home.main_db, "main"), (home.ledger, "ledger")):
        write_private(path, _empty[name], mode=file_mode(path.parent))


_signing_keys: dict[str, bytes] = {}  # of the first home: an RSA key takes longer than most tests


def _made(path: Path, values: Mapping[str, Mapping[str, Any]] | None) -> Config:
    """Make a home, with the signing keys of the one before."""
    dkim = Home(path).dkim
    dkim.mkdir(parents=True)
    for name, octets in _signing_keys.items():
        (dkim / name).write_bytes(octets)
        (dkim / name).chmod(0o600)
    config = make_home(path, values)
    _signing_keys.update({file.name: file.read_bytes() for file in dkim.iterdir()})
    return config


MakeHouse = Callable[..., House]


@pytest.fixture
def make_house(short_folder: Path) -> Iterator[MakeHouse]:
    """Build houses with settings of one's own (by section and key); all of them end with the test."""
    made: list[House] = []

    def make(**values: Mapping[str, Any]) -> House:
        folder = short_folder / f"h{len(made)}"
        folder.mkdir()
        house = House(folder, values)
        made.append(house)
        return house

    yield make
    for each in made:
        each.close()


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house with the usual settings and nobody in it."""
    return make_house()
