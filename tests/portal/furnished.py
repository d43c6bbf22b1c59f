"""A world with messages of every kind, the hard ones among them: long names, no subject, locked, damaged."""

from __future__ import annotations

from dataclasses import replace

from cryptnsend.flow.views import Downloaded, Entry, File, KeptFile, KeptMail, Letter, Reached, Status, Waiting
from cryptnsend.flow.views_accounts import Blocked, Browser, Device, Doing
from cryptnsend.flow.ways import Way
from tests.portal.world import ANN, DAY, NOW, PAT, World

FILES = [
    File("2", "Lab results 17 November.pdf", "application/pdf", 214_000),
    File(
        "3",
        "Medicines Walter Lindgren.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        38_000,
    ),
]
TEXT = (
    "Dear Pat,\n\nyour results are in, and most of them are good. Kidney and liver values are where they should "
    "be. Your long-term sugar (HbA1c) came down from 7.4 to 6.9, which is what we hoped for.\n\nYour iron is a "
    "little low. Please start one tablet of iron each morning, half an hour before breakfast.\n\n"
    "> What do I do about my iron?\n\nKind regards\nAnn Ruiz"
)


def furnished() -> World:
    """Return a world with messages of every kind."""
    world = World()
    world.waiting = _links()
    world.letters = _letters()
    world.files = {(11, "2"): b"%PDF-1.7 lab", (11, "3"): b"PK docx"}
    world.entries = _list()
    world.sent = _sent()
    scan = KeptFile(9, "MRI of the left knee, all sequences.dcm", "application/dicom", 1_900_000_000, linked=True)
    world.letters[14] = replace(world.letters[14], beside=(scan,))
    world.beside[21], world.downloaded[21] = [scan], [Downloaded(9, PAT, NOW - DAY)]
    world.blocked = [Blocked(5, "Weight Loss Wonders of the Whole Wide World", "offers@wonders.example", PAT)]
    _furnish_account(world)
    return world


def _links() -> dict[str, Waiting]:
    """Return what links stand for, each state that a page has."""
    base = {
        "sender_name": "Dr. Ann Ruiz",
        "sender_address": ANN,
        "phone": "(555) 010-0142",
        "organisation": "Ruiz Family Practice",
        "sent": NOW - 2 * DAY,
        "to": PAT,
        "display_id": "7Q2K-9H3M",
    }
    return {
        "new": Waiting(message=11, state="new", has_account=False, **base),
        "known": Waiting(message=11, state="known", has_account=True, phrase="green canoe", **base),
        "second": Waiting(
            message=14,
            state="new",
            has_account=True,
            digits=8,
            **(
                base
                | {
                    "sender_name": "Dr. Henrik Holm",
                    "sender_address": "holm@holmcardio.example",
                    "organisation": "Holm Cardiology",
                }
            ),
        ),
        "by-mail": Waiting(message=11, state="new", has_account=False, way="mail", **base),
        "free": Waiting(message=11, state="new", has_account=False, way="none", **base),
        "expired": Waiting(message=12, state="expired", has_account=True, ended=NOW - DAY, **base),
        "suspended": Waiting(message=13, state="suspended", has_account=True, ended=NOW - DAY, **base),
        "left": Waiting(message=15, state="left", has_account=False, **base),
    }


def _letters() -> dict[int, Letter]:
    """Return what can be read."""
    return {
        11: Letter(
            11,
            "Your blood test from Tuesday",
            "Dr. Ann Ruiz",
            ANN,
            NOW - 2 * DAY,
            TEXT,
            None,
            FILES,
            False,
            NOW + 28 * DAY,
            "(555) 010-0142",
            "Ruiz Family Practice",
            (PAT,),
            (),
            True,
            True,
            "7Q2K-9H3M",
        ),
        14: Letter(
            14,
            "Echo and ECG",
            "Dr. Henrik Holm",
            "holm@holmcardio.example",
            NOW - DAY,
            TEXT,
            "<p>Dear Pat,</p>"
            + "<p>your heart is <b>fine</b>. "
            + "All values are good. " * 30
            + "</p>"
            + "<ul><li>Echo</li><li>ECG</li></ul>",
            (),
            False,
            NOW + 2 * DAY,
            "",
            "Holm Cardiology",
            (PAT, ANN),
            (ANN, "june@example.org"),
            True,
            True,
            "",
        ),
        15: Letter(15, "", "", "odd@example.org", NOW - 40 * DAY, None, None, (), False, None),
        21: Letter(
            21,
            "Your blood test from Tuesday",
            "Dr. Ann Ruiz",
            ANN,
            NOW - DAY,
            TEXT,
            None,
            (),
            True,
            NOW + 29 * DAY,
            can_reply=False,
        ),
    }


