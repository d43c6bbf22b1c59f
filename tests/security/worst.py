# ruff: noqa: E501 - each message stands on a line of its own, however long
"""The worst messages that we can think of, each made to cost whoever looks into it far more than it cost to send."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

MIB = 1024 * 1024
FROM = b"From: ann@clinic.example\r\nTo: pat@mail.example\r\nMIME-Version: 1.0\r\n"
HEADER = 100_000  # octets; the doors take 102,400


def html(body: bytes) -> bytes:
    return FROM + b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(body)


def text(body: bytes, more: bytes = b"") -> bytes:
    return FROM + b"Content-Type: text/plain; charset=utf-8" + more + b"\r\n\r\n" + body


def wrapped(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def field(name: bytes, value: bytes) -> bytes:
    return b"From: ann@clinic.example\r\n" + name + b": " + value[:HEADER] + b"\r\n\r\nx\r\n"


def mixed(*parts: bytes) -> bytes:
    begin = FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return begin + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def many(unit: bytes, octets: int) -> bytes:
    return unit * (octets // len(unit))


def nested(levels: int, kind: bytes) -> bytes:
    return FROM + b"".join(
        b"Content-Type: multipart/%s; boundary=b%d\r\n\r\n--b%d\r\n" % (kind, n, n) for n in range(levels)
    )


PLAIN, RICH = b"Content-Type: text/plain\r\n\r\n", b"Content-Type: text/html\r\n\r\n"
BILLION = (
    b'<!DOCTYPE a [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10) for n in range(9))
    + b"]>"
)

WORST: dict[str, Callable[[], bytes]] = {
    # header fields
    "From: quotes that never close": lambda: b"From: " + many(b'"a', HEADER) + b"\r\n\r\nx\r\n",
    "From: comments in comments": lambda: b"From: " + many(b"(", HEADER // 2) + many(b")", HEADER // 2) + b"\r\n\r\nx",
    "To: groups and angles": lambda: field(b"To", many(b"a:<b,", HEADER)),
    "To: addresses": lambda: field(b"To", many(b"p@x.example,", HEADER)),
    "To: escapes": lambda: field(b"To", many(b'"\\', HEADER)),
    "Subject: encoded words": lambda: field(b"Subject", many(b"=?utf-8?q?=C3=A9?= ", HEADER)),
    "Subject: a word of each charset": lambda: field(b"Subject", many(b"=?utf-7?b?K0FHRQ?= =?hz?q?~{?= =?x?q??= ", HEADER)),
    "Subject: marks and blanks": lambda: field(b"Subject", many(b"Re: AW: [x] ", HEADER) + many(b" \t", HEADER)),
    "Subject: begun words": lambda: field(b"Subject", many(b"=?a?q?", HEADER)),
    "References": lambda: field(b"References", many(b"<a@b>", HEADER)),
    "References: angles": lambda: field(b"References", many(b"<", HEADER)),
    "folded lines": lambda: field(b"Subject", many(b"\r\n x", HEADER)),
    "fields": lambda: b"From: ann@clinic.example\r\n" + many(b"X: y\r\n", HEADER) + b"\r\nx",
    "Received": lambda: b"From: ann@clinic.example\r\n" + many(b"Received: x\r\n", HEADER) + b"\r\nx",
    "Bcc": lambda: b"From: ann@clinic.example\r\n" + many(b"Bcc: x\r\n y\r\n", HEADER) + b"\r\nx",
    "parameters": lambda: field(b"Content-Type", b"text/plain" + many(b"; a=b", HEADER)),
    "parameters: sections": lambda: field(b"Content-Type", b"text/plain" + many(b"; name*1*=%41", HEADER)),
    "parameters: comments": lambda: field(b"Content-Type", b"text/plain; a=" + many(b"(", HEADER)),
    "parameters: quotes": lambda: field(b"Content-Disposition", b"attachment" + many(b'; a="\\', HEADER)),
    "parameters: blanks": lambda: field(b"Content-Type", b"text/plain" + many(b"; a" + b" " * 900, HEADER)),
    # structure
    "levels of multipart": lambda: nested(40_000, b"mixed") + b"x",
    "levels of alternative": lambda: nested(99, b"alternative") + many(RICH + b"<p>x\r\n", MIB),
    "levels of messages": lambda: many(b"Content-Type: message/rfc822\r\n\r\n", 4 * MIB) + b"x",
    "empty parts": lambda: mixed() + many(b"--b\r\n", 8 * MIB),
    "parts": lambda: mixed(*[PLAIN + b"x"] * 20_000),
    "parts with long headers": lambda: mixed(*[b"Content-Type: text/plain; " + many(b"n=v;", 20_000) + b"\r\n\r\nx"] * 900),
    "parts with names": lambda: mixed(*[b'Content-Disposition: attachment; filename="%s"\r\n\r\nx' % (b"\xc3\xa9" * 999)] * 999),
    "almost delimiters": lambda: FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + many(b"\r\n--bx", 8 * MIB),
    "many boundaries": lambda: nested(99, b"mixed") + many(b"\r\n--b1", 4 * MIB),
    "twenty texts": lambda: mixed(*[PLAIN + many(b"x\r\n", 2 * MIB)] * 20),
    "twenty pages": lambda: mixed(*[RICH + many(b"<p>x</p>\r\n", 400_000)] * 20),
    "twenty heavy pages": lambda: mixed(*[RICH + many(b"<b>x &amp; </b>", 800_000)] * 20),
    "pages just light enough": lambda: mixed(*[RICH + many(b"<p>", 178_000)] * 20),
    # text
    "lines": lambda: text(many(b"\r\n", 8 * MIB)),
    "quoted lines": lambda: text(many(b">>>>>>>>>>>>>>>>>>>> x\r\n", 4 * MIB)),
    "flowed lines": lambda: text(many(b"x \r\n", 4 * MIB), b"; format=flowed; delsp=yes"),
    "addresses": lambda: text(many(b"https://a.example/ p@x.example\r\n", 4 * MIB)),
    "almost addresses": lambda: text(many(b"a.", 4 * MIB) + b"@"),
    "one line of at signs": lambda: text(many(b"a@", 4 * MIB)),
    "one line of blanks": lambda: text(many(b" ", 4 * MIB)),
    "heads of earlier mails": lambda: text(many(b"From: x\r\n", 4 * MIB)),
    "rules": lambda: text(many(b"_" * 60 + b"\r\n", 4 * MIB)),
    "one line of dots": lambda: text(many(b".", 8 * MIB)),
    "dots": lambda: text(many(b"..\r\n", 8 * MIB)),
    "foreign letters": lambda: text("ﷺ".encode() * 700_000),
    # encodings
    "base64: noise": lambda: FROM + b"Content-Transfer-Encoding: base64\r\n\r\n" + wrapped(os.urandom(20 * MIB)),
    "base64: padding": lambda: FROM + b"Content-Transfer-Encoding: base64\r\n\r\n" + many(b"A=", 8 * MIB),
    "base64: no digits": lambda: FROM + b"Content-Transfer-Encoding: base64\r\n\r\n" + many(b"!-", 8 * MIB),
    "quoted-printable: equals": lambda: FROM + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + many(b"=", 8 * MIB),
    "quoted-printable: soft breaks": lambda: (
        FROM + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + many(b"=\r\n", 8 * MIB)
    ),
    "quoted-printable: blanks": lambda: FROM + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + many(b" \t\r\n", 8 * MIB),
    "uuencode": lambda: FROM + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n" + many(b"M!\r\n", 8 * MIB),
    **{
        f"charset {name}": lambda name=name, unit=unit: (
            FROM + b"Content-Type: text/plain; charset=" + name.encode() + b"\r\n\r\n" + many(unit, 4 * MIB)
        )
        for name, unit in {
            "utf-7": b"+AGE-", "hz": b"~{!!~}", "iso-2022-jp": b"\x1b$B!!\x1b(B", "utf-16": b"\xff\xfe",
            "idna": b"xn--a.", "punycode": b"a-", "unicode_escape": b"\\u0041", "zlib": b"x\x9c", "rot13": b"a",
        }.items()
    },
    # HTML
    "html: deep": lambda: html(many(b"<div>", 2 * MIB)),
    "html: deep tables": lambda: html(many(b"<table><tr><td>", 2 * MIB)),
    "html: open formatting": lambda: html(many(b"<b><i><u><a href=x>", MIB) + many(b"<p>", MIB)),
    "html: misnested": lambda: html(many(b"<a><b></a></b><p>", 2 * MIB)),
    "html: fostered": lambda: html(b"<table>" + many(b"<b>x", 2 * MIB)),
    "html: attributes": lambda: html(b"<p " + b" ".join(b"a%d=x" % n for n in range(200_000)) + b">"),
    "html: one attribute": lambda: html(b'<p style="' + many(b"color:red;", 2 * MIB) + b'">x'),
    "html: styles": lambda: html(many(b'<p style="color:rgb(1,1,1) a a a a a a a!">x</p>', MIB)),
    "html: sheet": lambda: html(b"<style>" + many(b"p>b+i~u a.x{color:red}", 200_000) + b"</style>" + many(b"<p><b>x</b>", MIB)),
    "html: sheets": lambda: html(many(b"<style>p{color:red}</style>", 2 * MIB)),
    "html: at-rules": lambda: html(many(b"<style>@media{", MIB) + many(b"}", MIB)),
    "html: begun comments": lambda: html(many(b"<!--", 2 * MIB)),
    "html: begun raw text": lambda: html(many(b"<noscript><svg><select>", 2 * MIB)),
    "html: begun tags": lambda: html(many(b"<", 2 * MIB)),
    "html: begun attributes": lambda: html(many(b"<a b='", 2 * MIB)),
    "html: ampersands": lambda: html(many(b"&", 2 * MIB)),
    "html: entities": lambda: html(many(b"&nbsp;&NotEqualTilde;&#x41;", 2 * MIB)),
    "html: a billion laughs": lambda: html(BILLION + b"<p>" + many(b"&a8;", MIB)),
    "html: links": lambda: html(many(b"<a href=https://x.example/>x</a>", 2 * MIB)),
    "html: quotes": lambda: html(many(b"<blockquote>x</blockquote>", MIB)),
    "html: ruled lines": lambda: html(many(b"<hr>From: Sent:", MIB)),
    "html: pictures": lambda: html(many(b"<img src=cid:x>", 2 * MIB)),
    "html: one word": lambda: html(many(b"x", 2 * MIB)),
    "html: cells": lambda: html(b"<table>" + many(b"<tr><td>x<td>y", 800_000)),
    "html: lists": lambda: html(many(b"<ul><li>", MIB)),
    "html: rows of spans": lambda: html(b"<table><tr>" + many(b"<td colspan=1000 rowspan=65534>x", 800_000)),
    "html: nulls": lambda: html(many(b"\0<p>\0", 2 * MIB)),
    # files
    "winmail.dat": lambda: mixed(b"Content-Type: application/ms-tnef; name=winmail.dat\r\n\r\n" + many(b"\x78\x9f\x3e\x22", 4 * MIB)),
    "noise": lambda: mixed(b"Content-Type: application/octet-stream\r\n\r\n" + wrapped(os.urandom(20 * MIB))),
    "pictures within": lambda: mixed(
        RICH + many(b"<img src=cid:a>", 100_000),
        *[b"Content-Type: image/png\r\nContent-ID: <a>\r\nContent-Transfer-Encoding: base64\r\n\r\n" + wrapped(b"x" * 5 * MIB)],
    ),
}  # fmt: skip
