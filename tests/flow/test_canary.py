"""Nothing of what people write rests in clear: words go every way through the house, and are then looked for.

Looked through are database and log, ledger and journal, blobs, sockets' folder, temporary folders, a backup, what was
printed and logged, and every mail that leaves.
"""

from __future__ import annotations

import base64
import logging
import os
import quopri
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Upload, Writing
from cryptnsend.store import backup
from cryptnsend.store.records import deliveries
from tests.support.house import DAY, OTHER, PASSWORD, House

ANN, PAT, CARL = "ann@gmail.example", "pat@yahoo.example", "carl@mail.example"
WORDS = {
    "subject": "Zinnobergruen",
    "body": "haemochromatosis7741",
    "attachment": "kreatininklammer",
    "file name": "Befundmappe-Ostwind",
    "name in To": "Quittenbaum",
    "name in Bcc": "Holunderstrauch",
    "reply": "milzvergroesserung",
    "upload": "schwarzwurzelsuppe",
    "upload name": "Roentgen-Nordlicht",
    "draft": "wacholderbeere",
    "draft file": "petersilienwurzel",
    "draft file name": "Merkzettel-Suedhang",
    "lost draft": "sellerieknolle",
    "aborted": "abgebrochenerbrief",
    "new subject": "Lindenbluetentee",
    "new body": "schilddruesenknoten",
    "new form": "zwerchfellbruch",
    "new file": "leberfleckkarte",
    "new file name": "Laborblatt-Nordhang",
    "filed": "stachelbeerkompott",
    "looked for": "schluesselbeinbruch",
}


def variants(word: str) -> Iterator[bytes]:
    """Yield a word as it may stand in octets: plain, UTF-16, base64 at each of its three shifts."""
    yield word.encode()
    yield word.lower().encode()
    yield word.encode("utf-16-le")
    for shift in range(3):
        encoded = base64.b64encode(b" " * shift + word.encode() + b"  ")
        yield encoded[4 if shift else 0 : -6]


def hits(octets: bytes) -> set[str]:
    return {place for place, word in WORDS.items() if any(each in octets for each in variants(word))}


def look_through(*folders: Path) -> dict[str, set[str]]:
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and (hit := hits(path.read_bytes()) | hits(path.name.encode())):
                found[str(path)] = hit
    return found


def letter() -> bytes:
    attachment = base64.encodebytes(f"%PDF {WORDS['attachment']} ".encode() * 3000).replace(b"\n", b"\r\n")
    return (
        (
            f"From: Ann Ruiz <{ANN}>\r\nTo: {WORDS['name in To']} <{PAT}>\r\nBcc: {WORDS['name in Bcc']} <{CARL}>\r\n"
            f"Subject: {WORDS['subject']}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            f"--b\r\nContent-Type: text/plain\r\n\r\nYou have {WORDS['body']}.\r\n"
            "--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
            f'Content-Disposition: attachment; filename="{WORDS["file name"]}.pdf"\r\n\r\n'
        ).encode()
        + attachment
        + b"--b--\r\n"
    )


def mails_that_leave(house: House) -> Iterator[bytes]:
    """Compose everything that waits to leave, as the courier does, and yield it also as a reader sees it."""
    letters = house.courier.letters
    for row in house.engine.write(lambda rows: deliveries.claim(rows, "test", house.clock.now(), DAY, 100)).result():
        try:
            composed = letters.compose(row).octets
        except CryptnSendError:
            continue  # there is nothing to say any more
        octets = composed if isinstance(composed, bytes) else b"".join(composed())
        yield octets
        yield quopri.decodestring(octets)


