"""Is each mail program's user told what they need and no more, and does a password leave once?"""

from __future__ import annotations

import json
import plistlib
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cryptnsend import settings_doors
from cryptnsend.config import Config
from cryptnsend.making import make_certificate
from cryptnsend.portal import Portal
from cryptnsend.portal.programs import PROGRAMS
from tests.core.test_discovery import question
from tests.portal.conftest import BASE, Visitor, config
from tests.portal.world import ANN, World
from tests.portal.world import PASSWORD as WORLD_PASSWORD

PORTS = {"submissions": 40465, "submission": 40587, "imaps": 40993, "pop3s": 40995}
PASSWORD = "k7m2q-x9hd4-wz3rp-6tbn5-cv8jy-f2abc-d3efg-h4jkm"
HAND = [name for name in PROGRAMS if name not in ("new-outlook", "outlook-mobile")]


def signing(folder: Path, plain: Config) -> Config:
    """Return a configuration with a certificate of its own making."""
    made = replace(plain, tls=replace(plain.tls, certificate=folder / "certificate.pem", key=folder / "key.pem"))
    make_certificate(made)
    return made


@pytest.fixture
def visit(make_app: Callable[..., Portal], world: World) -> Callable[..., Visitor]:
    """Return a subscriber who is signed in."""

    def make(settings: Config | None = None, address: str = ANN, **sections: object) -> Visitor:
        app = make_app(settings or config(**sections), ports=lambda: PORTS)
        somebody = Visitor(app)
        somebody.carry(world.sign_in(address, roles=("subscriber",), name="Dr. Ann Ruiz"))
        return somebody

    return make


# ---- the pages --------------------------------------------------------------------------------------------------


def test_each_page_has_the_values_its_own_steps_and_how_sent_and_drafts_stay_here(
    visit: Callable[..., Visitor],
) -> None:
    own = {
        "Control Panel": ["outlook"],
        "Mailbox Behaviours": ["mac", "iphone"],
        "Copies &amp; Folders": ["thunderbird"],
    }
    ann = visit()
    for program in PROGRAMS:
        page = ann.get(f"/setup?program={program}").text
        for value in ("open.cryptnsend.example", "40993", "40465", ANN, "Keep Sent and Drafts here"):
            assert value in page, program
        assert str(PROGRAMS[program].title) in page
        for words, mine in own.items():
            assert (words in page) == (program in mine)


def test_the_first_page_asks_which_program_and_marks_those_that_pass_mail_through_others(
    visit: Callable[..., Visitor],
) -> None:
    page = visit().get("/setup").text
    assert {each for each in PROGRAMS if f'"/setup?program={each}"' in page} == set(PROGRAMS)
    assert page.count("passes through Microsoft") == 2
    assert visit().get("/setup?program=../../x").text.count("passes through Microsoft") == 2


@pytest.mark.parametrize(
    ("program", "maker"), [("new-outlook", "Microsoft"), ("outlook-mobile", "Microsoft"), ("gmail", "Google")]
)
def test_where_mail_passes_through_the_maker_that_is_said_first(
    visit: Callable[..., Visitor], program: str, maker: str
) -> None:
    page = visit().get(f"/setup?program={program}").text
    assert f"Passes through {maker}." in page
    assert "advise" in page


def test_a_free_mail_address_is_told_why_nothing_is_found_and_an_own_domain_that_it_is(
    visit: Callable[..., Visitor],
) -> None:
    ours = settings_doors.Programs(domains=("clinic.example",))
    free, own = visit(programs=ours), visit(programs=ours, address="ann@clinic.example")
    for program in HAND:
        assert "first proposes the servers of gmail.example" in free.get(f"/setup?program={program}").text
        assert "as clinic.example points to them" in own.get(f"/setup?program={program}").text


def test_a_device_password_for_mail_stands_with_both_servers_and_is_shown_once(
    visit: Callable[..., Visitor], world: World
) -> None:
    ann = visit()
    for program in PROGRAMS:
        ann.get(f"/setup?program={program}")
        page = ann.post("/setup/devices", {"name": "  Front <desk> ", "program": program}).text
        assert re.findall(r'id="(v-[a-z-]*password)"[^>]*>([^<]+)<', page) == [
            ("v-in-password", PASSWORD),
            ("v-password", PASSWORD),
        ]
        assert str(PROGRAMS[program].title) in page  # still the steps of this program
        assert world.devices[-1].scope == "mail"
        assert PASSWORD not in ann.get(f"/setup?program={program}").text


