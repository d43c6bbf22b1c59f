"""Which forms does a subscriber's page for visitors have, and what becomes of what was filled in?

Questions rest beside the page, as its greeting does: whoever may write there reads them. Answers never do: they are a
letter like any other, by the same admission, with a table in it and a file for spreadsheets. Each change of a form
makes a version, and an answer is read with the questions that its writer saw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from gettext import NullTranslations

import structlog

from cryptnsend.core import answer_sheet, forms, handles
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import NoGrant, Refusal, Sentence, StoreBroken
from cryptnsend.core.forms import Form, Said
from cryptnsend.core.html import text_to_html
from cryptnsend.core.model import Random, account_holder, new_id
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.visiting import words
from cryptnsend.flow.visitors import Letter, Page
from cryptnsend.store.records import audit, visitforms, visitors

MOST = 10  # forms of one page
VERSIONS = 20  # kept of each form, for those who began to fill in an earlier one
FILE = "answers.csv"
NO_FORM = "There is no such form here."

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OwnForm:
    """A form as its subscriber sees it; `version` 0 is one that was never saved."""

    id: int
    version: int
    is_open: bool
    form: Form
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A form as visitors see it."""

    id: int
    version: int
    form: Form


class VisitForms:
    """Forms of pages for visitors. Shared by all requests of a process; thread-safe."""

    def __init__(
        self,
        *,
        engine: Engine,
        policies: Policies,
        clock: Clock,
        random: Random,
        words: Callable[[str], NullTranslations],
    ):
        """*words* returns the catalogue of a language."""
        self._engine, self._policies, self._clock, self._random, self._words = engine, policies, clock, random, words

    # -- whoever writes -----------------------------------------------------------------------------------------------

    def offered(self, handle: str) -> Sequence[Asked]:
        """Return the forms that a page has, in the order in which they were made; none for a page that is closed."""
        page = self._page(handle)
        rows = [] if page is None else visitforms.offered(self._engine, page["account"])
        return [found for row in rows if (found := _asked(row)) is not None]

    def asked(self, handle: str, ident: int, version: int = 0) -> Asked:
        """
        Return a form of a page, in the *version* that somebody was shown; else as it is now.

        Raises NoGrant alike for one that is switched off, was deleted or never was, and for a page that is closed.
        """
        page = self._page(handle)
        row = None if page is None else visitforms.offer(self._engine, page["account"], ident, version)
        found = None if row is None else _asked(row)
        if found is None:
            raise NoGrant(NO_FORM)
        return found

    def letter(
        self, session: Session, page: Page, asked: Asked, typed: Mapping[str, str], text: str, language: str
    ) -> tuple[Letter, dict[str, Sentence]]:
        """
        Return the letter that a form makes of what was *typed*, and what is wrong with which question.

        *text* goes along below. A letter with anything wrong is not to be sent.
        """
        found, wrong = forms.answers(asked.form, typed)
        seen, own = self._labels(language), self._labels(page.language)
        more = text.strip()
        plain = answer_sheet.as_text(asked.form, found, seen, own) + (f"\n{more}\n" if more else "")
        table = answer_sheet.as_html(asked.form, found, seen, own)
        html = table + (text_to_html(more) if more else "")
        attached = (FILE, "text/csv", answer_sheet.as_csv(found, own, self._before(session, asked, own.language)))
        return Letter(asked.form.title.to(language), plain, html, (attached,)), wrong

    def _before(self, session: Session, asked: Asked, language: str) -> answer_sheet.Columns:
        say = self._words(language).gettext
        sent = datetime.fromtimestamp(self._clock.now() / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        headings = [words("Sent (UTC)"), words("Name"), words("Address"), words("Form"), words("Version")]
        cells = (sent, session.name, session.address, asked.form.title.to(language), str(asked.version))
        return answer_sheet.Columns(tuple(say(each) for each in headings), cells)

    def _labels(self, language: str) -> answer_sheet.Labels:
        say = self._words(language).gettext
        return answer_sheet.Labels(
            language, say(words("Yes")), say(words("No")), say(words("No answer")), say(words("Question")),
            say(words("Answer")),
        )  # fmt: skip

    # -- the subscriber's side ----------------------------------------------------------------------------------------

    def listing(self, session: Session) -> Sequence[OwnForm]:
        """Return the forms of a subscriber, in the order in which they were made."""
        return [_own(row) for row in visitforms.listing(self._engine, session.organisation, session.account)]

    def own(self, session: Session, ident: int) -> OwnForm:
        """Return one form as it is now; raise NoGrant for what is not one's own."""
        for row in visitforms.listing(self._engine, session.organisation, session.account):
            if row["id"] == ident:
                return _own(row)
        raise NoGrant(NO_FORM)

    def save(self, session: Session, ident: int, form: Form, *, is_open: bool, version: int = 0) -> OwnForm:
        """
        Make a form (*ident* 0) or change one, and return it; an unchanged one keeps its version.

        *version* is the one that was changed. Raises NoGrant for another's form, Refusal for one that cannot be put,
        or that was changed elsewhere meanwhile.
        """
        wanted, now = forms.checked(form), self._clock.now()
        org, account = session.organisation, session.account
        if not self._policies.limits(org).visitor_pages and is_open:
            raise Refusal("The rules here do not let you have such a page, so the form stays switched off.")
        written = forms.encode(wanted)
        made = ident or new_id(now, self._random)

        def write(rows: Rows) -> None:
            before = visitforms.current(rows, org, account, made) if ident else None
            if ident and before is None:
                raise NoGrant(NO_FORM)
            if before is None and visitforms.count(rows, org, account) >= MOST:
                raise Refusal(Sentence("A page has at most %(most)s forms. Delete one first.", most=MOST))
            if before is not None and version and before["version"] != version:
                raise Refusal("This form was changed elsewhere meanwhile. Open it again, and make your change there.")
            newest = before["version"] if before else 0
            if before is None or before["questions"] != written:
                newest += 1
                visitforms.put(rows, org, account, made, newest, written, is_open=is_open, now=now)
                visitforms.forget(rows, org, made, newest - VERSIONS)
            elif bool(before["is_open"]) != is_open:
                visitforms.switch(rows, org, account, made, is_open=is_open)
            else:
                return
            detail = {"form": str(made), "version": newest, "open": is_open}
            audit.append(rows, org, now, account_holder(account), "visitors.form", f"account:{account}", detail)

        self._engine.write(write).result()
        return self.own(session, made)

    def drop(self, session: Session, ident: int) -> None:
        """Delete a form with all its versions; letters that came by it stay as they are. Raises NoGrant."""
        org, account = session.organisation, session.account

        def write(rows: Rows) -> None:
            if not visitforms.drop(rows, org, account, ident):
                raise NoGrant(NO_FORM)
            detail = {"form": str(ident)}
            audit.append(
                rows,
                org,
                self._clock.now(),
                account_holder(account),
                "visitors.form-deleted",
                f"account:{account}",
                detail,
            )

        self._engine.write(write).result()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _page(self, handle: str) -> Row | None:
        row = visitors.page(self._engine, handle) if handles.is_one(handle) else None
        return row if row is not None and self._policies.limits(row["org"]).visitor_pages else None


def _asked(row: Row) -> Asked | None:
    """Return a form as it rests; a damaged one is not there for visitors."""
    try:
        return Asked(row["id"], row["version"], forms.decode(row["questions"]))
    except StoreBroken:
        log.error("form damaged", form=row["id"])
        return None


def _own(row: Row) -> OwnForm:
    """Return a form as it rests; one that is damaged is shown empty, so that it can be made anew or deleted."""
    try:
        form = forms.decode(row["questions"])
    except StoreBroken:
        log.error("form damaged", form=row["id"])
        form = Form(Said(), Said(), ())
    return OwnForm(row["id"], row["version"], bool(row["is_open"]), form, row["at"])


def kept(form: Form, typed: Mapping[str, str], language: str) -> tuple[tuple[str, str, str], ...]:
    """Return what was typed as a draft keeps it: (key, question, words), so that it is found without the form too."""
    return tuple(
        (each.key, each.label.to(language), typed[each.key])
        for each in form.questions
        if typed.get(each.key, "").strip()
    )


def without_form(written: Sequence[tuple[str, str, str]]) -> str:
    """Return what is left of a form that is not there any more, as the words of a letter."""
    return answer_sheet.as_words([(label, typed) for _, label, typed in written])
