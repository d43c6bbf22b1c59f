"""The OpenAPI document says what the interface does: what it allows is answered as it says, what not is refused."""

from __future__ import annotations

import gc
from typing import Any, get_args

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cryptnsend.core import policy
from cryptnsend.core.api_tokens import SCOPES
from cryptnsend.portal import Portal
from tests.portal.real import ANN, portal
from tests.support.house import PASSWORD, SOURCE, House, MakeHouse

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPERATIONS = ("send", "list", "status", "expire")


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(api={"requests_per_minute": 100_000})


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return portal(house)


@pytest.fixture
def token(app: Portal, house: House) -> str:
    tokens, session = house.portal.api_tokens, house.session(ANN)
    return tokens.add(session, name="All", scopes=SCOPES, days=30, password=PASSWORD, source=SOURCE).text


def test_the_document_is_openapi_and_says_of_each_operation_which_scope_it_takes(app: Portal) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    schema.validate()
    assert schema.raw_schema["openapi"].startswith("3.1")
    found = {each.ok().definition.raw["operationId"] for each in schema.get_all_operations()}
    assert found == set(OPERATIONS)


def test_the_document_has_every_decision_that_an_answer_can_name(app: Portal) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app).raw_schema
    named = schema["components"]["schemas"]["Recipient"]["properties"]["decision"]["enum"]
    made = {each.__name__.lower() for each in get_args(policy.Decision)} - {"refuse"}  # that is no answer of 201
    assert set(named) == made


# werkzeug's test client keeps forms of more than 500 KB in temporary files, which it leaves to the collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not-allowed"])
@pytest.mark.parametrize("many", [8, pytest.param(400, marks=pytest.mark.long)])
def test_the_interface_answers_as_its_document_says(
    app: Portal, token: str, name: str, mode: GenerationMode, many: int
) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    [operation] = [each.ok() for each in schema.get_all_operations() if each.ok().definition.raw["operationId"] == name]
    seen: set[int] = set()

    @settings(
        max_examples=many, deadline=None, database=None, phases=[Phase.generate, Phase.explicit],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def check(data: Any) -> None:
        case = data.draw(operation.as_strategy(generation_mode=mode))
        answer = case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)
        seen.add(answer.status_code)

    check()
    gc.collect()
    assert seen - {401, 403, 429, 503}, "the token was let in, and something was asked"
    if name == "list" and mode is GenerationMode.POSITIVE:
        assert 200 in seen
