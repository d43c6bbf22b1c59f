"""Links by which anybody may have files of a message: made by its author, opened by secret or password, and over."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, Throttled, WrongSecret
from cryptnsend.flow.downloads import TICKET, Download
from cryptnsend.flow.filelinks import MOST, PASS, FileLinks, Offered, SharedLink
from cryptnsend.flow.guessing import FEW, IN_NETWORK, MANY, Shut
from cryptnsend.flow.guessing import MOST as MOST_GUESSES
from cryptnsend.store.records import endings
from tests.flow.test_beside import ANN, FILE, JUNE, PAT, PIECE, Share, whole
from tests.flow.test_plain_rules import run
from tests.support.house import DAY, MINUTE, SOURCE, House, MakeHouse

HOUR = 60 * MINUTE
WORDS = "copper lantern seven violins"
MINE, OTHER = b"m" * 32, b"o" * 32  # what only one browser knows


class Sharing(Share):
    """Ann, whose message to Pat has a file beside it, on a server where everybody may make links."""

    def __init__(self, house: House, to: str = PAT, organisation: int | None = None):
        super().__init__(house, organisation)
        self.beside = self.file()
        self.message = self.send(self.beside, to=to)

    @property
    def links(self) -> FileLinks:
        return self.house.portal.filelinks

    def make(self, *, hours: int = 24, most: int = 0, password: str = "") -> tuple[int, str, str]:
        """Make a link; return its number, and what stands before and behind the # of its address."""
        self.house.clock.forward(1)
        until = self.house.clock.now() + hours * HOUR
        ident = self.links.make(self.ann, self.message, until=until, most=most, password=password)
        place = self.shown(ident).place
        return ident, *(place.split("#") if "#" in place else (place, ""))

    def shown(self, ident: int) -> SharedLink:
        return next(each for each in self.links.listing(self.ann, self.message) if each.id == ident)

    def open(self, locator: str, secret: str, browser: bytes = MINE, source: str = SOURCE) -> Offered:
        self.house.clock.forward(1)
        return self.links.open(locator, secret, source, browser)

    def have(self, locator: str, secret: str, browser: bytes = MINE) -> Download:
        found = self.open(locator, secret, browser)
        return self.links.get(self.links.begin(locator, found.token, self.beside.id, SOURCE, browser), browser)

    def have_from(self, source: str, locator: str) -> Download:
        found = self.open(locator, WORDS, source=source)
        return self.links.get(self.links.begin(locator, found.token, self.beside.id, source, MINE), MINE)

    def audit(self, action: str) -> int:
        return [one for _, one in self.house.audited(self.ann.organisation)].count(action)


@pytest.fixture
def sharing(make_house: MakeHouse) -> Sharing:
    return Sharing(make_house(policy={"file_links": "everybody"}, dlp={"look": False}))


def test_whoever_has_the_whole_link_has_the_file_and_its_author_sees_from_where_and_when(sharing: Sharing) -> None:
    ident, locator, secret = sharing.make()
    face = sharing.links.look(locator)
    assert (face.sender, face.has_password) == ("Ann Ruiz", False)
    found = sharing.open(locator, secret)
    assert [(each.name, each.size) for each in found.files] == [("scan.dcm", len(FILE))]
    assert sharing.shown(ident).spent == 0, "looking at the list has no file"
    ticket = sharing.links.begin(locator, found.token, sharing.beside.id, "203.0.113.77", MINE)
    for _ in range(3):
        assert whole(sharing.links.get(ticket, MINE)) == FILE
    assert b"".join(sharing.links.get(ticket, MINE).octets(300_000, 300_009)) == FILE[300_000:300_009]
    assert sharing.shown(ident).spent == 1
    [done] = sharing.house.portal.downloads.done(sharing.ann, sharing.message)
    assert (done.link, done.network, done.address) == (ident, "203.0.113.0/24", "")
    assert [sharing.audit(each) for each in ("link.made", "link.opened", "file.downloaded")] == [1, 1, 1]


