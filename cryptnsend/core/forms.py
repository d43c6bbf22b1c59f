"""Which questions does a form put, and what was answered? As a subscriber typed it, and as visitors did.

Pure: no I/O, no clock. A question has a key that stays while a form is changed, so that what somebody began to fill in
finds its place again. Words stand in one language or in both; who reads the one that is missing gets the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from cryptnsend.core.errors import Refusal, Sentence, StoreBroken

KINDS = ("short", "long", "date", "choice", "yes", "phone")
MOST_QUESTIONS = 40
MOST_CHOICES = 30
TITLE, INTRODUCTION, LABEL, HELP, CHOICE = 80, 1200, 200, 400, 100  # characters
LENGTHS = {"short": 300, "long": 5000, "phone": 40}  # characters of an answer
OLDEST, LATEST = 1850, 2200  # years: of what somebody living remembers, and of what they plan
YES, NO = "yes", "no"

_KEY = re.compile(r"q[0-9]{1,6}")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PHONE = re.compile(r"\+?[0-9 ()/.\-]{3,40}(?: ?(?:x|ext\.?|#) ?[0-9]{1,8})?")


class Said(msgspec.Struct, frozen=True):
    """What is said in the languages that pages speak."""

    en: str = ""
    es: str = ""

    def to(self, language: str) -> str:
        """Return it in this language, in the other one where it is said in that one only."""
        own, other = (self.es, self.en) if language == "es" else (self.en, self.es)
        return own or other

    def __bool__(self) -> bool:
        """Say whether there is anything."""
        return bool(self.en or self.es)


class Question(msgspec.Struct, frozen=True):
    """One question of a form; `choices` for the kind choice only."""

    key: str
    kind: str
    label: Said
    required: bool = False
    help: Said = Said()
    choices: tuple[Said, ...] = ()


class Form(msgspec.Struct, frozen=True):
    """A form as it is shown: what it is called, what is said first, what is asked."""

    title: Said = Said()
    introduction: Said = Said()
    questions: tuple[Question, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What was answered to one question: in its one spelling, a choice by its number from 0, "" for nothing."""

    question: Question
    value: str

    def said(self, language: str) -> str:
        """Return the answer as it is read; that of yes/no is YES or NO, whose words are the reader's."""
        if self.question.kind == "choice" and self.value:
            return self.question.choices[int(self.value)].to(language)
        return self.value


# -- definitions ------------------------------------------------------------------------------------------------------


def encode(form: Form) -> str:
    """Return a form as it rests."""
    return msgspec.json.encode(form).decode()


def decode(octets: str) -> Form:
    """Return a form that rests; raise StoreBroken for what is none, as of a row that somebody changed."""
    try:
        return checked(msgspec.json.decode(octets, type=Form))
    except (msgspec.MsgspecError, Refusal):
        raise StoreBroken("A form is damaged.") from None


def checked(form: Form) -> Form:
    """Return a form in its one spelling; raise Refusal with a sentence about what cannot be put to anybody."""
    title = _words(form.title, TITLE, Sentence("The title"))
    if not title:
        raise Refusal("Give the form a title.")
    if not form.questions:
        raise Refusal("A form has at least one question.")
    if len(form.questions) > MOST_QUESTIONS:
        raise Refusal(Sentence("A form has at most %(most)s questions.", most=MOST_QUESTIONS))
    if len({each.key for each in form.questions}) < len(form.questions):
        raise Refusal("Two questions of the form have the same key.")
    introduction = _words(form.introduction, INTRODUCTION, Sentence("What is said first"), lines=True)
    return Form(title, introduction, tuple(_question(each, at) for at, each in enumerate(form.questions, 1)))


def next_key(questions: Sequence[Question]) -> str:
    """Return a key that none of these questions has."""
    return f"q{1 + max((int(each.key[1:]) for each in questions if _KEY.fullmatch(each.key)), default=0)}"


