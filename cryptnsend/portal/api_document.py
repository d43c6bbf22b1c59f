"""What does a program's author read? The OpenAPI 3.1 document, made of the types that requests are checked by."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from cryptnsend import __version__
from cryptnsend.portal.api_shapes import (
    LONGEST_PAGE,
    PAGE,
    Expiry,
    Message,
    MessagePage,
    MessageStatus,
    Problem,
)

WHY = {
    400: "The request cannot be read, or its key is missing.",
    401: "No token, or none that works.",
    403: "The token is not for this, or the rules allow no programs.",
    404: "No such message of this subscriber.",
    413: "Too large.",
    415: "Another type of content than the ones below.",
    422: "It was understood, and cannot be done as it stands.",
    429: "Too many requests, or the day's share is used up. Retry-After says when to try again.",
    503: "Not at this moment; nothing was sent. Repeat with the same key.",
    507: "The store is full; nothing was sent.",
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A new one for each message. For two days the same one with the same request sends nothing again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}
IDENT = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[0-9]{1,19}$"},
}


@lru_cache(maxsize=8)
def document(base_url: str) -> dict[str, Any]:
    """Return the document for a server at *base_url*."""
    types = (Message, Expiry, MessageStatus, MessagePage, Problem)
    _, parts = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CryptnSend",
            "version": __version__,
            "description": "Send protected mail, see what became of it, and take it back. docs/api.md explains it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{base_url}/api/v1"}],
        "security": [{"token": []}],
        "paths": {
            "/messages": {
                "post": _operation(
                    "send", "Send a message", MessageStatus, (400, 413, 415, 422, 503, 507),
                    parameters=[KEY], status=201, again=True,
                    body={
                        "required": True,
                        "content": {
                            "application/json": {"schema": _ref(Message)},
                            "multipart/form-data": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "message": _ref(Message),
                                        "file": {
                                            "type": "array",
                                            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                                        },
                                    },
                                    "required": ["message"],
                                    "additionalProperties": False,
                                },
                                "encoding": {"message": {"contentType": "application/json"}},
                            },
                        },
                    },
                ),
                "get": _operation(
                    "list", "List messages that were sent, newest first", MessagePage, (422, 503),
                    parameters=[
                        _query("limit", {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE}),
                        _query("cursor", {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}),
                    ],
                ),
            },
            "/messages/{id}": {
                "get": _operation(
                    "status", "What became of a message", MessageStatus, (404, 503), parameters=[IDENT]
                )
            },
            "/messages/{id}/expire": {
                "post": _operation(
                    "expire", "Take a message back", MessageStatus, (400, 404, 413, 415, 422, 503), parameters=[IDENT],
                    body={"required": False, "content": {"application/json": {"schema": _ref(Expiry)}}},
                )
            },
        },
        "components": {
            "schemas": parts,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the page Programs that send for you; each operation names its scope.",
                }
            },
        },
    }  # fmt: skip


def _operation(
    scope: str,
    summary: str,
    answer: type[msgspec.Struct],
    refusals: tuple[int, ...],
    *,
    parameters: list[dict[str, Any]],
    status: int = 200,
    again: bool = False,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    good = {"description": "Done.", "content": {"application/json": {"schema": _ref(answer)}}}
    answers: dict[str, Any] = {str(status): good}
    if again:
        answers["200"] = {**good, "description": "Done before, under the same key; nothing was sent again."}
    for each in sorted({401, 403, 429, *refusals}):
        answers[str(each)] = {
            "description": WHY[each],
            "content": {"application/problem+json": {"schema": _ref(Problem)}},
        }
    made: dict[str, Any] = {
        "operationId": scope,
        "summary": summary,
        "description": f"Needs a token with the scope {scope}.",
        "parameters": parameters,
        "responses": answers,
    }
    return made | ({"requestBody": body} if body else {})


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
