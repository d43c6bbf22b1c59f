"""Who changes how an organisation looks, where it shows, and what a changed row does to it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pikepdf
import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.core import logo, look
from cryptnsend.core.errors import Denied, Ended, KeeperGone, NoGrant, SecondStep, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.flow.looks import LIFE, Looks
from cryptnsend.pdf.press import Press
from tests.flow.conftest import Desk, faces, links_in
from tests.flow.test_organisations import CARL, EVE, MAX, OLIVE, PAT, Staff
from tests.pdf.papers import text_of
from tests.support.house import MINUTE, PASSWORD, SOURCE, House
from tests.support.press import lend

DRAWN = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><path d="M0 0h40v20z" fill="#8a2b6b"/></svg>'
LOGO = logo.take(DRAWN)
SAID = {"accent": "#8a2b6b", "logo": LOGO.mark, "footer_en": "410 Alder Street, Denver", "banner_en": "Closed today"}
HOST = "secure.clinic.example"


@pytest.fixture
def staff(house: House) -> Staff:
    made = Staff(house)
    for role in (house.portal, house.courier, house.owner):
        vars(role.looks)["_serves"] = lambda host: ""  # this server answers at every host
    return made


@pytest.fixture
def proven(staff: Staff) -> Staff:
    """The clinic has proven its domain, and the rival a narrower one below it."""
    flow = staff.flow
    flow.ask_domain(staff.olive, "clinic.example")
    flow.ask_domain(staff.eve, "rival.clinic.example")
    staff.house.tamper("UPDATE domains SET proven = 1")
    return staff


def looks(staff: Staff, role: str = "courier") -> Looks:
    """Return the looks as another process sees them."""
    return getattr(staff.house, role).looks  # type: ignore[no-any-return]


def set_look(staff: Staff, who: str = "max", said: dict[str, str] | None = None, *, based_on: int | None = None) -> int:
    session = getattr(staff, who)
    pictures = [LOGO] if (SAID if said is None else said).get("logo") else []
    return staff.flow.set_look(
        session, SAID if said is None else said, pictures, "a new sign", based_on, PASSWORD, SOURCE
    )


def notice(staff: Staff) -> tuple[str, str]:
    """Let Carl write to Pat; return both faces of the notice."""
    desk: Desk = vars(staff).setdefault("desk", Desk(staff.house))
    staff.house.submit(CARL, [PAT], staff.house.mail("Results", author=CARL))
    desk.deliver()
    return faces(desk.answers.mails(PAT)[-1])


def test_a_manager_changes_the_look_and_is_named_for_it_and_all_officers_hear_of_it(staff: Staff) -> None:
    assert set_look(staff) == 1
    worn = looks(staff).worn(staff.clinic)
    assert (worn.name, worn.look) == ("Clinic", look.of(SAID))
    assert looks(staff).picture(LOGO.mark) == ("image/svg+xml", LOGO.octets)
    cover = looks(staff).cover(staff.clinic, "es")
    assert (cover.accent, cover.logo, cover.banner) == ("#8a2b6b", ("image/svg+xml", LOGO.octets), "Closed today")
    (version,) = looks(staff).history(staff.clinic)
    assert (version.actor, version.why) == (account_holder(staff.id(MAX)), "a new sign")
    assert ("footer_en", "", "410 Alder Street, Denver") in version.changes
    assert (account_holder(staff.id(MAX)), "look.changed") in staff.house.audited(staff.clinic)
    assert {who for who, template in staff.house.alerts() if template == "look-changed"} == {OLIVE}
    assert set_look(staff) == 1, "the same again is no version"
    assert set_look(staff, "olive", {}) == 2
    assert looks(staff).worn(staff.clinic).look == look.Look()
    with pytest.raises(Ended):
        set_look(staff, based_on=1)
    assert looks(staff).worn(staff.rival).look == look.Look()


def test_nobody_else_changes_it_and_not_without_the_password(staff: Staff) -> None:
    keeper, k = staff.house.keeper("portal"), staff.house.owner.owner.k(CARL, PASSWORD)
    text = look.write({"accent": "#8a2b6b"})
    with pytest.raises(NoGrant):
        set_look(staff, "carl")
    with pytest.raises(NoGrant):
        staff.flow.check_look(staff.carl, {}, [])
    with pytest.raises(WrongSecret):
        staff.flow.set_look(staff.max, SAID, [LOGO], "", None, "wrong", SOURCE)
    staff.house.tamper("UPDATE accounts SET roles = 'subscriber,officer,manager' WHERE org = :org", org=staff.clinic)
    for attack in (
        lambda: keeper.set_look(staff.carl.ticket, k, text),
        lambda: keeper.set_look(staff.max.ticket, k, text),
        lambda: keeper.set_look(staff.max.ticket, staff.house.owner.owner.k(MAX, PASSWORD), '{"host":"evil"}'),
        lambda: keeper.set_look(staff.max.ticket, staff.house.owner.owner.k(MAX, PASSWORD), '{"accent":"#ffffff"}'),
        lambda: staff.house.keeper("owner").organisation_look(0, text),
    ):
        with pytest.raises(Denied):
            attack()
    staff.flow.set_look(staff.eve, {"accent": "#0b5c73"}, [], "", None, PASSWORD, SOURCE)
    assert looks(staff).worn(staff.clinic).look == look.Look(), f"{EVE} reaches her own organisation only"


def test_a_stolen_session_with_the_password_changes_no_look_without_a_fresh_number(staff: Staff) -> None:
    """Neither on the page nor past it, at the keeper, nor for an officer any more than for a manager."""
    house, keeper, text = staff.house, staff.house.keeper("portal"), look.write({"accent": "#8a2b6b"})
    for who, address in (("max", MAX), ("olive", OLIVE)):
        k, session = house.owner.owner.k(address, PASSWORD), getattr(staff, who)
        house.clock.forward(5 * MINUTE)
        with pytest.raises(Denied, match="Type the number from your phone"):
            set_look(staff, who)
        with pytest.raises(Denied, match="not the number"):
            staff.flow.set_look(session, SAID, [LOGO], "", None, PASSWORD, SOURCE, "000000")
        with pytest.raises(SecondStep):
            keeper.set_look(session.ticket, k, text)
        with pytest.raises(WrongSecret):
            keeper.set_look(session.ticket, k, text, "000000")
    assert looks(staff).said(staff.clinic) == (0, {})
    assert looks(staff).worn(staff.clinic).look == look.Look()
    number = house.number(MAX)
    assert staff.flow.set_look(staff.max, SAID, [LOGO], "", None, PASSWORD, SOURCE, number) == 1
    house.clock.forward(4 * MINUTE)
    assert set_look(staff, said={}) == 2, "a number shown four minutes ago is enough"


def test_a_picture_of_another_organisation_cannot_be_worn(staff: Staff) -> None:
    set_look(staff)
    with pytest.raises(Denied, match="no such logo"):
        staff.flow.set_look(staff.eve, {"logo": LOGO.mark}, [], "", None, PASSWORD, SOURCE)


def test_notices_have_the_words_and_the_colour_and_no_picture(staff: Staff) -> None:
    set_look(staff)
    text, html = notice(staff)
    assert "410 Alder Street, Denver Sent by CryptnSend for Clinic" in text.replace("\n", " ")
    assert "color:#8a2b6b;" in html
    assert "#0b5c73" not in html
    assert "<img" not in html
    assert "cid:" not in html


def test_links_in_notices_lead_to_the_organisations_host_and_only_where_its_domain_is_proven(proven: Staff) -> None:
    with pytest.raises(Denied, match="no domain that you have proven"):
        set_look(proven, said={"host": "mail.rival.example"})
    with pytest.raises(Denied, match="no domain that you have proven"):
        set_look(proven, said={"host": "mail.rival.clinic.example"})
    set_look(proven, said={"host": HOST})
    with pytest.raises(Denied):
        set_look(proven, "eve", {"host": HOST})
    with pytest.raises(Denied, match="server's own host"):
        set_look(proven, said={"host": proven.house.config.server.hostname})
    assert [link.startswith(f"https://{HOST}/m/") for link in links_in(notice(proven)[0])] == [True]
    found = looks(proven, "portal").at_host(HOST)
    assert found is not None
    assert (found.organisation, found.host) == (proven.clinic, HOST)
    assert looks(proven, "portal").at_host("other.clinic.example") is None
    assert looks(proven).worn(proven.clinic).host == HOST
    proven.flow.drop_domain(proven.olive, "clinic.example")  # and at once nothing of the clinic's is there
    assert looks(proven, "portal").at_host(HOST) is None
    assert looks(proven).worn(proven.clinic).base_url == looks(proven).house().base_url
    assert not links_in(notice(proven)[0])[0].startswith(f"https://{HOST}/")


def test_a_changed_row_turns_no_link_and_shows_no_words(proven: Staff) -> None:
    """Whoever writes in the main database would send everybody's readers to a host of their own."""
    set_look(proven)
    evil = look.write({"host": "evil.clinic.example", "banner_en": "Type your password of Gmail here"})
    for attack in (
        "UPDATE looks SET look = :evil, host = 'evil.clinic.example'",
        "INSERT INTO looks SELECT org, 9, at, actor, why, :evil, 'evil.clinic.example' FROM looks",
        "DELETE FROM looks WHERE version = 9 AND :evil <> ''",
    ):
        proven.house.tamper(attack, evil=evil)
        proven.house.clock.forward(int(LIFE * 1000))
        assert looks(proven).worn(proven.clinic).look == look.Look()
        assert looks(proven).at_host("evil.clinic.example") is None
    proven.house.tamper("UPDATE logos SET octets = x'3c7376673e'")
    assert looks(proven).picture(LOGO.mark) is None