def _question(asked: Question, at: int) -> Question:
    if not _KEY.fullmatch(asked.key) or asked.kind not in KINDS:
        raise Refusal(Sentence("Question %(at)s is of no kind that there is.", at=at))
    label = _words(asked.label, LABEL, Sentence("Question %(at)s", at=at))
    if not label:
        raise Refusal(Sentence("Question %(at)s says nothing. Type what is asked, or remove it.", at=at))
    explained = _words(asked.help, HELP, Sentence("The help for question %(at)s", at=at))
    if asked.kind != "choice":
        return Question(asked.key, asked.kind, label, asked.required, explained)
    choices = tuple(_words(each, CHOICE, Sentence("A choice of question %(at)s", at=at)) for each in asked.choices)
    if not 2 <= len(choices) <= MOST_CHOICES:
        raise Refusal(Sentence("Question %(at)s has from 2 to %(most)s choices, one a line.", at=at, most=MOST_CHOICES))
    for language in ("en", "es"):
        given = [getattr(each, language) for each in choices]
        if any(given) and not all(given):
            raise Refusal(
                Sentence(
                    "Question %(at)s has as many choices in one language as in the other, in the same order.", at=at
                )
            )
    if not all(choices):
        raise Refusal(Sentence("A choice of question %(at)s says nothing.", at=at))
    # An answer comes as the words of its choice, to be read without the form, too: they say which, in any language.
    words = [said for each in choices for said in {each.en, each.es} - {""}]
    if len(set(words)) < len(words):
        raise Refusal(Sentence("A choice of question %(at)s stands there twice.", at=at))
    return Question(asked.key, asked.kind, label, asked.required, explained, choices)


def _words(said: Said, most: int, where: Sentence, *, lines: bool = False) -> Said:
    """Return what is said as plain words, of several lines if *lines*; raise Refusal."""
    return Said(_plain(said.en, most, where, lines=lines), _plain(said.es, most, where, lines=lines))


def _plain(typed: str, most: int, where: Sentence, *, lines: bool) -> str:
    parts = typed.strip().splitlines() if lines else [typed]
    text = "\n".join(" ".join(part.split()) for part in parts)
    if len(text) > most:
        raise Refusal(Sentence("%(where)s is too long: %(most)s characters at most.", where=where, most=most))
    # Among what does not show are the marks that turn the direction of all that follows.
    if any(not (c.isprintable() or c == "\n") for c in text):
        raise Refusal(Sentence("%(where)s has a character that cannot be shown.", where=where))
    return text


# -- answers ----------------------------------------------------------------------------------------------------------


def answers(form: Form, typed: Mapping[str, str]) -> tuple[Sequence[Answer], dict[str, Sentence]]:
    """
    Return what was answered to each question, by what was *typed* under its key, and what is wrong with which.

    What stands under other keys is left alone. An answer that something is wrong with is among the answers as "".
    """
    found, wrong = [], {}
    for each in form.questions:
        try:
            value = _answered(each, typed.get(each.key, ""))
        except Refusal as refused:
            said = refused.text
            value, wrong[each.key] = "", said if isinstance(said, Sentence) else Sentence(said)
        found.append(Answer(each, value))
    return found, wrong


def _answered(asked: Question, typed: str) -> str:
    text = _tidy(typed, lines=asked.kind == "long")
    if not text:
        if asked.required:
            raise Refusal("Answer this question.")
        return ""
    if asked.kind == "choice":
        chosen = next((at for at, each in enumerate(asked.choices) if text in (each.en, each.es)), None)
        if chosen is None:
            raise Refusal("Choose one of these answers.")
        return str(chosen)
    if asked.kind == "yes":
        if text not in (YES, NO):
            raise Refusal("Choose one of these answers.")
        return text
    if asked.kind == "date":
        return _date(text)
    if len(text) > LENGTHS[asked.kind]:
        raise Refusal(Sentence("This is too long: %(most)s characters at most.", most=LENGTHS[asked.kind]))
    if asked.kind == "phone" and not (_PHONE.fullmatch(text) and sum(c.isdecimal() for c in text) >= 3):
        raise Refusal("Type a telephone number in digits, such as (555) 010-0142.")
    return text


def _tidy(typed: str, *, lines: bool) -> str:
    """Return what somebody typed without what does not show at all; of one line unless *lines*."""
    text = _CONTROLS.sub("", typed)
    if not lines:
        return " ".join(text.split())
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _date(text: str) -> str:
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}", text, re.ASCII):
            raise ValueError(text)
        year, month, day = map(int, text.split("-"))
        found = date(year, month, day)
    except ValueError:
        raise Refusal("Type a date that there is as year, month and day, such as 1984-07-31.") from None
    if not OLDEST <= found.year <= LATEST:
        raise Refusal(Sentence("Type a year from %(first)s to %(last)s.", first=OLDEST, last=LATEST))
    return found.isoformat()