def test_a_password_opens_a_link_that_has_no_secret_and_lets_it_hold_for_longer(sharing: Sharing) -> None:
    _, locator, secret = sharing.make(password=WORDS, hours=24 * 60)
    assert secret == ""
    assert sharing.links.look(locator).has_password
    assert whole(sharing.have(locator, WORDS)) == FILE
    for typed in ("", "copper lantern seven violin", WORDS.upper(), "x" * 2000, "\ud800"):
        with pytest.raises(WrongSecret):
            sharing.open(locator, typed)
    for hours, password, said in (
        (24 * 7 + 1, "", "7 days at most"), (-1, WORDS, "a time to come"), (24 * 2600, WORDS, "longer than"),
        (24, "password1", "guessed|Leave out|characters"), (24, "short", "characters"),
    ):  # fmt: skip
        with pytest.raises(Denied, match=said):
            sharing.make(hours=hours, password=password)
    assert sharing.make(hours=24 * 7)
    assert sharing.make(hours=24 * 8, password=WORDS)
    _, locator, secret = sharing.make()
    sharing.make(password=WORDS)
    for table, row in sharing.house.rows():
        for value in row.values():
            seen = value if isinstance(value, bytes) else str(value).encode()
            for hidden in (locator, secret, WORDS, "scan.dcm"):
                assert hidden.encode() not in seen, table


def test_the_organisation_allows_links_and_not_to_allow_them_any_more_ends_those_that_are_out(
    make_house: MakeHouse,
) -> None:
    house = make_house(policy={"file_links": "organisations"}, dlp={"look": False})
    sharing = Sharing(house, organisation=house.organisation("Clinic"))
    assert not sharing.links.allowed(sharing.ann)
    with pytest.raises(Denied, match="organisation does not let"):
        sharing.make()
    run(house, "policy", "set", "file-links", "yes", "--why", "as agreed")
    assert sharing.links.allowed(sharing.ann)
    _, locator, secret = sharing.make()
    found = sharing.open(locator, secret)
    ticket = sharing.links.begin(locator, found.token, sharing.beside.id, SOURCE, MINE)
    run(house, "policy", "set", "file-links", "no", "--why", "as agreed")
    with pytest.raises(Ended):
        sharing.links.look(locator)
    with pytest.raises(NoGrant):
        sharing.links.get(ticket, MINE)


def test_guesses_are_counted_for_each_source_and_its_network(sharing: Sharing) -> None:
    _, locator, _ = sharing.make(password=WORDS)
    free = sharing.house.config.limits.sign_in_failures
    for number in range(free - 1):
        with pytest.raises(WrongSecret):
            sharing.open(locator, f"guess {number}")
    with pytest.raises(Throttled):
        sharing.open(locator, "guess again")
    with pytest.raises(Throttled):
        sharing.open(locator, WORDS)  # it has to wait, too
    assert sharing.audit("link.guessed") == 1
    for number in range(IN_NETWORK - free):
        with pytest.raises(WrongSecret):
            sharing.open(locator, "from beside", source=f"192.0.2.{number + 100}")
    with pytest.raises(Throttled):
        sharing.open(locator, WORDS, source="192.0.2.99")
    assert whole(sharing.have_from("198.51.100.9", locator)) == FILE