def test_an_earlier_look_cannot_be_put_back_by_a_row(proven: Staff) -> None:
    set_look(proven, said={"host": HOST})
    set_look(proven, said={})
    proven.house.tamper("DELETE FROM looks WHERE version = 2")
    proven.house.clock.forward(int(LIFE * 1000))
    assert looks(proven).worn(proven.clinic).look == look.Look()
    proven.house.tamper("DELETE FROM cards WHERE holder = :holder", holder=f"archive:{proven.clinic}")
    proven.house.clock.forward(int(LIFE * 1000))
    assert looks(proven).worn(proven.clinic).look == look.Look()


def test_a_host_whose_domain_is_anothers_now_shows_nobodys_pages(proven: Staff) -> None:
    set_look(proven, said={"host": HOST})
    book = looks(proven, "portal")
    assert book.at_host(HOST) is not None
    for change in ("UPDATE domains SET proven = NULL", "UPDATE domains SET proven = 1, org = :rival"):
        proven.house.tamper(change, **({"rival": proven.rival} if "rival" in change else {}))
        assert book.at_host(HOST) is None
        assert book.worn(proven.clinic).look.host == HOST, "which was not taken back, but does not count"


def test_a_locked_pdf_wears_the_look_of_its_sender_and_that_of_nobody_else(staff: Staff, press: Press) -> None:
    house = staff.house
    lend(press, house.courier, house.portal)
    set_look(staff)
    desk = Desk(house)
    message = house.submit(CARL, [PAT], house.mail("encrypt/ Results", author=CARL, text="Ferritin"))
    desk.deliver()
    (sent,) = desk.answers.mails(PAT)[-1].iter_attachments()
    pat, carl = house.register(PAT, message), house.session(CARL)
    key = house.pickup.papers.keys(pat, message)[1][0].key
    octets = sent.get_payload(decode=True)
    assert isinstance(octets, bytes)
    saved = b"".join(house.pickup.papers.document(pat, message, "en").chunks)
    for each in (octets, saved):
        words = " ".join(text_of(each, key).split())
        assert "410 Alder Street, Denver" in words
        assert "Closed today" in words
        with pikepdf.open(io.BytesIO(each), password=key) as pdf:
            assert b"0.541176 0.168627 0.419608 rg" in pdf.pages[0].Contents.read_bytes()  # #8a2b6b
    answer = house.replies.send(pat, message, everybody=False, text="Thank you", files=(), nonce=b"n" * 16)
    key = house.pickup.papers.keys(carl, answer)[1][0].key
    theirs = b"".join(house.pickup.papers.document(carl, answer, "en").chunks)
    assert "Thank you" in text_of(theirs, key)
    assert "410 Alder" not in text_of(theirs, key)