def _list() -> list[Entry]:
    """Return what stands in a list of messages."""
    return [
        Entry(16, None, "Dr. Henrik Holm", "holm@holmcardio.example", NOW - 3_600_000, False, "code"),
        Entry(
            14, "Echo and ECG", "Dr. Henrik Holm", "holm@holmcardio.example", NOW - DAY, False, "open", 0, NOW + 2 * DAY
        ),
        Entry(11, "Your blood test from Tuesday", "Dr. Ann Ruiz", ANN, NOW - 2 * DAY, True, "open", 2, NOW + 28 * DAY),
        Entry(
            10, None, "Boise Eye Clinic, front desk and appointments", "desk@eye.example", NOW - 5 * DAY, True, "locked"
        ),
        Entry(9, None, "Dr. Ann Ruiz", ANN, NOW - 9 * DAY, True, "suspended"),
        Entry(8, None, "Dr. Ann Ruiz", ANN, NOW - 45 * DAY, True, "expired"),
    ]


def _sent() -> dict[int, Status]:
    """Return what became of messages."""
    return {
        21: Status(
            21,
            "Your blood test from Tuesday",
            NOW - 3_600_000,
            (
                Reached(PAT, "Pat Lee", "notified", NOW - 3_500_000, "", True),
                Reached("maria@outlook.example", "Maria Lindgren", "opened", NOW - 3_000_000, "", False),
                Reached(
                    "desk@pinestreet.example",
                    "",
                    "bounced",
                    NOW - 3_400_000,
                    "550 5.1.1 this address does not exist",
                    False,
                    way=Way(
                        "notice",
                        "failed",
                        1,
                        "the organisation seals everything that nothing else applies to",
                        "mx",
                        "mx.pinestreet.example",
                        "192.0.2.7",
                        "TLSv1.3, certificate not checked",
                        "x",
                        "none",
                        "5.1.1",
                        "550",
                        "this address does not exist",
                    ),
                ),
            ),
            NOW + 30 * DAY,
        ),
        20: Status(
            20,
            "Vaccination record for school",
            NOW - DAY,
            (Reached(PAT, "Pat Lee", "opened", NOW - DAY, "", False),),
            NOW + 20 * DAY,
        ),
        19: Status(
            19,
            "Answer about your dosage",
            NOW - 6 * DAY,
            (Reached(PAT, "Pat Lee", "notified", NOW - 6 * DAY, "", False, suspended=True),),
            NOW + 20 * DAY,
            taken_back=NOW - 5 * DAY,
            undo_until=NOW + 2 * DAY,
        ),
    }


def _furnish_account(world: World) -> None:
    """Give *world* devices, browsers, and acts of every kind."""
    world.devices = [
        Device(1, "Ann’s MacBook", "submit", NOW - 90 * DAY, NOW - 3_600_000),
        Device(2, "Front desk PC", "submit", NOW - DAY, None),
    ]
    firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Safari/604.1"
    world.browsers = [
        Browser("a" * 64, firefox, NOW - DAY, NOW - 60_000, True),
        Browser("b" * 64, safari, NOW - 3 * DAY, NOW - DAY, False),
        Browser("c" * 64, "", NOW - 9 * DAY, NOW - 8 * DAY, False),
    ]
    world.doings = [
        Doing(NOW - 60_000, "message.opened", 11, "", ""),
        Doing(NOW - DAY, "account.signed-in", 0, "2001:db8:1:2:3:4:5:6", firefox),
        Doing(NOW - 2 * DAY, "something.new", 0, "", ""),
        Doing(NOW - 3 * DAY, "account.reset", 0, "command line", "", by_operator=True, user="root"),
        Doing(NOW - 4 * DAY, "message.exported", 12, "command line", "", user="ann"),
        Doing(NOW - 5 * DAY, "account.enabled", 0, "", "", by_operator=True),
    ]


def kept_mails() -> list[KeptMail]:
    """Return mails that are kept apart, for every reason's look and the hardest cases."""
    eve, long = "eve@evil.example", f"{'front.desk.and.appointments.' * 2}x@{'very-long-name-of-a-clinic.' * 2}example"
    words = "Dear Ann,\n\nplease send me the results once more.\n\n> Your blood test\n\nPat"
    return [
        KeptMail(37, "abuse", eve, NOW - 3_600_000, None, "Spam from your server", 4_000, words),
        KeptMail(36, "spam", eve, NOW - 2 * 3_600_000, None, "You have won", 4_000, words),
        KeptMail(35, "refused", PAT, NOW - DAY, 21, "", 200, None),
        KeptMail(34, "no-code", PAT, NOW - DAY, 21, None, 999),
        KeptMail(33, "automatic", PAT, NOW - 2 * DAY, 21, "Out of office: " + "Re: " * 20, 999, words),
        KeptMail(32, "no-author", "", NOW - 3 * DAY, None, "x" * 120, 999, "https://" + "y" * 200, 3),
        KeptMail(31, "unproven", long, NOW - 40 * DAY, 21, "Re: Your blood test from Tuesday", 999, words, 1),
    ]
