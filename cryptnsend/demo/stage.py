"""What do the steps of the story share? Who is who, what must never be seen, and how one signs in, sends and looks."""

from __future__ import annotations

import email.policy
import smtplib
from email.message import EmailMessage

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Mail
from cryptnsend.demo.visitor import NotOnThePage, Page, Visitor

ANN, PAT, BOB, CAROL = "ann@gmail.example", "pat@yahoo.example", "bob@aol.example", "carol@icloud.example"
EVE, NOBODY = "eve@outlook.example", "ghost@nowhere.example"
ANN_PASSWORD = "harbour violet tractor ninety"
PAT_PASSWORD = "lantern otter gravel seventeen"
EVE_PASSWORD = "copper meadow whistle forty"
SECRETS = ("Canaryvale", "haemochroma-7741", "Zebraphile", "results-Okapi.pdf", "Walrusine", "Puffinote.txt")
SUBJECT = "Canaryvale: your blood test"
BODY = "Dear Pat,\r\n\r\nyour haemochroma-7741 is fine.\r\n\r\n.A line that begins with a dot\r\nAnn\r\n"
REPORT = b"%PDF-1.7\n" + b"Zebraphile " * 4000
ANSWER = "Walrusine reply: thank you, doctor."
BY_MAIL = "Walrusine by mail: one more question."
NOTE = b"Puffinote " * 900


class Failed(Exception):
    """A step did not go as it must."""


def need(condition: object, what: str) -> None:
    """Raise Failed with *what* unless the condition holds."""
    if not condition:
        raise Failed(what)


class Stage:
    """A house with people, their browsers, and what they learned so far."""

    def __init__(self, house: House):
        self.house, self.internet = house, house.internet
        self.ann = self.browser("Ann")
        self.pat = self.browser("Pat")
        self.device = ""
        self.submitted = b""
        self.message = 0
        self.notice_link = ""
        self.code = ""
        self.reply_to = ""
        self.handoff: EmailMessage | None = None
        self.read_page = ""

    def browser(self, whose: str) -> Visitor:
        """Return a fresh browser of somebody."""
        return Visitor(self.house.base_url, self.house.context(), agent=f"{whose}'s browser")

    def _bring(self, sender: str, to: str, author: str, text: str, *, signer: str = "") -> tuple[int, str]:
        """Let a provider bring an answer to port 25; return the reply."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = author, to, "Re: a secure message"
        mail["Message-ID"] = f"<{len(text)}.{sender}>"
        mail.set_content(text)
        port = self.house.home.ports()["inbound"]
        return self.internet.bring(port, sender, to, mail.as_bytes(), signer=signer)

    def _sign_in(self, who: Visitor, address: str, password: str) -> Page:
        page = who.get("/sign-in")
        return who.send(page, page.form(with_field="address"), address=address, password=password)

    def _smtp(self, sender: str, recipients: list[str], octets: bytes) -> str:
        """Submit through 465 with the device password; return the text of the 250."""
        port = self.house.home.ports()["submissions"]
        with smtplib.SMTP_SSL("localhost", port, context=self.house.context(), timeout=30) as client:
            client.login(sender, self.device)
            client.mail(sender)
            for each in recipients:
                code, words = client.rcpt(each)
                need(code == 250, f"{each} was refused: {words!r}")
            code, words = client.data(octets)
        need(code == 250, f"the mail was refused: {code} {words!r}")
        return words.decode()

    def _clean(self, mail: Mail) -> None:
        """No mail of ours carries a word of anybody's content, encoded or not."""
        texts = [mail.octets] + [
            part.get_payload(decode=True) or b"" for part in mail.parsed.walk() if part.get_content_maintype() == "text"
        ]
        for secret in SECRETS:
            need(
                not any(secret.encode() in text for text in texts if isinstance(text, bytes)), f"a mail has {secret!r}"
            )

    def _whole(self, who: Visitor, page: Page) -> str:
        return page.html + "".join(who.get(frame).html for frame in page.frames)


def text_of(message: EmailMessage) -> str:
    """Return the plain words of a mail."""
    body = message.get_body(("plain",))
    if body is None:
        raise NotOnThePage(f"the mail {message['Subject']} has no plain text")
    return str(body.get_content())