def test_a_look_whose_writer_died_is_written_at_the_next_sign_in(staff: Staff) -> None:
    staff.house.keeper("owner").organisation_look(staff.clinic, look.write({"accent": "#8a2b6b"}))  # and it died
    assert looks(staff).worn(staff.clinic).look == look.Look()
    staff.house.session(CARL)
    assert looks(staff).worn(staff.clinic).look.accent == "#8a2b6b"
    assert looks(staff).history(staff.clinic)[0].actor == "keeper"


def test_what_was_vouched_for_is_shown_for_a_while_without_the_keeper_and_then_nothing_is(staff: Staff) -> None:
    set_look(staff)
    book = looks(staff)
    assert book.worn(staff.clinic).look.accent == "#8a2b6b"
    staff.house.stop_keeper()
    try:
        assert book.worn(staff.clinic).look.accent == "#8a2b6b"
        staff.house.clock.forward(int(LIFE * 1000))
        with pytest.raises(KeeperGone):
            book.worn(staff.clinic)
    finally:
        staff.house.start_keeper()


def test_a_host_that_does_not_lead_here_or_has_no_certificate_is_refused(house: House) -> None:
    staff = Staff(house)
    staff.flow.ask_domain(staff.olive, "clinic.example")
    house.tamper("UPDATE domains SET proven = 1")
    with pytest.raises(Denied, match=r"does not lead to this server yet. Publish: secure.clinic.example. CNAME"):
        set_look(staff, said={"host": HOST})

    class Known:
        def addresses(self, host: str) -> list[str]:
            return ["192.0.2.1"]

    vars(house.portal)["resolver"] = Known()
    with pytest.raises(Denied, match="certificate of this server is not for"):
        set_look(staff, said={"host": HOST})


