"""Which of their forms can a subscriber ask for in a message? A button puts the address of one below the words.

The address opens nothing: it leads to the page for visitors, where whoever fills the form in proves who they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from flask import url_for
from flask_babel import gettext

from cryptnsend.core.html import tidy
from cryptnsend.flow.views import Writing
from cryptnsend.flow.visitforms import OwnForm
from cryptnsend.home import Home
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import spoken
from cryptnsend.portal.visits import signed_in


def askable() -> Sequence[OwnForm]:
    """Return the forms that visitors can fill in now: those that are on, of a page that is open."""
    page = desk().visitors.own(signed_in())
    if not (page.is_open and page.allowed):
        return ()
    return [each for each in desk().visitforms.listing(signed_in()) if each.is_open and each.form.questions]


def asked_for(writing: Writing, ident: int) -> Writing:
    """Return a message that asks for this form, too; as it was if nobody can fill that in, or it does so already."""
    form = next((each.form for each in askable() if each.id == ident), None)
    if form is None:
        return writing
    handle = desk().visitors.own(signed_in()).handle
    base = Home(desk().config.server.home).base_url(desk().config)
    link = base + url_for("visitors.begin", handle=handle, form=ident)
    if link in writing.text.split() or escape(link) in writing.html:
        return writing
    words = gettext("Please fill in “%(form)s”:", form=form.title.to(spoken()))
    text = f"{writing.text.rstrip()}\n\n{words}\n{link}\n".lstrip("\n")
    html = writing.html
    if html:
        html = tidy(f'{html}<p>{escape(words)}<br><a href="{escape(link)}">{escape(link)}</a></p>')
    return replace(writing, text=text, html=html)
