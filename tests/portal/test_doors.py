"""What holds for every page: methods, form tokens, headers, cookies, log lines, error pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Flask
from structlog.testing import capture_logs
from werkzeug.routing import Rule

from cryptnsend import settings_doors
from cryptnsend.core.errors import Denied, KeeperGone
from cryptnsend.delivery.mtasts import parse
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.portal import Portal
from cryptnsend.portal.security import OPEN
from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.conftest import BASE, Visitor, config
from tests.portal.fakes_looks import DRAWN
from tests.portal.world import PASSWORD, World

VALUES = {
    "kind": "smime",
    "topic": "author",
    "token": "new",
    "message": 11,
    "part": "2",
    "device": 1,
    "passkey": 1,
    "hook": 1,
    "draft": 511,
    "file": 7,
    "handle": "dr-ruiz",
    "ticket": "nobody",
    "code": "0" * 12,
    "mark": DRAWN.mark,
    "number": 1,
    "upload": 1,
    "earlier": 1,
    "later": 2,
    "version": 1,
    "locator": "A" * 27,
    "link": 1,
    "ident": "b" * 64,
    "contact": 5,
    "shared": "here",
    "address": "ann@gmail.example",
    "filename": "cryptnsend.css",
}
READING = {"GET", "HEAD", "OPTIONS"}
CHANGING_CALLS = {"register", "sign_out", "prove", "prove_as", "sign_in", "new_passphrase", "codes"}


def rules(app: Flask) -> list[tuple[Rule, str]]:
    """Return each rule with a path for it. A list, since requests made inside this context would share one `g`."""
    found = []
    with app.test_request_context(base_url=BASE):
        for rule in app.url_map.iter_rules():
            values = {name: VALUES[name] for name in rule.arguments}
            if "<int:ident>" in rule.rule:
                values["ident"] = 1
            if "<int:token>" in rule.rule:
                values["token"] = 1
            if rule.endpoint.startswith("subscriber.") and "message" in values:
                values["message"] = 21
            found.append((rule, rule.build(values)[1]))  # type: ignore[index]
    return found


def every(app: Flask, method: str) -> list[tuple[str, str]]:
    return [(rule.endpoint, url) for rule, url in rules(app) if method in (rule.methods or ())]


def test_no_get_and_no_head_changes_anything(app: Portal, pat: Visitor, ann: Visitor, world: World) -> None:
    devices, sessions = list(world.devices), dict(world.sessions)
    for somebody in (Visitor(app), pat, ann):
        for _, url in every(app, "GET"):
            assert somebody.client.get(url, base_url=BASE).status_code < 500
            assert somebody.client.head(url, base_url=BASE).status_code < 500
    assert not CHANGING_CALLS & {call.split()[0] for call in world.calls}
    assert not [call for call in world.calls if call.split()[0] in ("expire", "restore", "next_code", "revoke")]
    assert (world.devices, world.sessions, world.replies, world.tries) == (devices, sessions, [], 5)


def test_a_head_with_a_form_in_it_does_nothing(app: Portal, pat: Visitor, ann: Visitor, world: World) -> None:
    form = {
        "address": "pat@yahoo.example",
        "password": PASSWORD,
        "old": PASSWORD,
        "name": "X",
        "new": "1",
        "code": "482913",
    }
    for somebody in (Visitor(app), pat, ann):
        world.calls.clear()
        for rule, url in rules(app):
            for method in {"HEAD", "GET"} & set(rule.methods or ()):
                assert somebody.client.open(url, method=method, base_url=BASE, data=form).status_code < 500
        assert {call.split()[0] for call in world.calls} <= {"show", "part", "keys"}


def test_a_head_of_a_message_does_not_show_it(pat: Visitor, world: World) -> None:
    for url in ("/messages/11", "/messages/14/letter", "/messages/11/files/2", "/messages/11/eml"):
        assert pat.client.head(url, base_url=BASE).status_code == 200
    assert "show" not in world.calls


def test_a_page_nobody_looks_at_yet_is_not_shown(pat: Visitor, world: World) -> None:
    page = pat.client.get("/messages/11", base_url=BASE, headers={"Sec-Purpose": "prefetch;prerender"})
    assert page.status_code == 503
    assert "show" not in world.calls


def test_every_form_without_its_token_is_refused(app: Portal, pat: Visitor, ann: Visitor, world: World) -> None:
    posts = every(app, "POST")
    assert len(posts) > 20
    for somebody in (pat, ann):
        somebody.get("/messages")
        world.calls.clear()
        for endpoint, url in posts:
            if endpoint in OPEN:  # reads nothing and changes nothing, and has a test of its own
                continue
            for token in ({}, {"csrf_token": "wrong"}):
                # Uploads in pieces listen to nobody who does not speak their protocol.
                answer = somebody.client.post(url, base_url=BASE, data=token, headers={"Tus-Resumable": "1.0.0"})
                # Programs have a token of their own in the place of a form's, and no cookie of theirs counts.
                assert answer.status_code in ((401,) if endpoint.startswith("api.") else (400, 404)), endpoint
        assert not CHANGING_CALLS & set(world.calls)


def test_a_form_token_of_another_browser_is_refused(app: Portal, pat: Visitor) -> None:
    other = Visitor(app)
    other.get("/sign-in")
    stolen = other.form_token()
    pat.get("/messages")
    answer = pat.client.post("/sign-out", base_url=BASE, data={"csrf_token": stolen})
    assert answer.status_code == 400


def test_a_form_that_another_site_sends_is_refused(pat: Visitor) -> None:
    pat.get("/messages")
    for site in ("cross-site", "same-site"):
        assert pat.post("/sign-out", headers={"Sec-Fetch-Site": site}).status_code == 400
        pat.get("/messages")
    assert pat.post("/sign-out", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303


STRANGERS = ("letters.frame", "letters.printed")  # what somebody else wrote, as they laid it out
# Files whose address changes with what they are, the same for everybody, so that browsers may keep them.
NAMED_BY_CONTENT = ("static", "wearing.logo", "wearing.accent", "wearing.screen")
FRAMED = ("letters.frame", "looking.shown")  # what stands in a frame of a page of ours


def test_every_answer_has_the_headers(app: Portal, pat: Visitor) -> None:
    for somebody in (Visitor(app), pat):
        for endpoint, url in every(app, "GET"):
            headers = somebody.client.get(url, base_url=BASE).headers
            assert "max-age=63072000" in headers["Strict-Transport-Security"], endpoint
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe-eval" not in policy
            if endpoint not in NAMED_BY_CONTENT:
                assert headers["Cache-Control"] == "no-store", endpoint
            if endpoint not in STRANGERS:
                assert "unsafe-inline" not in policy
            elif (
                "unsafe-inline" in policy
            ):  # styles that the sanitiser let stand, in a document that may do nothing else
                assert "sandbox" in policy
                assert "script-src" not in policy
            if endpoint not in FRAMED:
                assert "frame-ancestors 'none'" in policy
                assert headers["X-Frame-Options"] == "DENY"


def test_script_nonces_are_fresh_and_the_only_scripts(pat: Visitor) -> None:
    seen = set()
    for _ in range(3):
        page = pat.get("/messages")
        nonce = re.search(r"script-src 'nonce-([\w-]+)'", page.headers["Content-Security-Policy"])
        assert nonce
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert len(scripts) == 1
        assert f'nonce="{nonce[1]}" src="/static/pages.js' in scripts[0]
        seen.add(nonce[1])
    assert len(seen) == 3


def test_pages_have_no_inline_style_and_no_handlers(app: Portal, pat: Visitor, ann: Visitor) -> None:
    for somebody in (Visitor(app), pat, ann):
        for endpoint, url in every(app, "GET"):
            if endpoint in ("static", "letters.file", "letters.eml", "looking.shown", *STRANGERS):
                continue
            text = somebody.client.get(url, base_url=BASE).text
            assert not re.search(r"<[^>]+\s(style|on\w+)=", text), endpoint
            assert "<style" not in text
            assert not re.search(r'(src|href|action)="(https?:)?//', text), endpoint


def test_cookies_are_host_bound_secure_and_unreadable_for_scripts(visitor: Visitor) -> None:
    first = visitor.get("/sign-in")
    answer = visitor.post("/sign-in", {"address": "pat@yahoo.example", "password": PASSWORD})
    for cookie in [*first.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]:
        assert cookie.startswith("__Host-cryptnsend")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie


def test_signing_in_takes_a_fresh_form_token(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    before = visitor.form_token()
    visitor.post("/sign-in", {"address": "pat@yahoo.example", "password": PASSWORD})
    visitor.follow()
    raw = [each.split(".")[0] for each in (before, visitor.form_token())]
    assert raw[0] != raw[1]
    assert visitor.client.post("/sign-out", base_url=BASE, data={"csrf_token": before}).status_code == 400


def test_signing_out_ends_the_session_on_the_server(pat: Visitor, world: World) -> None:
    pat.get("/messages")
    assert pat.post("/sign-out").status_code == 303
    assert world.sessions == {}
    assert "You are signed out" in pat.follow().text
    assert pat.get("/messages").status_code == 303


def test_the_pages_of_subscribers_do_not_exist_for_recipients(app: Portal, pat: Visitor) -> None:
    for endpoint, url in every(app, "GET"):
        if endpoint.startswith(("subscriber.", "programs.")):
            assert pat.client.get(url, base_url=BASE).status_code == 404, endpoint


def test_private_pages_ask_for_a_sign_in_and_lead_back(app: Portal, visitor: Visitor) -> None:
    for endpoint, url in every(app, "GET"):
        if endpoint.split(".")[0] in ("letters", "subscriber", "programs"):
            answer = visitor.client.get(url, base_url=BASE)
            assert answer.status_code == 303, endpoint
            assert answer.location == "/sign-in"
    visitor.get("/messages/14")
    visitor.follow()
    visitor.post("/sign-in", {"address": "pat@yahoo.example", "password": PASSWORD})
    assert visitor.page is not None
    assert visitor.page.location == "/messages/14"


def test_somebody_whose_session_ended_is_told_so(pat: Visitor, world: World) -> None:
    pat.get("/messages/14")
    world.sessions.clear()
    pat.get("/messages/14")
    assert "You were away for a while" in pat.follow().text


def test_log_lines_name_routes_and_never_paths(app: Portal, pat: Visitor) -> None:
    with capture_logs() as lines:
        pat.get("/m/known")
        pat.get("/messages/11/files/2")
        pat.get("/m/secret-token-4711/extra")
        pat.get("/messages?before=4711")
    assert [line["route"] for line in lines] == ["recipient.waiting", "letters.file", "none", "letters.listing"]
    assert "4711" not in str(lines)
    assert "known" not in str(lines)
    assert {"route", "method", "status", "ms", "event", "log_level"} == set(lines[0])


def test_a_failure_has_a_number_in_the_log_and_no_text_anywhere(pat: Visitor, world: World, monkeypatch: Any) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("kumquat-4711")

    monkeypatch.setattr("tests.portal.fakes.FakePickup.show", broken)
    with capture_logs() as lines:
        page = pat.get("/messages/11")
    assert page.status_code == 500
    assert "Something broke on our side" in page.text
    assert "kumquat" not in page.text
    failure = next(line for line in lines if line["event"] == "request failed")
    assert failure["reference"] in page.text
    assert re.fullmatch(r"[0-9A-F]{3}-[0-9A-F]{3}", failure["reference"])


def test_a_no_of_the_flows_is_told_in_their_words(ann: Visitor, monkeypatch: Any) -> None:
    def refuse(*_: Any) -> None:
        raise Denied("This message can no longer be given back: its 7 days are over.")

    monkeypatch.setattr("tests.portal.fakes.FakePickup.restore", refuse)
    ann.get("/sent/19")
    page = ann.post("/sent/19/restore")
    assert page.status_code == 403
    assert "its 7 days are over" in page.text


def test_a_missing_keeper_is_told_as_a_pause(visitor: Visitor, monkeypatch: Any) -> None:
    def gone(*_: Any) -> None:
        raise KeeperGone("The keeper does not answer.")

    monkeypatch.setattr("tests.portal.fakes_accounts.FakeAccounts.sign_in", gone)
    visitor.get("/sign-in")
    page = visitor.post("/sign-in", {"address": "pat@yahoo.example", "password": PASSWORD})
    assert page.status_code == 503
    assert page.headers["Retry-After"] == "60"
    assert "Your messages are safe" in page.text


def test_an_error_page_needs_no_flow(app: Portal, pat: Visitor, monkeypatch: Any) -> None:
    def gone(*_: Any) -> None:
        raise KeeperGone("The keeper does not answer.")

    monkeypatch.setattr("tests.portal.fakes_accounts.FakeAccounts.session", gone)
    assert pat.get("/messages").status_code == 503


def test_an_error_page_keeps_the_menu_of_who_is_signed_in(
    visitor: Visitor, pat: Visitor, ann: Visitor, monkeypatch: Any
) -> None:
    assert ">Sign in<" in visitor.get("/nothing").text
    for somebody, menu in ((pat, "All messages"), (ann, "Mail program")):
        page = somebody.get("/nothing")
        assert page.status_code == 404
        for words in (menu, "Sign out", "To my messages"):
            assert words in page.text
        assert ">Sign in<" not in page.text

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr("tests.portal.fakes.FakePickup.list", broken)
    monkeypatch.setattr("tests.portal.fakes_accounts.FakeAccounts.recovery_file_is_missing", broken)
    page = ann.get("/messages")
    assert page.status_code == 500
    assert "Mail program" in page.text  # who looks was known before something broke


def test_throttling_is_told_in_minutes(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    page = visitor.post("/sign-in", {"address": "pat@yahoo.example", "password": "throttle"})
    assert page.status_code == 429
    assert page.headers["Retry-After"] == "900"
    assert "about 15 minutes" in page.text


def test_error_pages_speak_plainly(visitor: Visitor) -> None:
    assert visitor.get("/sign-out").status_code == 405
    assert "works only from the button" in visitor.page.text  # type: ignore[union-attr]
    assert "Allow" in visitor.page.headers  # type: ignore[union-attr]
    assert "There is nothing at this address" in visitor.get("/nothing").text
    visitor.get("/sign-in")
    page = visitor.post("/sign-in", {"address": "x" * 100_000})
    assert page.status_code == 413
    assert "too much at once" in page.text


def test_the_style_page_is_for_the_demonstration(make_app: Callable[..., Portal]) -> None:
    assert Visitor(make_app()).get("/style").status_code == 404
    assert Visitor(make_app(config(portal=settings_doors.Portal(style_page=True)))).get("/style").status_code == 200


def test_static_files_may_be_kept_for_ever(visitor: Visitor) -> None:
    url = re.search(r'href="(/static/cryptnsend\.css\?v=\w+)"', visitor.get("/").text)
    assert url
    answer = visitor.client.get(url[1], base_url=BASE)
    assert "immutable" in answer.headers["Cache-Control"]
    assert len(answer.data) < 60_000


def test_a_first_load_stays_small(visitor: Visitor) -> None:
    sizes = [len(visitor.get(url).data) for url in ("/m/new", "/static/cryptnsend.css", "/static/pages.js")]
    assert sum(sizes) < 100_000


def test_a_session_cookie_is_never_repr_d() -> None:
    assert "secret-cookie" not in repr(SignedIn("secret-cookie", "file", "code"))
    assert SESSION_COOKIE.startswith("__Host-")


def test_other_servers_read_our_policy(make_app: Callable[..., Portal]) -> None:
    """RFC 8461 §3.3: 200, text/plain, at the well-known place; without a door for other servers there is none."""
    base = config()
    for mode in ("enforce", "testing", "none"):
        strict = config(inbound=replace(base.inbound, mta_sts=mode))
        page = Visitor(make_app(strict)).get("/.well-known/mta-sts.txt")
        assert (page.status_code, page.mimetype) == (200, "text/plain")
        policy = parse(page.data)
        assert (policy.mode, policy.mx) == (mode, () if mode == "none" else ("open.cryptnsend.example",))
    closed = config(inbound=replace(base.inbound, enabled=False))
    assert Visitor(make_app(closed)).get("/.well-known/mta-sts.txt").status_code == 404


def test_who_found_a_weakness_is_told_where_to_write(visitor: Visitor, make_app: Any) -> None:
    """RFC 9116."""
    said = visitor.get("/.well-known/security.txt")
    assert said.mimetype == "text/plain"
    fields = dict(line.split(": ", 1) for line in said.text.splitlines())
    assert fields["Contact"].startswith("mailto:postmaster@")
    assert fields["Expires"] == "2027-02-16T00:00:00Z"
    assert fields["Canonical"].endswith("/.well-known/security.txt")
    base = config()
    other = Visitor(make_app(replace(base, portal=replace(base.portal, security_contact="https://x.example/report"))))
    assert "Contact: https://x.example/report" in other.get("/.well-known/security.txt").text
    silent = Visitor(make_app(replace(base, inbound=replace(base.inbound, enabled=False))))
    assert silent.get("/.well-known/security.txt").status_code == 404


def test_every_refusal_has_a_number_that_the_log_has_but_what_is_not_there(pat: Visitor) -> None:
    pat.get("/messages")
    with capture_logs() as lines:
        refused = pat.client.post("/account/sign-out-everywhere", base_url=BASE, data={})
    assert refused.status_code == 400
    number = re.search(r'"nums">([0-9A-F]{3}-[0-9A-F]{3})<', refused.text)
    assert number
    (line,) = [each for each in lines if each.get("reference") == number[1]]
    assert (line["route"], line["why"]) == ("account.sign_out_everywhere", "CSRFError")
    assert not re.search(r'"nums">', pat.get("/nothing-there").text)
