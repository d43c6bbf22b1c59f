"""Can a name in a notice pretend to be somebody it is not?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.addresses import safe_display_name

CLEANED = [
    ("Ann Ruiz", "Ann Ruiz"),
    ("Dr. Ann Ruiz", "Dr. Ann Ruiz"),
    ("  Ann\t Ruiz ", "Ann Ruiz"),
    ("Ann Ruiz, MD", "Ann Ruiz MD"),
    ('Ann "Annie" <Ruiz>', "Ann Annie Ruiz"),
    ("Ann\r\nBcc: x", "Ann Bcc: x"),
    ("José Núñez", "José Núñez"),
    ("Παπαδόπουλος", "Παπαδόπουλος"),
    ("Иванова Анна", "Иванова Анна"),
    ("山田 花子", "山田 花子"),
    ("Praxis Dr. Li & Kollegen", "Praxis Dr. Li & Kollegen"),
    ("Ward 12", "Ward 12"),
    ("Chase Miller", "Chase Miller"),
    ("Marcus Psaros", "Marcus Psaros"),
    ("Bob\u202egnp\u200b", "Bobgnp"),
    ("A" * 500, "A" * 60),
]


@pytest.mark.parametrize(("name", "expected"), CLEANED)
def test_an_honest_name_stays_readable(name, expected):
    assert safe_display_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "...",
        "ann@x.example",
        "ann\uff20x.example",
        "paypal",
        "PayPal Inc",
        "PаyPal",
        "PayPaI",
        "P a y P a l",
        "Pay-Pal",
        "g00gle",
        "Microsoft 365 Team",
        "MICR0S0FT",
        "Ｇｏｏｇｌｅ",
        "Gооgle",
        "Bank of America",
        "Apple",
        "Аррӏе",
        "Apple Support",
        "Support",
        "Support Team",
        "IT Help Desk",
        "Account Security",
        "no-reply",
        "Administrator",
        "www.example.org",
        "https://x.example",
        "evil.com",
        "Call 1-800-555-1234",
        "Ann 555123",
        "Aпn Ruiz",
        "CryptnSend",
        "GoogleTeam",
        "My PayPal account",
    ],
)
def test_a_borrowed_name_is_refused(name):
    assert safe_display_name(name) == ""


@given(st.text(max_size=200))
def test_what_is_returned_is_one_plain_line(name):
    safe = safe_display_name(name)
    assert len(safe) <= 60
    assert not any(c in safe for c in '\r\n\0@<>"\\,;:()\u202e'.replace(":", ""))
    assert safe == safe.strip()
