"""A desk with one mail program on it: whose it is, what they write, and what became of that, inside and outside."""

from __future__ import annotations

import email
import email.policy
import imaplib
import poplib
import re
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from cryptnsend.cli.owner import owned
from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Mail
from cryptnsend.demo.visitor import Visitor, first_link

PASSWORD = "velvet acorn harvest dune pickle"
SECRET = "haemochromatosis"  # stands in every subject, text and file, and nowhere else


@dataclass
class Desk:
    """Ann's account, by the name of her mail program; Pat, to whom she writes, is a patient with an inbox at Gmail."""

    house: House
    authority: Path  # the certificate that her program is to trust
    folder: Path  # where it keeps what is its own
    program: str
    device: str = ""  # her device password, which sends and reads
    domain: str = "gmail.example"  # of her address
    written: list[str] = field(default_factory=list)  # subjects

    @classmethod
    def opened(cls, house: House, authority: Path, folder: Path, program: str, domain: str = "gmail.example") -> Desk:
        """Give Ann an account and a device password for her program."""
        desk = cls(house, authority, folder, program, domain=domain)
        with owned(house.config) as app:
            app.owner.add(desk.ann, PASSWORD, organisation=None, roles=("subscriber",), name="Dr. Ann Ruiz")
            desk.device = app.owner.add_device(desk.ann, PASSWORD, program, "mail").password
        return desk

    @property
    def ann(self) -> str:
        return f"ann-{self.program}@{self.domain}"

    @property
    def pat(self) -> str:
        return f"pat-{self.program}@gmail.example"

    @property
    def ports(self) -> dict[str, int]:
        return self.house.home.ports()

    # -- what is written ----------------------------------------------------------------------------------------------

    def letters(self, count: int) -> Iterator[tuple[str, str]]:
        """Yield subject and text of so many letters."""
        for number in range(count):
            self.written.append(f"{SECRET} {number}")
            yield self.written[-1], f"The sign of {SECRET} {number} is clear.\n.\nAnn\n"

    def mails(self, count: int) -> Iterator[bytes]:
        """Yield so many letters as mails, each with a file, for programs that send what others wrote."""
        for subject, text in self.letters(count):
            mail = EmailMessage(policy=email.policy.SMTP)
            mail["From"], mail["To"], mail["Subject"] = f"Ann Ruiz <{self.ann}>", self.pat, subject
            mail["Message-ID"] = f"<letter-{len(self.written)}@{self.program}.example>"
            mail.set_content(text)
            mail.add_attachment(f"{SECRET}\n".encode() * 99, maintype="image", subtype="x-scan", filename="scan.bin")
            yield mail.as_bytes()

    # -- what became of it --------------------------------------------------------------------------------------------

    def check_all_is_sealed_and_kept_once(self) -> None:
        """Pat was told of each letter and nobody outside saw a word of any; Sent has each once."""
        assert self.subjects("Sent") == sorted(self.written)
        self.house.internet.wait_for(self.pat, len(self.written))
        said = [mail for who in self.house.internet.addresses() for mail in self.house.internet.inbox(who)]
        assert [mail.recipient for mail in said if any(SECRET in each for each in texts(mail))] == []
        assert len(self.house.internet.inbox(self.pat)) == len(self.written)
        log = self.house.log.read_text("utf-8")
        assert SECRET not in log
        assert [line for line in log.splitlines() if "session failed" in line or "Traceback" in line] == []

    def subjects(self, folder: str) -> list[str]:
        """Return the subjects in a folder, sorted, as any program finds them."""
        with self.imap() as client:
            client.select(folder, readonly=True)
            found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        fields = [each[1] for each in found if isinstance(each, tuple)]
        return sorted(email.message_from_bytes(each)["Subject"] for each in fields)

    def flags(self, folder: str) -> list[set[str]]:
        """Return the flags of each message in a folder."""
        with self.imap() as client:
            client.select(folder, readonly=True)
            found = client.fetch("1:*", "(FLAGS)")[1]
        return [{each.decode() for each in imaplib.ParseFlags(row)} for row in found if isinstance(row, bytes)]

    @contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4_SSL]:
        """Sign in by Python's IMAP."""
        client = imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.house.context(), timeout=60)
        with client:
            client.login(self.ann, self.device)
            yield client

    @contextmanager
    def pop(self) -> Iterator[poplib.POP3_SSL]:
        """Sign in by Python's POP."""
        with closing(
            poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.house.context(), timeout=60)
        ) as client:
            client.user(self.ann)
            client.pass_(self.device)
            yield client
            client.quit()

    def smtp(self) -> smtplib.SMTP:
        """Sign in by Python's SMTP, at the door with STARTTLS."""
        client = smtplib.SMTP("localhost", self.ports["submission"], timeout=60)
        client.starttls(context=self.house.context())
        client.login(self.ann, self.device)
        return client

    # -- what comes back ----------------------------------------------------------------------------------------------

    def reply(self, text: str) -> str:
        """Let Pat open the first letter by the link and Ann's code, and reply; return the subject of the reply."""
        mails = self.house.internet
        notice = mails.wait_for(self.pat)
        receipt = mails.wait_for(self.ann, predicate=lambda one: "code" in str(one.parsed["Subject"]).lower())
        code = re.search(re.escape(self.pat) + r".*?(\d{3} \d{3})", _text(receipt), re.DOTALL)
        assert code is not None
        browser = Visitor(self.house.base_url, self.house.context(), agent="Pat's browser")
        page = browser.get(first_link(_text(notice), "/m/"))
        page = browser.send(page, page.form(with_field="code"), code=code[1].replace(" ", ""))
        page = browser.send(page, page.form(with_field="password"), password=PASSWORD)
        page = browser.get(page.path)
        files = [("files", "note.txt", "text/plain", b"A note of Pat's.\n")]
        page = browser.send(page, page.form(with_field="text"), text=text, files=files)
        assert page.path.endswith("/sent"), page.words
        return f"Re: {self.written[0]}"


def texts(mail: Mail) -> Sequence[str]:
    """Return everything that can be read in a mail: as it came, its fields, and each of its parts decoded."""
    parts = [part for part in email.message_from_bytes(mail.octets).walk() if not part.is_multipart()]
    decoded = [part.get_payload(decode=True) for part in parts]
    fields = [str(value) for value in mail.parsed.values()]
    return [*(each.decode("latin-1") for each in (mail.octets, *decoded) if isinstance(each, bytes)), *fields]


def _text(mail: Mail) -> str:
    body = mail.parsed.get_body(("plain",))
    assert body is not None
    return str(body.get_content())
