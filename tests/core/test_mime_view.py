"""Is everything that is not read there to download, under a name that stays in its folder?"""

from __future__ import annotations

import base64
import email.policy
import re
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.mime import (
    Body,
    attachments,
    bodies,
    choose_bodies,
    index_message,
    is_dangerous,
    safe_filename,
    titled,
    unique_names,
)

NAMES = [
    ("plan.pdf", "plan.pdf"),
    ("../../x.pdf", "x.pdf"),
    ("C:\\Users\\ann\\plan.pdf", "plan.pdf"),
    ("/etc/passwd", "passwd"),
    ("a∕b／c＼d.pdf", "d.pdf"),
    ("..", "attachment"),
    ("", "attachment"),
    ("a/", "attachment"),
    (" . ", "attachment"),
    ("\0", "attachment"),
    (".bashrc", "bashrc"),
    ("CON", "_CON"),
    ("con.txt", "_con.txt"),
    ("Com1 .x", "_Com1 .x"),
    ("console.txt", "console.txt"),
    ("-rf", "_-rf"),
    ('a:b?"c*<d>|.txt', "a_b__c__d__.txt"),
    ("a\u202efdp.exe", "afdp.exe"),
    ("a\r\nContent-Type: x.pdf", "a Content-Type_ x.pdf"),
    ("name.pdf. . ", "name.pdf"),
    ("a\u200b\ufeffb.pdf", "ab.pdf"),
    ("e\u0301.pdf", "é.pdf"),
]


@pytest.mark.parametrize(("name", "safe"), NAMES)
def test_a_file_name_stays_in_its_folder(name, safe):
    assert safe_filename(name) == safe


@given(st.text(max_size=400))
def test_any_name_becomes_one_that_every_system_takes(name):
    safe = safe_filename(name)
    assert 0 < len(safe.encode()) <= 190
    assert not re.search(r'[/\\<>:"|?*\x00-\x1f\u202a-\u202e]', safe)
    assert safe not in {".", ".."}
    assert safe == safe.strip(" ")
    assert not safe.endswith(".")
    assert safe_filename(safe) == safe


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Results 12/11", "Results 12-11.eml"),
        ("Röntgen <b>résultats</b>", "Röntgen _b_résultats_-b_.eml"),
        ("..", "message.eml"),
        ("../../Results: <two>", "Results_ _two_.eml"),
        ("2026-11-18 1106 ../../etc/passwd", "2026-11-18 1106-etc-passwd.eml"),
        ("", "message.eml"),
        ("a" * 300, "a" * 100 + ".eml"),
    ],
)
def test_a_title_becomes_a_name_whole(title, name):
    assert titled(title, ".eml") == name


@pytest.mark.parametrize("size", [0, 1, 18, 56, 57, 58, 1000, 100_000])
def test_a_decoded_size_is_right_to_two_octets(size):
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@b.example", "x"
    mail.set_content("text")
    mail.add_attachment(b"\x81" * size, maintype="application", subtype="pdf", filename="a.pdf")
    index = index_message(mail.as_bytes(policy=email.policy.SMTP))
    assert abs(attachments(index)[0].size - size) <= 2


def test_a_long_name_keeps_its_extension():
    safe = safe_filename("ä" * 10_000 + ".docx")
    assert safe.endswith("ä.docx")
    assert len(safe.encode()) <= 180


@given(st.lists(st.sampled_from(["a.pdf", "A.pdf", "a (2).pdf", "b", "B", ".x", "a"]), max_size=12))
def test_names_are_unique_whatever_the_case(names):
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)
    assert [a for a, b in zip(unique, names, strict=True) if a == b][:1] == names[:1]


@pytest.mark.parametrize("name", ["x.exe", "x.HTML", "a.pdf.js", "m.docm", "i.iso", "x.svg", "x.lnk", "x.url"])
def test_what_can_run_is_marked(name):
    assert is_dangerous(name, "application/octet-stream")


def test_a_lying_name_does_not_hide_the_type():
    assert is_dangerous("invoice.pdf", "text/html")
    assert not is_dangerous("invoice.pdf", "application/pdf")


def message(body: bytes) -> bytes:
    return b"From: a@x.example\r\n" + body.replace(b"\n", b"\r\n")


MIXED = b"""Content-Type: multipart/mixed; boundary=m

--m

one
--m
Content-Type: application/pdf; name=a.pdf

p
--m
Content-Type: application/pdf; name=a.pdf

q
--m

two
--m--
"""


def test_what_is_not_shown_can_be_downloaded():
    index = index_message(message(MIXED))
    everything = bodies(index)
    assert [body.text is not None for body in everything] == [True, True]
    assert choose_bodies(index) == everything[0]
    assert [a.name for a in attachments(index)] == ["a.pdf", "a (2).pdf", "text-4.txt"]
    assert [a.path for a in attachments(index, everything)] == ["2", "3"]
    assert len(attachments(index, [])) == 4


def test_a_message_that_is_one_file_is_its_attachment():
    index = index_message(
        message(b"Content-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\nQUJD\n")
    )
    assert choose_bodies(index) == Body(None, None)
    (only,) = attachments(index)
    assert (only.path, only.name, index.part(only.path)) == ("1", "a.pdf", index.root)


def test_sizes_are_near_the_decoded_ones():
    octets = b"x" * 100_000
    body = base64.encodebytes(octets)
    index = index_message(message(b"Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n" + body))
    assert abs(attachments(index)[0].size - len(octets)) < 1000


@given(
    st.lists(
        st.sampled_from(
            [
                b"\n",
                b"--m\n",
                b"--n\n",
                b"--m--\n",
                b"Content-Type: multipart/alternative; boundary=n\n\n",
                b"x",
                b"Content-ID: <c>\n",
                b"Content-Type: text/html\n\n",
                b"Content-Type: multipart/related; boundary=m; start=c\n\n",
                b"Content-Type: image/png\n\n",
                b"Content-Disposition: attachment; filename=f\n",
                b"Content-Type: message/rfc822\n\n",
                b"Content-Type: multipart/signed; boundary=n\n\n",
            ]
        ),
        max_size=25,
    ).map(b"".join)
)
def test_every_attachment_of_any_message_is_found_by_its_path(body):
    index = index_message(message(body))
    for shown in (None, bodies(index), []):
        found = attachments(index, shown)
        assert len({a.name.casefold() for a in found}) == len(found)
        assert all(index.part(a.path).type == a.type for a in found)
