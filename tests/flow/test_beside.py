"""Files beside a message: sent without a second copy, had by its readers only, in ranges, and gone with it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import Ended, NoGrant, Refusal, SealBroken
from cryptnsend.flow.downloads import TICKET, Download
from cryptnsend.flow.newmail import NewMail
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.uploading import EXPIRES, Uploads
from cryptnsend.flow.views import Upload, Wishes, Writing
from tests.support.house import DAY, MINUTE, House, MakeHouse

ANN, PAT, JUNE = "ann@gmail.example", "pat@yahoo.example", "june@example.org"
FILE = os.urandom(700_001)
PIECE = 100_000


class Share:
    """Ann, who has a file beside a message to Pat."""

    def __init__(self, house: House, organisation: int | None = None):
        self.house = house
        house.add_subscriber(ANN, name="Ann Ruiz", organisation=organisation)
        self.ann = house.session(ANN)
        built = house.portal
        self.uploads = Uploads(
            engine=built.engine, vault=built.vault, keeper=built.keeper, clock=house.clock, random=os.urandom,
            quota=100_000, files_quota=10_000_000, piece=PIECE,
        )  # fmt: skip

    @property
    def newmail(self) -> NewMail:
        self.house.clock.forward(1)
        return self.house.portal.newmail

    def file(self, octets: bytes = FILE, name: str = "scan.dcm") -> Upload:
        begun = self.uploads.begin(
            self.ann, name, "application/dicom", len(octets), nonce=os.urandom(16), may_share=True
        )
        steps = [octets[at : at + 70_000] for at in range(0, len(octets), 70_000)]
        self.uploads.append(self.ann, begun.id, 0, steps)
        return replace(self.uploads.upload(self.ann, begun.id), linked=True)

    def send(self, *files: Upload, to: str = PAT, **values: object) -> int:
        writing = Writing("Look at this.", subject="Scan", to=(to,))
        writing = replace(writing, **values)  # type: ignore[arg-type]
        draft = self.house.portal.drafts.save(self.ann, writing, files=files)
        message = self.newmail.send(self.ann, writing, draft=draft, nonce=os.urandom(16), beside_words="Large files:")
        self.house.clock.forward(MINUTE)
        return message

    def download(self, reader: Session, message: int, file: int) -> Download:
        return self.house.portal.downloads.get(self.house.portal.downloads.begin(reader, message, file), reader)

    def blobs(self) -> set[str]:
        return {key for key, _ in self.house.portal.blobs.keys()}  # noqa: SIM118 - not a dict


@pytest.fixture
def share(house: House) -> Share:
    return Share(house)


def whole(found: Download) -> bytes:
    return b"".join(found.octets(0, found.size))


def test_a_file_beside_a_message_is_had_by_its_recipient_and_counted_once(share: Share) -> None:
    house, file = share.house, share.file()
    before = share.blobs()
    message = share.send(file)
    assert share.blobs() == before, "the file rests where it came to, and there is no second copy"
    pat = house.register(PAT, message)
    letter = house.pickup.show(pat, message)
    assert [(each.name, each.size) for each in letter.beside] == [("scan.dcm", len(FILE))]
    assert letter.subject == "Scan"
    assert letter.text is not None
    assert "Large files:\nscan.dcm" in letter.text
    ticket = house.portal.downloads.begin(pat, message, file.id)
    for _ in range(3):  # it broke off, and went on
        assert whole(house.portal.downloads.get(ticket, pat)) == FILE
    [done] = house.portal.downloads.done(share.ann, message)
    assert (done.address, done.file) == (PAT, file.id)
    assert [action for _, action in house.audited(share.ann.organisation)].count("file.downloaded") == 1
    assert whole(share.download(share.ann, message, file.id)) == FILE
    assert len(house.portal.downloads.done(share.ann, message)) == 1, "its author's own do not count"
    with pytest.raises(NoGrant):
        house.portal.downloads.done(pat, message)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_range_is_what_stands_there(share: Share, data: st.DataObject) -> None:
    if not hasattr(share, "found"):
        file = share.file()
        message = share.send(file)
        vars(share)["found"] = share.download(share.ann, message, file.id)
    found: Download = vars(share)["found"]
    start = data.draw(st.integers(0, len(FILE)))
    end = data.draw(st.integers(start, len(FILE)))
    assert b"".join(found.octets(start, end)) == FILE[start:end]


def test_nobody_else_has_it_whatever_ticket_they_show(share: Share) -> None:
    house, file = share.house, share.file()
    message, other = share.send(file), share.send(to=JUNE)
    pat, june = house.register(PAT, message), house.register(JUNE, other)
    for who, named, ident in ((june, message, file.id), (june, other, file.id), (pat, message, file.id + 1)):
        with pytest.raises(NoGrant):
            house.portal.downloads.begin(who, named, ident)
    ticket = house.portal.downloads.begin(pat, message, file.id)
    for who in (june, share.ann, None, house.session(PAT)):  # also not another session of the same person
        with pytest.raises(NoGrant):
            house.portal.downloads.get(ticket, who)
    for typed in ("", "00" * 32, ticket[:-2], ticket + "00", "zz" * 32, "../" + ticket):
        with pytest.raises(NoGrant):
            house.portal.downloads.get(typed, pat)
    house.clock.forward(TICKET + 1)
    with pytest.raises(NoGrant):
        house.portal.downloads.get(ticket, pat)


def test_what_is_taken_back_ends_in_the_middle_of_a_download(share: Share) -> None:
    house, file = share.house, share.file()
    message = share.send(file)
    pat = house.register(PAT, message)
    ticket = house.portal.downloads.begin(pat, message, file.id)
    running = house.portal.downloads.get(ticket, pat).octets(0, len(FILE))
    first = next(running)
    house.pickup.expire(share.ann, message)
    rest = b"".join(running)
    assert len(first) + len(rest) <= PIECE, "what was begun ends with its piece"
    with pytest.raises(NoGrant):
        house.portal.downloads.get(ticket, pat)
    with pytest.raises(Ended):
        house.portal.downloads.begin(pat, message, file.id)
    house.pickup.restore(share.ann, message)
    assert whole(house.portal.downloads.get(ticket, pat)) == FILE


def test_a_file_stays_as_long_as_its_message_and_goes_with_it(share: Share) -> None:
    house, file, litter = share.house, share.file(), share.file(name="never sent")
    message = share.send(file)
    house.clock.forward(EXPIRES + DAY)
    house.upkeep.once()
    assert whole(share.download(house.session(ANN), message, file.id)) == FILE
    tickets = [row["id"] for table, row in house.rows() if table == "file_tickets"]
    house.clock.forward(2 * TICKET + DAY)
    house.upkeep.once()
    assert len(tickets) == 1
    assert not [row for table, row in house.rows() if table == "file_tickets"], "what is over is forgotten"
    with pytest.raises(NoGrant):
        share.uploads.upload(share.ann, litter.id)
    with pytest.raises(NoGrant):
        share.uploads.drop(share.ann, file.id)  # what was sent is not thrown away by an address of an upload
    house.clock.forward((house.config.life.retention_days + 1) * DAY)
    house.upkeep.once()
    house.clock.forward((house.config.life.undo_days + 1) * DAY)
    house.upkeep.once()
    house.clock.forward(DAY)
    house.upkeep.once()
    assert share.blobs() == set()


def test_a_message_that_is_had_back_keeps_its_files_and_takes_them_along_again(share: Share) -> None:
    house, file = share.house, share.file()
    writing = Writing("Look at this.", subject="Scan", to=(PAT,), wishes=Wishes(later=60))
    draft = house.portal.drafts.save(share.ann, writing, files=[file])
    first = share.newmail.send(share.ann, writing, draft=draft, nonce=os.urandom(16), beside_words="Large files:")
    draft = share.newmail.take_up(share.ann, first)
    again = house.portal.drafts.draft(share.ann, draft)
    assert [(each.name, each.linked) for each in again.files] == [("scan.dcm", True)]
    anew = replace(again.writing, wishes=Wishes())
    second = share.newmail.send(share.ann, anew, draft=draft, nonce=os.urandom(16), beside_words="Large files:")
    house.clock.forward(MINUTE)
    letter = house.pickup.show(share.ann, second)
    assert letter.text is not None
    assert letter.text.count("scan.dcm") == 1
    assert whole(share.download(share.ann, second, file.id)) == FILE


def test_large_files_never_leave_as_ordinary_mail(make_house: MakeHouse) -> None:
    share = Share(make_house(policy={"default": "plain"}))
    with pytest.raises(Refusal, match="ordinary mail"):
        share.send(share.file(), wishes=Wishes(plain=True))
    with pytest.raises(Refusal, match="ordinary mail"):
        share.send(share.file(), subject=":: Scan")
    message = share.send(share.file())
    assert not [each for each in share.house.queued("relay") if each["message"] == message]


def test_an_organisation_says_how_large_they_may_be(make_house: MakeHouse) -> None:
    share = Share(make_house(limits={"file_octets": len(FILE) - 1}))
    with pytest.raises(Refusal, match="larger than your organisation allows"):
        share.send(share.file())


def test_passing_on_takes_copies_of_large_files_along_which_outlive_the_first_message(share: Share) -> None:
    house = share.house
    house.add_subscriber(JUNE)
    message = share.send(share.file(), share.file(b"", "nothing.txt"), to=JUNE)
    house.prove(june := house.session(JUNE), JUNE, message)
    draft = house.portal.newmail.pass_on(june, message)
    passed = house.portal.drafts.draft(june, draft)
    assert [(each.name, each.size, each.linked) for each in passed.files] == [
        ("scan.dcm", len(FILE), True), ("nothing.txt", 0, True),
    ]  # fmt: skip
    writing = replace(passed.writing, to=(PAT,))
    house.clock.forward(1)
    second = house.portal.newmail.send(june, writing, draft=draft, nonce=os.urandom(16))
    house.clock.forward(MINUTE)
    house.pickup.shred(share.ann, message)
    reader = house.register(PAT, second)
    [file, _] = house.portal.downloads.beside(reader, second)
    assert whole(share.download(reader, second, file.id)) == FILE


def test_what_there_is_no_room_for_is_named_and_not_passed_on(make_house: MakeHouse) -> None:
    house = make_house(limits={"files_octets": 2 * len(FILE) - 1})
    share = Share(house)
    message = share.send(share.file(), share.file(b"small", "small.txt"), to=ANN)
    draft = house.portal.newmail.pass_on(share.ann, message)
    passed = house.portal.drafts.draft(share.ann, draft)
    assert [each.name for each in passed.files] == ["small.txt"]
    assert passed.writing.text.startswith("\n\nNot passed on, for want of room: scan.dcm\n")


def test_somebody_elses_file_does_not_go_along(share: Share) -> None:
    share.house.add_subscriber(JUNE)
    file = share.file()
    theirs, share.ann = share.ann, share.house.session(JUNE)
    with pytest.raises(Refusal, match="not here any more"):
        share.send(file)
    share.ann = theirs
    assert share.send(file)


def test_a_piece_that_is_damaged_or_lost_ends_the_download_there(share: Share) -> None:
    house, file = share.house, share.file()
    message = share.send(file)
    found = share.download(share.ann, message, file.id)
    house.spoil("UPDATE upload_pieces SET start = start + 7 WHERE upload = :file AND start = 300000", file=file.id)
    got = bytearray()
    with pytest.raises(SealBroken):
        got.extend(octet for each in found.octets(0, found.size) for octet in each)
    assert bytes(got) == FILE[: len(got)]
    assert len(got) <= 300_000
    house.spoil("DELETE FROM upload_pieces WHERE upload = :file", file=file.id)
    with pytest.raises(SealBroken):
        next(found.octets(0, 10))