def test_the_command_shows_tries_sets_and_takes_back(staff: Staff, tmp_path: Path) -> None:
    house = staff.house
    (tmp_path / "logo.svg").write_bytes(DRAWN.replace(b"<path", b"<script>1</script><path"))

    def run(*words: str, code: int = 0) -> str:
        asked = [*words, "--organisation", "Clinic", "--home", str(house.home.path)]
        result = CliRunner().invoke(main, ["look", *asked])
        assert result.exit_code == code, result.output
        return result.output

    assert "looks as the house does" in run("show")
    tried = run("preview", "--accent", "#8a2b6b", "--logo", str(tmp_path / "logo.svg"))
    assert "contrast, links on paper: 6.8 to 1" in tried
    assert "taken out of the drawing: <script>" in tried
    assert looks(staff).said(staff.clinic) == (0, {})
    assert "nearest shade that can be read is #846800" in run("set", "--accent", "#fc0", code=4)
    assert "version 1" in run("set", "--accent", "#8a2b6b", "--logo", str(tmp_path / "logo.svg"), "--why", "new sign")
    assert looks(staff).worn(staff.clinic).look == look.Look(accent="#8a2b6b", logo=LOGO.mark)
    assert "version 2" in run("set", "--without", "logo", "--banner-en", "Closed today")
    assert "banner-en:  Closed today" in run("show")
    assert "below no domain" in run("set", "--host", HOST, code=4)
    assert "There is no part" in run("set", "--without", "ears", code=2)
    assert "accent: - -> #8a2b6b" in run("history")
    assert run("compare", "0", "1").startswith("accent: - -> #8a2b6b")
    assert run("compare", "1", "1") == "They look the same.\n"
    assert "as version 3" in run("revert", "1")
    assert "as the house does again" in run("reset")
    assert [each["version"] for each in json.loads(run("history", "--json"))] == [4, 3, 2, 1]
    assert ("owner", "look.changed") in house.audited(staff.clinic)
    house.tamper("UPDATE looks SET look = :text WHERE version = 4", text=look.write({"accent": "#8a2b6b"}))
    assert "does not vouch for this look" in run("show", code=4)