def test_a_device_is_removed_from_the_page_that_made_it(visit: Callable[..., Visitor], world: World) -> None:
    ann, program = visit(), "thunderbird"
    ann.get(f"/setup?program={program}")
    page = ann.post("/setup/devices", {"name": "  Front <desk> ", "program": program}).text
    assert "Front &lt;desk&gt;" in page
    assert "Sends and reads." in page.split("Your devices")[-1]
    ann.post(f"/setup/devices/{world.devices[-1].id}/revoke", {"program": program})
    assert "Removed." in ann.follow().text
    assert "Front" not in ann.get("/setup").text.split("Your devices")[-1].replace("Front desk PC", "")


@pytest.mark.parametrize(
    ("scope", "there", "missing"), [("submit", "v-password", "v-imap"), ("read", "v-in-password", "v-port")]
)
def test_a_password_for_one_use_stands_with_its_server_alone(
    visit: Callable[..., Visitor], world: World, scope: str, there: str, missing: str
) -> None:
    ann = visit()
    ann.get("/setup?program=other")
    page = ann.post("/setup/devices", {"program": "other", "scope": scope}).text
    assert world.devices[-1].scope == scope
    assert f'id="{there}"' in page
    assert f'id="{missing}"' not in page
    ann.post("/setup/devices", {"program": "other", "scope": "everything"})
    assert world.devices[-1].scope == "mail"


def test_a_password_that_is_made_without_a_program_is_shown_all_the_same(visit: Callable[..., Visitor]) -> None:
    ann = visit()
    ann.get("/setup?program=other")
    assert PASSWORD in ann.post("/setup/devices", {"name": "x", "program": "nonsense"}).text


@pytest.mark.parametrize("program", ["outlook", "apple", "thunderbird", "other", "nonsense"])
def test_where_mail_cannot_be_read_the_page_keeps_copies_out_of_the_mailbox(
    visit: Callable[..., Visitor], world: World, program: str
) -> None:
    ann = visit(mailbox=settings_doors.Mailbox(enabled=False))
    page = ann.get(f"/setup?program={program}").text
    for value in ("open.cryptnsend.example", "40465", "40587", ANN, "gmail.example"):
        assert value in page
    assert "clear copy" in page or "the copies would lie open" in page
    assert "40993" not in page
    assert PASSWORD in ann.post("/setup/devices", {"program": program, "scope": "mail"}).text
    assert world.devices[-1].scope == "submit"
    assert ann.post("/setup/profile", {"device": "Phone"}).status_code == 404


def test_who_is_weak_since_a_reset_is_told_why_no_password_can_be_made(
    make_app: Callable[..., Portal], world: World
) -> None:
    somebody = Visitor(make_app(ports=lambda: PORTS))
    somebody.carry(world.sign_in(ANN, roles=("subscriber",), weak=True))
    for program in PROGRAMS:
        page = somebody.get(f"/setup?program={program}").text
        assert "once you have confirmed that it is you" in page
        assert "Make a device password" not in page.replace("1. Make a device password", "")
        assert "Get the profile</button>" not in page


# ---- the devices ------------------------------------------------------------------------------------------------


def test_all_devices_go_at_once(visit: Callable[..., Visitor], world: World) -> None:
    ann = visit()
    page = ann.get("/account/devices").text
    assert all(each.name in page for each in world.devices)
    assert "Remove all of them" in page
    ann.post("/account/devices/revoke-all")
    assert world.devices == []
    page = ann.follow().text
    assert "All removed." in page
    assert "Remove all of them" not in page


def test_after_a_new_password_the_devices_that_go_on_are_shown(visit: Callable[..., Visitor], world: World) -> None:
    ann = visit()
    ann.get("/account/password")
    new = "brisk lantern meadow quilt 47"
    answer = ann.post("/account/password", {"old": WORLD_PASSWORD, "password": new})
    assert answer.location == "/account/devices"
    page = ann.follow().text
    assert "The device passwords below go on working" in page
    assert "Remove all of them" in page
    world.devices.clear()
    ann.get("/account/password")
    assert ann.post("/account/password", {"old": WORLD_PASSWORD, "password": f"{new} more"}).location == "/account"


# ---- Apple's profile --------------------------------------------------------------------------------------------


