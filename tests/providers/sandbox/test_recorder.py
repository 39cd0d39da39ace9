"""What the sandbox remembers of requests, which tests of resumption rest on."""

from __future__ import annotations

import httpx

from tokenboard_etl.providers.sandbox.recorder import Asked, digest_of
from tokenboard_etl.providers.sandbox.server import RunningSandbox

ENDPOINT = "/openrouter/api/v1/analytics/query"


def test_whole_requests_are_counted_by_query_and_body_whatever_the_order_of_its_fields(
    sandbox: RunningSandbox, openrouter: httpx.Client
) -> None:
    body = {"metrics": ["credits_usage"], "granularity": "day"}
    turned = dict(reversed(body.items()))
    for sent in (body, turned, {**body, "granularity": "hour"}):
        openrouter.post("/analytics/query", json=sent)
    openrouter.get("/keys", params={"offset": "100"})
    openrouter.get("/keys")
    counted = sandbox.requests()
    assert counted.pop(Asked("GET", "/openrouter/api/v1/keys", "offset=100", "")) == 1
    assert counted.pop(Asked("GET", "/openrouter/api/v1/keys", "", "")) == 1
    assert {request.path for request in counted} == {ENDPOINT}
    assert sorted(counted.values()) == [1, 2]


def test_a_body_that_is_read_for_the_record_reaches_the_application_whole(
    sandbox: RunningSandbox, openrouter: httpx.Client
) -> None:
    name = "x" * 100_000  # arrives in several parts
    answer = openrouter.post("/keys", json={"name": name})
    assert answer.json()["data"]["name"] == name
    assert sandbox.request_count("POST") == 1


def test_a_body_that_is_no_json_is_told_apart_by_its_bytes() -> None:
    assert digest_of(b"") == ""
    assert digest_of(b"a") != digest_of(b"b")
    assert digest_of(b'{"a": 1.0}') == digest_of(b'{ "a":1.0 }') != digest_of(b'{"a": 1.00}')
