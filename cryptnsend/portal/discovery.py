"""What do mail programs find here when somebody types an address into them? The documents of core/discovery.py.

They are asked without a sign-in and from anywhere, so they hold nothing that depends on who has an account. The names
that an organisation's domain has for them lead to these documents and to no page: a page of ours under another name
would teach people to trust other names.
"""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask, Response, abort, request

from cryptnsend.core import discovery
from cryptnsend.portal.desk import desk
from cryptnsend.portal.wearing import house as own_host

XML, JSON = "text/xml", "application/json"
SPELLINGS = ("/autodiscover/autodiscover", "/Autodiscover/Autodiscover", "/AutoDiscover/AutoDiscover")
DOCUMENTS = frozenset({"autoconfig", "autodiscover", "autodiscover_json", "pacc"})


def register(app: Flask) -> None:
    """Give *app* the documents, and keep everything else off the names that are for them alone."""
    for path in discovery.AUTOCONFIG_PATHS:
        app.add_url_rule(path, "autoconfig", autoconfig)
    for path in SPELLINGS:
        app.add_url_rule(f"{path}.xml", "autodiscover", autodiscover, methods=["POST"])
        app.add_url_rule(f"{path}.json", "autodiscover_json", autodiscover_json)
        app.add_url_rule(f"{path}.json/v1.0/<address>", "autodiscover_json", autodiscover_json)
    app.add_url_rule(discovery.PACC_PATH, "pacc", pacc)
    app.before_request(only_documents)


def only_documents() -> Response | None:
    """Answer 404 to everything but the documents of a domain that is configured, on a name that is for documents."""
    prefix, _, domain = asked_host().partition(".")
    if prefix not in discovery.PREFIXES or asked_host() in (own_host(), desk().config.server.hostname):
        return None
    config = desk().config
    if request.endpoint in DOCUMENTS and domain in (*config.programs.domains, config.server.domain):
        return None
    return Response("Nothing is here.\n", 404, mimetype="text/plain")


def autoconfig() -> Response:
    """Show Thunderbird and others what to set up."""
    servers = desk().servers()
    if not servers.are_whole:
        abort(404)
    domain = discovery.domain_of(asked_host(), request.args.get("emailaddress", ""))
    return Response(discovery.autoconfig(servers, domain or desk().config.server.domain), mimetype=XML)


def autodiscover() -> Response:
    """Answer Outlook's question in XML; what is none gets an error in XML."""
    servers = desk().servers()
    if not servers.are_whole:
        abort(404)
    request.max_content_length = discovery.ASKED_OCTETS
    try:
        address = discovery.asked_for(request.get_data(cache=False))
    except discovery.NotAsked:
        now = datetime.fromtimestamp(desk().now() / 1000, UTC)
        return Response(discovery.not_discovered(f"{now:%H:%M:%S}"), 400, mimetype=XML)
    return Response(discovery.autodiscover(servers, address), mimetype=XML)


def autodiscover_json(address: str = "") -> Response:
    """Lead to the XML, whoever is asked about; refuse the protocols of another house."""
    del address  # the same answer for each
    asked = {name.lower(): value for name, value in request.args.items()}.get("protocol", "")
    servers = desk().servers()
    found = discovery.redirection(servers, asked) if servers.are_whole else None
    if found is None:
        return Response(discovery.no_protocol(), 404, mimetype=JSON)
    return Response(found, mimetype=JSON)


def pacc() -> Response:
    """Show the document whose digest `dns` prints."""
    document = discovery.pacc(desk().servers())
    if document is None:
        abort(404)
    return Response(document, mimetype=JSON)


def asked_host() -> str:
    """Return the name that was asked, without port, in lower case; some send the dot at its end along."""
    return request.host.partition(":")[0].lower().rstrip(".")