def test_no_stranger_shuts_a_link_to_who_has_its_password_and_its_author_hears_of_them(sharing: Sharing) -> None:
    ident, locator, _ = sharing.make(password=WORDS)
    assert whole(sharing.have_from("198.51.100.9", locator)) == FILE
    for number in range(MANY):
        with pytest.raises(WrongSecret):
            sharing.open(locator, f"guess {number}", source=f"203.0.{number // 9}.{number}")
    assert sharing.house.alerts().count((ANN, "link-guessed")) == 1
    assert sharing.shown(ident).guesses == MANY
    for _ in range(FEW):  # each other network has a few now
        with pytest.raises(WrongSecret):
            sharing.open(locator, "one more", source="2001:db8:1:2::3")
    with pytest.raises(Throttled):
        sharing.open(locator, WORDS, source="2001:db8:1:ffff::4")
    assert whole(sharing.have_from("2001:db8:2::1", locator)) == FILE
    assert whole(sharing.have_from("192.0.2.200", locator)) == FILE
    sharing.house.spoil("UPDATE file_links SET guesses = :n WHERE id = :id", n=MOST_GUESSES - 1, id=ident)
    with pytest.raises(WrongSecret):
        sharing.open(locator, "the last", source="203.0.113.7")
    assert sharing.house.alerts().count((ANN, "link-closed")) == 1
    with pytest.raises(Shut):
        sharing.open(locator, WORDS, source="203.0.113.8")
    for known in ("198.51.100.77", "192.0.2.200"):
        assert whole(sharing.have_from(known, locator)) == FILE, "it was opened there before"
    another, locator, _ = sharing.make(password=WORDS)
    assert (whole(sharing.have_from("203.0.113.8", locator)), sharing.shown(another).guesses) == (FILE, 0)


@pytest.mark.parametrize("column", ["files", "salt", "params", "own", "way"])
def test_a_damaged_row_is_told_from_a_wrong_password_and_found_by_verify(sharing: Sharing, column: str) -> None:
    ident, locator, _ = sharing.make(password=WORDS)
    value = "'secret'" if column == "way" else "params || ' '" if column == "params" else f"zeroblob(length({column}))"
    sharing.house.spoil(f"UPDATE file_links SET {column} = {value} WHERE id = :id", id=ident)  # noqa: S608
    with capture_logs() as logged, pytest.raises(SealBroken):
        sharing.open(locator, WORDS)
    assert [(each["event"], each["link"]) for each in logged] == [("the row of a file link is damaged", ident)]
    shown = sharing.shown(ident)
    assert (shown.state, shown.place, shown.guesses) == ("damaged", "", 0)
    assert f"damaged: link {ident}" in run(sharing.house, "vault", "verify", code=1).output
    sharing.links.revoke(sharing.ann, sharing.message, ident)
    assert json.loads(run(sharing.house, "vault", "verify", "--json").output)["wrong"] == []


def test_secrets_passes_and_tickets_are_good_for_their_own_link_and_browser_only(sharing: Sharing) -> None:
    _, locator, secret = sharing.make()
    _, another, its = sharing.make()
    _, locked, _ = sharing.make(password=WORDS)
    for typed in (its, secret[:-1], secret + "A", "", "é" * 43, secret.swapcase(), "A" * 43):
        with pytest.raises(WrongSecret):
            sharing.open(locator, typed)
    for place in ("", "A" * 27, locator[:-1], "../" + locator, locator + "A", "é" * 27):
        with pytest.raises(NoGrant):
            sharing.links.look(place)
    found, links = sharing.open(locator, secret), sharing.links
    for place, token, browser in (
        (another, found.token, MINE), (locked, found.token, MINE), (locator, found.token, OTHER),
        (locator, "00" * 32, MINE), (locator, "", MINE), (locator, found.token[:-2], MINE),
    ):  # fmt: skip
        with pytest.raises(NoGrant):
            links.begin(place, token, sharing.beside.id, SOURCE, browser)
    with pytest.raises(NoGrant):
        links.begin(locator, found.token, sharing.beside.id + 1, SOURCE, MINE)
    with pytest.raises(NoGrant):
        links.get(found.token, MINE)  # a pass is no ticket, and a ticket no pass
    ticket = links.begin(locator, found.token, sharing.beside.id, SOURCE, MINE)
    with pytest.raises(NoGrant):
        links.begin(locator, ticket, sharing.beside.id, SOURCE, MINE)
    with pytest.raises(NoGrant):
        links.get(ticket, OTHER)
    for somebody in (None, sharing.ann):
        with pytest.raises(NoGrant):
            sharing.house.portal.downloads.get(ticket, somebody)
    own = sharing.house.portal.downloads.begin(sharing.ann, sharing.message, sharing.beside.id)
    with pytest.raises(NoGrant):
        links.get(own, sharing.ann.id_hash)
    sharing.house.clock.forward(PASS + 1)
    with pytest.raises(NoGrant):
        links.begin(locator, found.token, sharing.beside.id, SOURCE, MINE)
    assert whole(links.get(ticket, MINE)) == FILE
    sharing.house.clock.forward(TICKET)
    with pytest.raises(NoGrant):
        links.get(ticket, MINE)


