"""The demo's Internet refuses what the real one refuses, and keeps the rest."""

from __future__ import annotations

import io
import smtplib
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
import pyzipper
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.delivery import dkim
from cryptnsend.delivery.courier import Courier, CourierSettings, Envelope, Outcome
from cryptnsend.demo import receivers
from cryptnsend.demo.internet import Internet
from tests.delivery.peers import QUICK, Names, WallClock

KEY = dkim.generate_key("s1", "our.example")
OTHER_KEY = dkim.generate_key("s1", "other.example")


@pytest.fixture(scope="module")
def running() -> Iterator[Internet]:
    with Internet() as made:
        made.register_dkim("s1", "our.example", dkim.dns_record(KEY))
        made.register_dkim("s1", "other.example", dkim.dns_record(OTHER_KEY))
        yield made


@pytest.fixture
def internet(running: Internet) -> Internet:
    running.clear()
    return running


@pytest.fixture
def sender(internet: Internet) -> Iterator[Courier]:
    settings = CourierSettings(hostname="mail.our.example", routes=internet.routes("else.example"), timeouts=QUICK)
    made = Courier(Names(), settings, WallClock())
    yield made
    made.close()


def message(author: str = "Ann via us <notice@our.example>", *, files: tuple[tuple[str, bytes], ...] = ()) -> bytes:
    """Return a message with these attachments, unsigned."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = author, "pat@gmail.example", "A secure message waits"
    made["Date"] = "Thu, 01 May 2025 10:42:00 +0000"
    made.set_content("It waits at https://mail.our.example/m/x\n")
    for name, content in files:
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes(policy=made.policy.clone(linesep="\r\n"))


def signed(octets: bytes, key: dkim.DkimKey = KEY) -> bytes:
    return dkim.sign(octets, [key], now=1_746_096_120) + octets


def sent(sender: Courier, recipient: str, octets: bytes) -> Outcome:
    return sender.send(Envelope("b+1@our.example", recipient), "opportunistic", octets)


def test_signed_and_aligned_mail_reaches_every_provider(internet: Internet, sender: Courier) -> None:
    octets = signed(message())
    for recipient in (
        "pat@gmail.example",
        "pat@yahoo.example",
        "pat@icloud.example",
        "pat@hospital.example",
        "x@else.example",
    ):
        assert sent(sender, recipient, octets).kind == "delivered"
        mail = internet.wait_for(recipient)
        assert (mail.octets, mail.reverse_path, mail.hello, mail.tls) == (
            octets,
            "b+1@our.example",
            "mail.our.example",
            "TLSv1.3",
        )
        assert mail.parsed["Subject"] == "A secure message waits"
    assert internet.addresses() == sorted(internet.addresses())


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("p@gmail.example", "5.7.26"),
        ("p@yahoo.example", "5.7.9"),
        ("p@aol.example", "5.7.9"),
        ("p@icloud.example", "5.7.26"),
    ],
)
def test_providers_refuse_mail_that_nobody_signed(
    internet: Internet, sender: Courier, recipient: str, status: str
) -> None:
    outcome = sent(sender, recipient, message())
    assert (outcome.kind, outcome.status) == ("failed", status)
    assert internet.inbox(recipient) == []
    assert internet.refusals()[0][0] == recipient


@pytest.mark.parametrize(
    "author", ["ann@gmail.example", "Ann <ann@yahoo.example>", "a@other.example", "a@our.example.evil.example"]
)
def test_gmail_refuses_a_from_that_the_signature_is_not_aligned_with(
    internet: Internet, sender: Courier, author: str
) -> None:
    """RFC 7489 §3.1."""
    assert sent(sender, "pat@gmail.example", signed(message(author))).status == "5.7.26"
    assert internet.inbox("pat@gmail.example") == []


def test_subdomains_are_aligned(sender: Courier) -> None:
    assert sent(sender, "pat@gmail.example", signed(message("a@mail.our.example"))).kind == "delivered"


@pytest.mark.parametrize(
    "damaged",
    [
        signed(message()).replace(b"It waits", b"it waits"),
        signed(message()).replace(b"Subject: A", b"Subject: B"),
        b"From: a@our.example\r\n" + signed(message()),
        signed(message(), dkim.generate_key("s1", "our.example")),
        signed(message(), dkim.generate_key("unpublished", "our.example")),
        signed(message()).replace(b"a=rsa-sha256", b"a=rsa-sha999"),
        signed(message()).replace(b"\tbh=", b"\tzz="),
        b"DKIM-Signature: v=1; a=; b=\xff\r\n" + message(),
        b"From: a@our.example, b@our.example\r\n\r\nx\r\n",
        b"Subject: no author\r\n\r\nx\r\n",
    ],
)  # fmt: skip
def test_gmail_refuses_what_is_forged_or_damaged(sender: Courier, damaged: bytes) -> None:
    assert sent(sender, "pat@gmail.example", damaged).kind == "failed"


def test_everybody_obeys_a_policy_of_reject(internet: Internet, sender: Courier) -> None:
    assert sent(sender, "pat@hospital.example", message("a@nopolicy.example")).kind == "delivered"
    assert sent(sender, "pat@hospital.example", message("ann@yahoo.example")).kind == "failed"
    internet.register_dmarc("strict.example", "reject")
    assert sent(sender, "pat@hospital.example", message("a@mail.strict.example")).kind == "failed"


def zipped(*entries: tuple[str, bytes], password: bytes | None = None) -> bytes:
    """Return an archive, AES-encrypted if there is a password."""
    file = io.BytesIO()
    if password is None:
        with zipfile.ZipFile(file, "w") as plain:
            for name, content in entries:
                plain.writestr(name, content)
        return file.getvalue()
    with pyzipper.AESZipFile(file, "w", encryption=pyzipper.WZ_AES) as locked:
        locked.setpassword(password)
        for name, content in entries:
            locked.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "taken"),
    [
        ("reply.zip", zipped(("message.eml", b"x"), password=b"pw"), True),
        ("reply.zip", zipped(("inner.zip", b"PK"), password=b"pw"), False),
        ("reply.zip", zipped(("scan.tar.gz", b"x"), password=b"pw"), False),
        ("reply.zip", zipped(("setup.EXE", b"x"), password=b"pw"), False),
        ("reply.zip", zipped(("notes.txt", b"x")), True),
        ("reply.zip", zipped(("inner.zip", zipped(("notes.txt", b"x")))), True),
        ("reply.zip", zipped(("inner.zip", zipped(("run.js", b"x")))), False),
        ("reply.zip", zipped(("inner.zip", zipped(("deep.zip", b"x"), password=b"pw"))), False),
        ("hidden.txt", zipped(("inner.7z", b"x"), password=b"pw"), False),
        ("reply.zip", b"PK\x03\x04 cut off", False),
        ("tool.scr", b"MZ", False),
        ("letter.pdf", b"%PDF", True),
    ],
)
def test_gmail_looks_into_archives(sender: Courier, name: str, content: bytes, taken: bool) -> None:
    outcome = sent(sender, "pat@gmail.example", signed(message(files=((name, content),))))
    if taken:
        assert outcome.kind == "delivered"
    else:
        assert (outcome.kind, outcome.code, outcome.status, outcome.reason) == ("failed", 552, "5.7.0", Outcome.CONTENT)


def test_yahoo_does_not_look_into_archives(sender: Courier) -> None:
    octets = signed(message(files=(("reply.zip", zipped(("inner.zip", b"PK"), password=b"pw")),)))
    assert sent(sender, "pat@yahoo.example", octets).kind == "delivered"


def test_outlook_greylists_a_new_pair_once(internet: Internet, sender: Courier) -> None:
    octets = signed(message())
    assert sent(sender, "pat@outlook.example", octets).status == "4.7.1"
    assert sent(sender, "pat@outlook.example", octets).kind == "delivered"
    assert len(internet.inbox("pat@outlook.example")) == 1


def test_unknown_people_hosts_that_go_down_and_strangers_domains(sender: Courier, internet: Internet) -> None:
    assert sent(sender, "pat@nowhere.example", signed(message())).status == "5.1.1"
    down = sent(sender, "pat@down.example", signed(message()))
    assert (down.kind, down.code) == ("delayed", 421)
    with smtplib.SMTP("127.0.0.1", internet.port) as client:
        client.ehlo()
        client.mail("a@b.example")
        assert client.rcpt("pat@real.test")[0] == 550


def test_more_than_25_megabytes_are_refused_by_their_announcement(internet: Internet, sender: Courier) -> None:
    line = b"x" * 76 + b"\r\n"
    outcome = sender.send(
        Envelope("b@our.example", "pat@gmail.example"), "opportunistic", lambda: iter([message(), *[line * 1000] * 340])
    )
    assert (outcome.status, outcome.reason, outcome.peer_size) == ("5.3.4", Outcome.TOO_LARGE, 25 * 1024 * 1024)
    assert internet.inbox("pat@gmail.example") == []


def test_bare_line_ends_are_refused(internet: Internet) -> None:
    with smtplib.SMTP("127.0.0.1", internet.port) as client:
        client.ehlo()
        client.mail("a@b.example")
        client.rcpt("pat@hospital.example")
        client.docmd("DATA")
        client.send(b"From: a@b.example\r\n\r\nx\n.\ny\r\n.\r\n")
        assert client.getreply()[0] == 550
    assert internet.inbox("pat@hospital.example") == []


def test_waiting_ends_when_the_mail_comes(internet: Internet, sender: Courier) -> None:
    later = threading.Thread(target=sent, args=(sender, "Pat@hospital.example", signed(message())))
    later.start()
    mail = internet.wait_for("pat@hospital.example", predicate=lambda mail: b"secure message" in mail.octets)
    later.join()
    assert mail.recipient == "Pat@hospital.example"
    assert internet.mail(mail.number) is mail


def test_waiting_in_vain_says_what_happened_instead(internet: Internet, sender: Courier) -> None:
    sent(sender, "pat@gmail.example", message())
    with pytest.raises(TimeoutError, match=r"mail 1 for pat@gmail.example .* refused: \['550 5\.7\.26"):
        internet.wait_for("pat@gmail.example", timeout=0.05)


def test_a_real_client_is_served(internet: Internet) -> None:
    command = ["swaks", "--server", f"127.0.0.1:{internet.port}", "--to", "pat@hospital.example", "--silent", "2"]
    command += ["--from", "a@else.example", "--header", "Subject: from swaks"]
    subprocess.run(command, check=True, timeout=120, stdin=subprocess.DEVNULL)
    assert internet.wait_for("pat@hospital.example").parsed["Subject"] == "from swaks"


def test_the_certificate_proves_nothing(internet: Internet) -> None:
    with smtplib.SMTP("127.0.0.1", internet.port) as client, pytest.raises(ssl.SSLCertVerificationError):
        client.starttls(context=ssl.create_default_context())


def test_a_port_in_use_is_an_error_at_the_start(internet: Internet) -> None:
    with pytest.raises(OSError, match="in use"):
        Internet(port=internet.port).start()


def test_stopping_ends_open_connections() -> None:
    with Internet() as made:
        client = smtplib.SMTP("127.0.0.1", made.port)
        client.starttls(context=ssl._create_unverified_context())  # noqa: S323
        client.ehlo()
    with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
        client.noop()
    client.close()
    assert made.inbox("pat@gmail.example") == []


@pytest.mark.parametrize(
    ("domain", "policy"), [("yahoo.example", "reject"), ("sub.yahoo.example", "reject"), ("x.example", "none")]
)
def test_policies_are_found_at_the_organisation(domain: str, policy: str) -> None:
    """RFC 7489 §6.6.3."""
    assert receivers.Zone().dmarc(domain) == policy


SIGNED = signed(message(files=(("reply.zip", zipped(("message.eml", b"x"), password=b"pw")),)))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=60), st.integers(0, len(SIGNED)), st.integers(0, 40))
def test_no_message_makes_a_provider_stumble(noise: bytes, place: int, cut: int) -> None:
    """Damage of a good message anywhere is judged, one way or the other."""
    zone = receivers.Zone()
    zone.txt["s1._domainkey.our.example"] = dkim.dns_record(KEY)
    octets = SIGNED[:place] + noise + SIGNED[place + cut :]
    assert receivers.judge_message(octets, ["p@gmail.example"], zone)[:1] in ("", "5")


@settings(deadline=None)
@given(st.text(max_size=40), st.binary(max_size=300), st.booleans())
def test_no_file_makes_gmail_stumble(name: str, noise: bytes, archive: bool) -> None:
    content = zipped(("a.txt", noise)) if archive else b"PK\x03\x04" + noise
    assert receivers.is_blocked(name, content[: len(content) - len(noise) // 2]) in (True, False)