def opened(signed: bytes, folder: Path, certificate: Path) -> dict[str, object]:
    """Return what a signed profile holds, verified by openssl."""
    (folder / "signed").write_bytes(signed)
    done = subprocess.run(
        ["openssl", "cms", "-verify", "-inform", "DER", "-in", "signed", "-CAfile", certificate, "-purpose", "any"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read: dict[str, object] = plistlib.loads(done.stdout)
    return read


def test_a_profile_is_signed_by_the_door_and_leaves_once(
    visit: Callable[..., Visitor], world: World, tmp_path: Path
) -> None:
    settings = signing(tmp_path, config())
    ann = visit(settings)
    ann.get("/setup?program=iphone")
    answer = ann.post("/setup/profile", {"device": "Ann’s iPhone", "program": "iphone"})
    assert answer.mimetype == "application/x-apple-aspen-config"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="secure-mail.mobileconfig"'
    assert answer.headers["Cache-Control"] == "no-store"
    (mail,) = opened(answer.data, tmp_path, settings.tls.certificate)["PayloadContent"]  # type: ignore[misc]
    assert (mail["IncomingMailServerPortNumber"], mail["OutgoingMailServerPortNumber"]) == (40993, 40465)
    assert (mail["EmailAddress"], mail["EmailAccountName"]) == (ANN, "Dr. Ann Ruiz")
    assert mail["IncomingPassword"] == mail["OutgoingPassword"] == PASSWORD
    assert (world.devices[-1].name, world.devices[-1].scope) == ("Ann’s iPhone", "mail")
    assert PASSWORD not in ann.get("/setup?program=iphone").text
    assert ann.get("/setup/profile").status_code == 405


def test_a_profile_is_refused_without_the_form_s_token_and_makes_no_device(
    visit: Callable[..., Visitor], world: World, tmp_path: Path
) -> None:
    ann, before = visit(signing(tmp_path, config())), len(world.devices)
    assert ann.client.post("/setup/profile", base_url=BASE, data={"device": "x"}).status_code == 400
    assert len(world.devices) == before


def test_a_profile_is_signed_by_the_configured_certificate(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    signing(theirs, config())
    settings = signing(tmp_path, config())
    programs = settings_doors.Programs(profile_certificate="theirs/certificate.pem", profile_key="theirs/key.pem")
    settings = replace(settings, programs=programs, server=replace(settings.server, home=tmp_path))
    ann = visit(settings)
    ann.get("/setup?program=mac")
    answer = ann.post("/setup/profile", {"program": "mac"})
    assert opened(answer.data, tmp_path, theirs / "certificate.pem")["PayloadType"] == "Configuration"


@pytest.mark.parametrize("octets", [None, b"", b"-----BEGIN PRIVATE KEY-----\nbm9uZQ==\n-----END PRIVATE KEY-----\n"])
def test_a_profile_that_cannot_be_signed_leaves_no_device_behind(
    visit: Callable[..., Visitor], world: World, tmp_path: Path, octets: bytes | None
) -> None:
    settings = signing(tmp_path, config())
    settings.tls.key.unlink()
    if octets is not None:
        settings.tls.key.write_bytes(octets)
    ann, before = visit(settings), list(world.devices)
    ann.get("/setup?program=mac")
    assert ann.post("/setup/profile", {"program": "mac"}).status_code == 503
    assert world.devices == before


# ---- what mail programs ask -------------------------------------------------------------------------------------


@pytest.fixture
def found(make_app: Callable[..., Portal]) -> Portal:
    return make_app(config(programs=settings_doors.Programs(domains=("clinic.example",))))


def at(host: str) -> str:
    return f"https://{host}"


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("autoconfig.clinic.example", "/mail/config-v1.1.xml?emailaddress=ann%40clinic.example"),
        ("autoconfig.clinic.example.", "/mail/config-v1.1.xml"),
        ("AUTOCONFIG.clinic.example:443", "/mail/config-v1.1.xml"),
        ("open.cryptnsend.example", "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=x%40clinic.example"),
    ],
)
def test_thunderbird_finds_the_servers(found: Portal, host: str, path: str) -> None:
    answer = found.test_client().get(path, base_url=at(host))
    assert (answer.status_code, answer.mimetype) == (200, "text/xml")
    provider = ElementTree.fromstring(answer.data).find("emailProvider")
    assert provider is not None
    assert provider.findtext("domain") == "clinic.example"
    assert provider.findtext("incomingServer/hostname") == "open.cryptnsend.example"
    assert [each.text for each in provider.findall("*/port")] == ["993", "995", "465", "587"]


@pytest.mark.parametrize(
    "path", ["/autodiscover/autodiscover", "/Autodiscover/Autodiscover", "/AutoDiscover/AutoDiscover"]
)
def test_outlook_gets_its_answer_however_it_spells_the_path(found: Portal, path: str) -> None:
    client = found.test_client()
    answer = client.post(
        f"{path}.xml", base_url=at("autodiscover.clinic.example"), data=question(ANN), content_type="text/xml"
    )
    assert (answer.status_code, answer.mimetype) == (200, "text/xml")
    assert ANN.encode() in answer.data
    led = client.get(f"{path}.json?Email={ANN}&Protocol=Autodiscoverv1", base_url=at("autodiscover.clinic.example"))
    assert json.loads(led.data)["Url"] == "https://open.cryptnsend.example/autodiscover/autodiscover.xml"
    led = client.get(f"{path}.json/v1.0/{ANN}?protocol=AutodiscoverV1", base_url=at("open.cryptnsend.example"))
    assert led.status_code == 200
    assert client.get(f"{path}.json?Protocol=ActiveSync", base_url=at("open.cryptnsend.example")).status_code == 404


def test_what_is_no_question_of_outlook_s_is_refused_in_its_own_words(found: Portal) -> None:
    client, host = found.test_client(), at("open.cryptnsend.example")
    for octets in (b"", b"<", question(ANN, "<!DOCTYPE x>"), b"x" * 20_000):
        answer = client.post("/autodiscover/autodiscover.xml", base_url=host, data=octets, content_type="text/xml")
        assert answer.status_code in (400, 413)
        if answer.status_code == 400:
            assert b"<ErrorCode>600</ErrorCode>" in answer.data
    assert client.get("/autodiscover/autodiscover.xml", base_url=host).status_code == 405


def test_no_answer_tells_whether_somebody_is_a_subscriber(found: Portal, world: World) -> None:
    client, host = found.test_client(), at("open.cryptnsend.example")
    shown = set()
    for address in (ANN, "nobody@gmail.example"):
        answers = [
            client.post("/autodiscover/autodiscover.xml", base_url=host, data=question(address)),
            client.get(f"/mail/config-v1.1.xml?emailaddress={address}", base_url=host),
            client.get(f"/autodiscover/autodiscover.json?Email={address}&Protocol=AutodiscoverV1", base_url=host),
        ]
        shown.add(tuple((each.status_code, each.data.replace(address.encode(), b"")) for each in answers))
    assert len(shown) == 1
    assert world.calls == []


def test_a_newer_program_gets_the_document_whose_digest_dns_prints(found: Portal) -> None:
    answer = found.test_client().get(
        "/.well-known/user-agent-configuration.json", base_url=at("ua-auto-config.clinic.example")
    )
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert json.loads(answer.data)["protocols"]["imap"] == {"host": "open.cryptnsend.example"}


@pytest.mark.parametrize(
    "host", ["autoconfig.clinic.example", "autodiscover.clinic.example", "ua-auto-config.clinic.example"]
)
def test_on_a_name_for_documents_there_is_no_page(found: Portal, host: str) -> None:
    client = found.test_client()
    for path in ("/", "/sign-in", "/m/new", "/static/cryptnsend.css", "/healthz", "/nothing"):
        assert client.get(path, base_url=at(host)).status_code == 404
    assert client.post("/sign-in", base_url=at(host)).status_code == 404
    assert client.get("/sign-in", base_url=at("open.cryptnsend.example")).status_code == 200


def test_on_the_name_of_a_domain_that_is_not_ours_there_is_nothing(found: Portal) -> None:
    client = found.test_client()
    for domain in ("other.example", "evil.clinic.example", "example"):
        answer = client.get("/mail/config-v1.1.xml", base_url=at(f"autoconfig.{domain}"))
        assert (answer.status_code, answer.data) == (404, b"Nothing is here.\n")


def test_a_server_that_mail_is_not_read_at_has_nothing_to_find(make_app: Callable[..., Portal]) -> None:
    client = make_app(config(mailbox=settings_doors.Mailbox(enabled=False))).test_client()
    host = at("open.cryptnsend.example")
    assert client.get("/mail/config-v1.1.xml", base_url=host).status_code == 404
    assert client.post("/autodiscover/autodiscover.xml", base_url=host, data=question(ANN)).status_code == 404
    assert client.get("/autodiscover/autodiscover.json?Protocol=AutodiscoverV1", base_url=host).status_code == 404
    assert client.get("/.well-known/user-agent-configuration.json", base_url=host).status_code == 404