def test_a_link_has_as_many_downloads_as_its_author_said_and_a_form_sent_twice_spends_one(sharing: Sharing) -> None:
    ident, locator, secret = sharing.make(most=2)
    found = sharing.open(locator, secret)
    assert found.left == 2
    begin = sharing.links.begin
    first = begin(locator, found.token, sharing.beside.id, SOURCE, MINE)
    assert begin(locator, found.token, sharing.beside.id, SOURCE, MINE) == first
    assert sharing.shown(ident).spent == 1
    assert whole(sharing.have(locator, secret, OTHER)) == FILE
    third = sharing.open(locator, secret, b"3" * 32)
    assert third.left == 0
    with pytest.raises(Ended, match="as often as"):
        begin(locator, third.token, sharing.beside.id, SOURCE, b"3" * 32)
    assert whole(sharing.links.get(first, MINE)) == FILE, "what was begun goes on"
    assert sharing.shown(ident).spent == 2
    assert sharing.audit("file.downloaded") == 2


def test_a_link_that_is_revoked_ends_in_the_middle_of_a_download(sharing: Sharing) -> None:
    ident, locator, secret = sharing.make()
    found = sharing.open(locator, secret)
    ticket = sharing.links.begin(locator, found.token, sharing.beside.id, SOURCE, MINE)
    running = sharing.links.get(ticket, MINE).octets(0, len(FILE))
    first = next(running)
    sharing.links.revoke(sharing.ann, sharing.message, ident)
    sharing.links.revoke(sharing.ann, sharing.message, ident)
    assert len(first) + len(b"".join(running)) <= PIECE
    with pytest.raises(NoGrant):
        sharing.links.get(ticket, MINE)
    for act in (lambda: sharing.links.look(locator), lambda: sharing.open(locator, secret)):
        with pytest.raises(Ended):
            act()
    shown = sharing.shown(ident)
    assert (shown.state, shown.place) == ("revoked", "")
    assert sharing.audit("link.revoked") == 1
    [row] = [row for table, row in sharing.house.rows() if table == "file_links"]
    assert (row["files"], row["own"]) == (b"", b""), "what it opened is gone"


def test_a_link_ends_at_its_time(sharing: Sharing) -> None:
    ident, locator, secret = sharing.make(hours=2)
    ticket_of = sharing.open(locator, secret).token
    ticket = sharing.links.begin(locator, ticket_of, sharing.beside.id, SOURCE, MINE)
    sharing.house.clock.forward(2 * HOUR)
    for act in (lambda: sharing.links.look(locator), lambda: sharing.open(locator, secret)):
        with pytest.raises(Ended):
            act()
    with pytest.raises(NoGrant):
        sharing.links.get(ticket, MINE)
    assert sharing.links.listing(sharing.house.session(ANN), sharing.message)[0].state == "ended"
    sharing.house.upkeep.once()
    [row] = [row for table, row in sharing.house.rows() if table == "file_links"]
    assert (row["id"], row["state"], row["files"]) == (ident, "ended", b"")


def test_a_message_that_is_taken_back_takes_its_links_along_and_gives_them_back(sharing: Sharing) -> None:
    _, locator, secret = sharing.make()
    sharing.house.pickup.expire(sharing.ann, sharing.message)
    with pytest.raises(Ended):
        sharing.open(locator, secret)
    with pytest.raises(Denied, match="Give it back first"):
        sharing.make()
    sharing.house.pickup.restore(sharing.ann, sharing.message)
    assert whole(sharing.have(locator, secret)) == FILE
    sharing.house.pickup.shred(sharing.ann, sharing.message)
    sharing.house.upkeep.once()
    with pytest.raises(Ended):
        sharing.links.look(locator)