def write_and_file(house: House, session: Session, message: int) -> None:
    """Send new messages, have one back, pass one on, look for words; and file a draft as a mail program does."""
    newmail, octets = house.portal.newmail, WORDS["new file"].encode() * 9000
    files = [Upload(f"{WORDS['new file name']}.txt", "text/plain", len(octets), lambda: iter([octets]))]
    html = f"<p>{WORDS['new body']} <b>{WORDS['new form']}</b></p>"
    writing = Writing("", WORDS["new subject"], (PAT,), (), (f"{WORDS['name in Bcc']} <{CARL}>",), html=html)
    assert newmail.check(session, writing).people
    for nonce in (b"3" * 16, b"4" * 16):
        sent = newmail.send(session, writing, files=files, nonce=nonce)
    newmail.take_up(session, sent)
    newmail.pass_on(session, message)
    house.pickup.search(session, WORDS["looked for"])
    incoming = house.mailbox.filing.begin(session, house.mailbox.mailboxes.named(session, "Drafts"), [], None)
    incoming.feed(f"Subject: {WORDS['subject']}\r\n\r\n{WORDS['filed']}\r\n".encode() * 4000)
    incoming.finish()


def test_words_are_found_where_they_are(tmp_path: Path) -> None:
    """A control: the search finds what it looks for."""
    for place, word in WORDS.items():
        (tmp_path / "x").write_bytes(b"\0\1" + base64.b64encode(b"ab" + word.encode()) + b"\2")
        assert look_through(tmp_path) == {str(tmp_path / "x"): {place}}


def test_what_people_write_rests_sealed_and_leaves_sealed(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    spool = tmp_path / "tmp"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    caplog.set_level(logging.DEBUG)
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT, CARL], letter())
    pat, session = house.register(PAT, message), house.session(ANN)
    files = [Upload(f"{WORDS['upload name']}.txt", "text/plain", 9, lambda: iter([WORDS["upload"].encode() * 9000]))]
    reply = house.replies.send(pat, message, everybody=True, text=WORDS["reply"], files=files, nonce=b"1" * 16)

    def breaks_off() -> Iterator[bytes]:
        yield WORDS["aborted"].encode() * 9000
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        house.replies.send(
            pat, message, everybody=False, text=WORDS["aborted"], files=[Upload("a", "b/c", 9, breaks_off)],
            nonce=b"2" * 16,
        )  # fmt: skip
    drafts, scan = house.portal.drafts, WORDS["draft file"].encode() * 9000
    scans = [Upload(f"{WORDS['draft file name']}.txt", "text/plain", len(scan), lambda: iter([scan]))]
    drafts.save(pat, Writing(WORDS["draft"] + " ü" * 40_000), parent=message, files=scans)
    drafts.save(session, Writing(WORDS["draft"], WORDS["subject"], (WORDS["name in To"],), (), (WORDS["name in Bcc"],)))
    drafts.save_for_later(pat, Writing(WORDS["lost draft"]), parent=message)
    write_and_file(house, session, message)
    assert drafts.reply_to(pat, message)
    assert [b"".join(each.chunks()) for each in drafts.uploads(pat, parent=message)] == [scan]
    for reader, ident in ((pat, message), (session, reply), (session, message)):
        assert house.pickup.show(reader, ident).text
        assert b"".join(house.pickup.eml(reader, ident).chunks)
        assert b"".join(house.pickup.zip(reader, ident, "gravel-sunny"))
    house.pickup.list(pat)
    house.pickup.sent(session)
    mails = list(mails_that_leave(house))
    assert len(mails) >= 6  # notices, receipt, handoff, each in two readings
    for mail in mails:
        assert hits(mail) == set()
    house.stop_keeper()  # a crash in between
    with pytest.raises(CryptnSendError):
        house.submit(ANN, [f"r+{'a' * 39}@{house.config.server.domain}"], letter())
    house.start_keeper()
    house.reset(PAT)
    house.prove(house.session(PAT, OTHER), PAT, message)
    house.pickup.show(house.session(PAT, OTHER), message)
    house.pickup.expire(house.session(ANN, PASSWORD), message)
    house.upkeep.once()
    copy = tmp_path / "backup"
    backup.create(
        copy, {"main.db": house.home.main_db, "ledger.db": house.home.ledger}, house.portal.blobs,
        hold=house.home.run / "deletions.lock", at=house.clock.now(),
    )  # fmt: skip

    assert sum(1 for path in copy.rglob("*") if path.is_file()) >= 4
    assert look_through(house.home.path, copy, spool) == {}
    assert hits(repr(list(house.rows())).encode()) == set()
    said = capfd.readouterr()
    assert hits((said.out + said.err + caplog.text).encode()) == set()
    assert os.listdir(spool) == []