def test_whoever_sends_a_file_to_themselves_can_make_a_link_which_ends_by_a_restore_or_the_owners_word(
    make_house: MakeHouse,
) -> None:
    sharing = Sharing(make_house(policy={"file_links": "everybody"}, dlp={"look": False}), to=ANN)
    _, locator, secret = sharing.make()
    assert whole(sharing.have(locator, secret)) == FILE
    house, (ident, locator, _) = sharing.house, sharing.make(most=2)
    [first] = [each.id for each in sharing.links.listing(sharing.ann, sharing.message) if each.id != ident]
    assert "192.0.2.0/24" in run(house, "link", "show", str(first)).output
    assert "Nobody has had a file" in run(house, "link", "show", str(ident)).output
    assert "0 of 2" in run(house, "link", "list", "--message", str(sharing.message)).output
    listed = json.loads(run(house, "link", "list", "--json").output)
    assert [(each["id"], each["author"], each["spent"]) for each in listed] == [
        (str(ident), ANN, 0),
        (str(first), ANN, 1),
    ]
    assert locator not in str(listed)
    assert "is over" in run(house, "link", "revoke", str(ident)).output
    assert json.loads(run(house, "link", "revoke", str(ident), "--json").output)["state"] == "revoked"
    for command in ("revoke", "show"):
        run(house, "link", command, "7", code=4)
    with pytest.raises(Ended):
        sharing.links.look(locator)
    ident, locator, secret = sharing.make()
    sharing.house.portal.engine.write(endings.end_everything).result()
    with pytest.raises(Ended):
        sharing.open(locator, secret)
    assert sharing.links.listing(sharing.house.session(ANN), sharing.message)[0].id == ident


def test_links_are_their_authors_alone_and_rows_that_were_edited_open_nothing(sharing: Sharing) -> None:
    house = sharing.house
    ident, _, _ = sharing.make()
    house.add_subscriber(JUNE)
    june, pat = house.session(JUNE), house.register(PAT, sharing.message)
    theirs = sharing.send(to=JUNE)
    until = house.clock.now() + HOUR
    for who in (june, pat):
        for act in (
            lambda who=who: sharing.links.make(who, sharing.message, until=until),
            lambda who=who: sharing.links.listing(who, sharing.message),
            lambda who=who: sharing.links.revoke(who, sharing.message, ident),
        ):
            with pytest.raises(NoGrant):
                act()
    with pytest.raises(NoGrant):
        sharing.links.revoke(sharing.ann, theirs, ident)
    with pytest.raises(Denied, match="no large file"):
        sharing.links.make(sharing.ann, theirs, until=until)
    assert sharing.shown(ident).state == "active"
    first, locator, secret = sharing.make()
    _, another, its = sharing.make()
    sharing.house.spoil(
        "UPDATE file_links SET files = (SELECT o.files FROM file_links o WHERE o.id = :other) WHERE id = :id",
        other=first, id=sharing.links.listing(sharing.ann, sharing.message)[0].id,
    )  # fmt: skip
    with pytest.raises(SealBroken):
        sharing.open(another, its)
    sharing.house.spoil("UPDATE file_links SET mark = :nothing", nothing=b"")  # of somebody who hashes, too
    with pytest.raises(WrongSecret):
        sharing.open(another, its)
    assert whole(sharing.have(locator, secret)) == FILE


def test_a_message_has_so_many_links_and_they_go_with_it(sharing: Sharing) -> None:
    for _ in range(MOST):
        sharing.make()
    with pytest.raises(Denied, match="at most 20 links"):
        sharing.make()
    house = sharing.house
    for days in (house.config.life.retention_days + 1, house.config.life.undo_days + 1, 1, 60, 60):
        house.clock.forward(days * DAY)
        house.upkeep.once()
    left = {table for table, _ in house.rows()}
    assert not left & {"file_links", "file_tickets", "message_files"}
