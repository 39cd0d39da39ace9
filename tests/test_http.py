"""The client against a scripted server: what is sent again and what never, how long it waits, what it says."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from tokenboard_etl.errors import (
    AnswerTooLarge,
    ClockWrong,
    ConfigurationError,
    KeyRefused,
    MalformedAnswer,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    TokenboardError,
)
from tokenboard_etl.http import Answer, Client
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.redaction import redact

ADMIN_KEY = "sk-admin-EXAMPLE0123456789"
MAX_ATTEMPTS = 8
RESET = b"reset"
"""Stands for an answer that is none: the connection is torn down."""


def reply(status: int, body: object = None, **headers: str) -> bytes:
    """A whole answer as bytes; a body that is no text is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@dataclass
class Scripted:
    """Answers with the replies in turn, the last one for ever, and remembers what it was asked."""

    replies: list[bytes]
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    base_url: str = ""

    def next_reply(self) -> bytes:
        return self.replies[min(len(self.asked), len(self.replies)) - 1]


Serve = Callable[..., Scripted]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers on loopback, each with its own script."""
    servers: list[ThreadingHTTPServer] = []

    def start(*replies: bytes) -> Scripted:
        script = Scripted(list(replies))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.asked.append((self.command, self.path, headers, body))
                self.close_connection = True
                raw = script.next_reply()
                if raw is RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                else:
                    self.wfile.write(raw)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names of the base class

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        script.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        return script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@dataclass
class Sent:
    """What came of one request: the answer or the error, and the waits in between."""

    outcome: Answer | Exception
    waits: list[float]

    @property
    def answer(self) -> Answer:
        assert isinstance(self.outcome, Answer), self.outcome
        return self.outcome

    @property
    def error(self) -> TokenboardError:
        assert isinstance(self.outcome, TokenboardError), repr(self.outcome)
        return self.outcome


def send(base_url: str, request: Request, key: str = ADMIN_KEY, **more: Any) -> Sent:
    """Sends one request with a sleep that only takes notes."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async def run() -> Answer | Exception:
        async with Client(base_url, SecretStr(key), sleep=note, **more) as client:
            try:
                return await client.send(request)
            except Exception as error:  # noqa: BLE001 - judged by the tests
                return error

    return Sent(asyncio.run(run()), waits)


COSTS = Request(
    "openai", "/organization/costs", (("group_by", "project_id"), ("group_by", "line_item"), ("limit", "7"))
)
CREATE = Request("openai", "/organization/projects", method="POST", body={"name": "x"}, repeatable=False)
OK = reply(200, {"data": []}, X_Request_Id="req_1")
ERROR = {"error": {"message": "Something went wrong.", "type": "server_error", "param": None, "code": None}}


def test_an_answer_is_handed_over_byte_for_byte(serve: Serve) -> None:
    body = b'{ "data" : [ 1.50, "\xc3\xa4\\u00e4" ],\r\n "x":1e-7 }\n'
    server = serve(reply(200, body, X_Request_Id="req_7"))
    sent = send(server.base_url, COSTS)
    assert sent.answer == Answer(200, body, "req_7")
    assert sent.waits == []


@pytest.mark.parametrize(("allowed", "fits"), [(11, True), (10, False), (None, True)])
def test_a_body_larger_than_allowed_is_refused_once_and_not_repeated(
    serve: Serve, allowed: int | None, fits: bool
) -> None:
    server = serve(reply(200, b'{"data":[]}'))
    sent = send(server.base_url, replace(COSTS, max_bytes=allowed))
    assert isinstance(sent.outcome, Answer if fits else AnswerTooLarge)
    assert (len(server.asked), sent.waits) == (1, [])


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_bomb_is_not_unpacked_whatever_its_status(serve: Serve, status: int) -> None:
    server = serve(reply(status, gzip.compress(bytes(100_000)), Content_Encoding="gzip"))
    sent = send(server.base_url, COSTS, largest_bytes=99_999)
    assert isinstance(sent.outcome, MalformedAnswer)
    assert "GET /organization/costs" in str(sent.outcome)
    assert (len(server.asked), sent.waits) == (1, [])


def test_a_compressed_answer_is_unpacked(serve: Serve) -> None:
    server = serve(reply(200, gzip.compress(b'{"data":[]}'), Content_Encoding="gzip"))
    assert send(server.base_url, COSTS).answer.body == b'{"data":[]}'


def test_a_request_carries_the_key_and_repeats_array_parameters(serve: Serve) -> None:
    server = serve(OK)
    send(server.base_url, COSTS, headers={"OpenAI-Organization": "org_1"})
    (method, path, headers, body) = server.asked[0]
    assert (method, path) == ("GET", "/v1/organization/costs?group_by=project_id&group_by=line_item&limit=7")
    assert headers["authorization"] == f"Bearer {ADMIN_KEY}"
    assert headers["openai-organization"] == "org_1"
    assert body == b""


def test_a_body_is_sent_as_json(serve: Serve) -> None:
    server = serve(OK)
    send(server.base_url, CREATE)
    (method, path, headers, body) = server.asked[0]
    assert (method, path, headers["content-type"]) == ("POST", "/v1/organization/projects", "application/json")
    assert json.loads(body) == {"name": "x"}


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529])
def test_a_passing_failure_is_tried_again(serve: Serve, status: int) -> None:
    server = serve(reply(status, ERROR), reply(status, b"<html>bad gateway</html>"), OK)
    assert send(server.base_url, COSTS).answer.status == 200
    assert len(server.asked) == 3
    assert len({str(asked[:2]) for asked in server.asked}) == 1


@pytest.mark.parametrize("status", [400, 402, 404, 405, 410, 413, 415, 422, 301, 302, 307, 308, 501])
def test_a_refusal_is_not_repeated(serve: Serve, status: int) -> None:
    server = serve(reply(status, ERROR), OK)
    sent = send(server.base_url, COSTS)
    assert isinstance(sent.error, ProviderRejected)
    assert sent.error.status == status
    assert not sent.error.retryable
    assert (len(server.asked), sent.waits) == (1, [])


@pytest.mark.parametrize("failure", [reply(503, ERROR), reply(429, ERROR), RESET, b"HTTP/1.1 200 OK\r\n", b""])
def test_after_8_attempts_it_gives_up(serve: Serve, failure: bytes) -> None:
    server = serve(failure)
    sent = send(server.base_url, COSTS)
    assert isinstance(sent.error, ProviderUnavailable)
    assert sent.error.retryable
    assert "run the same command again later" in str(sent.error)
    assert len(server.asked) == MAX_ATTEMPTS
    assert len(sent.waits) == MAX_ATTEMPTS - 1


def test_the_eighth_attempt_still_counts(serve: Serve) -> None:
    server = serve(*[reply(503, ERROR)] * 7, OK)
    assert send(server.base_url, COSTS).answer.status == 200
    assert len(server.asked) == MAX_ATTEMPTS


def test_waits_grow_are_jittered_and_bounded(serve: Serve) -> None:
    server = serve(reply(500, ERROR))
    walks = [send(server.base_url, COSTS).waits for _ in range(6)]
    for waits in walks:
        assert all(0 <= wait <= min(30, 2.0**number / 2) for number, wait in enumerate(waits))
        assert sum(waits) < 300
    assert len({tuple(waits) for waits in walks}) == len(walks)
    assert max(waits[-1] for waits in walks) > 2


@pytest.mark.parametrize(
    ("said", "wait"), [("0", 0), ("1", 1), ("17", 17), ("120", 120), ("121", 120), ("999999", 120)]
)
def test_the_providers_wish_to_wait_is_obeyed_up_to_two_minutes(serve: Serve, said: str, wait: float) -> None:
    server = serve(reply(429, ERROR, Retry_After=said), reply(503, ERROR, Retry_After=said), OK)
    sent = send(server.base_url, COSTS)
    assert sent.answer.status == 200
    assert sent.waits == [wait, wait]


@pytest.mark.parametrize("said", ["Wed, 21 Oct 2026 07:28:00 GMT", "-5", "1.5", "soon", "", "\xb2"])
def test_a_wish_that_is_no_number_of_seconds_is_passed_over(serve: Serve, said: str) -> None:
    server = serve(reply(429, ERROR).replace(b"\r\n\r\n", f"\r\nRetry-After: {said}\r\n\r\n".encode("latin-1"), 1), OK)
    sent = send(server.base_url, COSTS)
    assert sent.answer.status == 200
    assert 0 <= sent.waits[0] <= 0.5


def test_a_wish_is_kept_with_the_error(serve: Serve) -> None:
    error = send(serve(reply(429, ERROR, Retry_After="600")).base_url, CREATE).error
    assert isinstance(error, ProviderUnavailable)
    assert (error.status, error.retry_after_s) == (429, 600)


@pytest.mark.parametrize(
    "failure", [reply(503, ERROR), reply(500, ERROR), reply(429, ERROR, Retry_After="1"), reply(409, ERROR), RESET, b""]
)
def test_a_creating_post_is_sent_exactly_once(serve: Serve, failure: bytes) -> None:
    server = serve(failure, OK)
    sent = send(server.base_url, CREATE)
    assert isinstance(sent.error, ProviderUnavailable)
    assert (len(server.asked), sent.waits) == (1, [])


def test_the_post_that_only_reads_is_tried_again(serve: Serve) -> None:
    query = Request("openrouter", "/analytics/query", method="POST", body={"metrics": ["credits_usage"]})
    server = serve(reply(503, ERROR), RESET, OK)
    assert send(server.base_url, query).answer.status == 200
    assert [json.loads(body) for *_, body in server.asked] == [{"metrics": ["credits_usage"]}] * 3


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("provider", "variable"), [("openai", "OPENAI_ADMIN_KEY"), ("openrouter", "OPENROUTER_MANAGEMENT_KEY")]
)
def test_a_refused_key_is_said_at_once_with_what_to_do(serve: Serve, status: int, provider: str, variable: str) -> None:
    server = serve(reply(status, {"error": {"message": "You may not.", "code": status}}), OK)
    sent = send(server.base_url, Request(provider, "/organization/costs"))
    assert isinstance(sent.error, KeyRefused)
    assert isinstance(sent.error, ConfigurationError)
    assert (len(server.asked), sent.waits) == (1, [])
    assert f"HTTP {status}: You may not." in str(sent.error)
    assert variable in sent.error.advice


def test_a_refused_key_names_the_request(serve: Serve) -> None:
    sent = send(serve(reply(401, {"error": {"message": "You may not."}}, X_Request_Id="req_9"), OK).base_url, COSTS)
    assert isinstance(sent.error, KeyRefused)
    assert sent.error.request_id == "req_9"
    assert "HTTP 401: You may not (request id req_9)." in str(sent.error)


def test_a_rejection_holds_the_providers_words(serve: Serve) -> None:
    body = {"error": {"message": "Unsupported value.", "type": "x", "param": "start_time", "code": "invalid_type"}}
    error = send(serve(reply(400, body, X_Request_Id="req_9")).base_url, COSTS).error
    assert isinstance(error, ProviderRejected)
    assert (error.provider, error.endpoint, error.status) == ("openai", "GET /organization/costs", 400)
    assert (error.param, error.request_id) == ("start_time", "req_9")
    assert str(error).startswith(
        "openai GET /organization/costs: HTTP 400: Unsupported value (request id req_9). Nothing was loaded"
    )


@pytest.mark.parametrize(
    "words",
    [
        "Usage and cost data are available for the past year. Earliest supported start date: 2025-10-08 (UTC).",
        "Time range is limited to the last 365 days for this query.",
        "Date must be within the last 30 (completed) UTC days",
    ],
)
def test_a_day_beyond_the_horizon_is_answered_with_advice(serve: Serve, words: str) -> None:
    body = {"error": {"message": words, "type": "invalid_request_error", "param": None, "code": None}}
    error = send(serve(reply(400, body)).base_url, COSTS).error
    assert words.rstrip(".") in str(error)
    assert "--from" in str(error)


def test_a_providers_words_are_one_line_and_cannot_speak_to_the_terminal(serve: Serve) -> None:
    words = "No.\r\n\x1b[2J\x1b]0;owned\x07  \u202etokenboard: done\x9b31m"
    for status in (400, 403):
        error = send(serve(reply(status, {"error": {"message": words}})).base_url, COSTS).error
        assert f"HTTP {status}: No. ?[2J?]0;owned? ?tokenboard: done?31m" in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "Wrapped", "type": "t", "param": None, "code": None}}, "Wrapped"),
        ({"error": {"message": "More", "misalignment": {"a": 1}}}, "More"),
        ({"error": {"code": 400, "message": "Router"}, "user_id": None}, "Router"),
        ({"code": 404, "message": "The project proj_1 was not found"}, "The project proj_1 was not found"),
        ({"title": "Invalid", "status": 422}, "Invalid"),
        ({"error": {"message": None}}, ""),
        ({"error": {}}, ""),
        ({"error": "plain words"}, ""),
        ({"error": None}, ""),
        ({"error": ["list"]}, ""),
        ([], ""),
        ("text", ""),
        (None, ""),
        (17, ""),
        (b"", ""),
        (b"<html><h1>502</h1></html>", ""),
        (b'{"error": {"message": "cut', ""),
        (b"\xff\xfe\x00", ""),
        (b"[" * 50, ""),
    ],
)
def test_any_error_body_becomes_a_rejection(serve: Serve, body: object, words: str) -> None:
    sent = send(serve(reply(400, body)).base_url, COSTS)
    assert isinstance(sent.error, ProviderRejected)
    assert sent.error.detail == ("HTTP 400: " + words).rstrip(": ")


def test_an_error_body_nested_without_end_is_a_rejection(serve: Serve) -> None:
    assert isinstance(send(serve(reply(400, b"[" * 200_000)).base_url, COSTS).outcome, ProviderRejected)


def test_a_message_without_end_is_cut(serve: Serve) -> None:
    error = send(serve(reply(400, {"error": {"message": "x" * 100_000}})).base_url, COSTS).error
    assert len(str(error)) < 700


def test_a_missing_report_is_an_outage_where_that_is_known(serve: Serve) -> None:
    request = Request("openai", "/organization/costs", missing_is_outage=True)
    server = serve(reply(404, ERROR), reply(404, b"not found"), OK)
    assert send(server.base_url, request).answer.status == 200
    assert len(server.asked) == 3
    lasting = send(serve(reply(404, ERROR)).base_url, request)
    assert isinstance(lasting.error, ProviderUnavailable)
    assert lasting.error.status == 404


def test_an_unreachable_provider_is_tried_again_and_named() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        sent = send(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", COSTS)
    assert isinstance(sent.error, ProviderUnavailable)
    assert "cannot reach 127.0.0.1" in str(sent.error)
    assert len(sent.waits) == MAX_ATTEMPTS - 1


def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    sent = send("http://provider.invalid/v1", CREATE)
    assert isinstance(sent.error, ProviderUnavailable)
    assert "cannot reach provider.invalid" in str(sent.error)


@pytest.mark.parametrize(
    "cut",
    [
        reply(200, {"data": [1, 2, 3]}).replace(b"Content-Length: 19", b"Content-Length: 200"),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"not http at all\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_asked_for_again(serve: Serve, cut: bytes) -> None:
    server = serve(cut, OK)
    assert send(server.base_url, COSTS).answer.body == b'{"data": []}'
    assert len(server.asked) == 2


@pytest.mark.parametrize("half", [b'{"data":[{"object":"bucket"', b'{"data":[1,', b"", b'{"data":"', b"  \n"])
def test_half_a_json_body_is_asked_for_again(serve: Serve, half: bytes) -> None:
    server = serve(reply(200, half), OK)
    assert send(server.base_url, COSTS).answer.body == b'{"data": []}'
    assert len(server.asked) == 2


def test_an_answer_that_comes_in_drops_is_not_waited_for_without_end() -> None:
    """Each byte comes in time, the answer never does."""
    gone = threading.Event()

    class Dripping(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            while not gone.wait(0.01):
                self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        sent = send(f"http://127.0.0.1:{server.server_port}", COSTS, budget_s=0.2)
        gone.set()
        server.shutdown()
    assert isinstance(sent.error, ProviderUnavailable)
    assert "no answer in time" in str(sent.error)


def test_a_body_that_is_no_json_at_all_is_not_asked_for_again(serve: Serve) -> None:
    """What is in it is for the reader of the page to judge, and for a person to look at."""
    server = serve(reply(200, b"<html>maintenance</html>"), OK)
    sent = send(server.base_url, COSTS)
    assert (sent.answer.body, len(server.asked)) == (b"<html>maintenance</html>", 1)


def test_half_a_json_body_that_ends_with_a_bracket_is_asked_for_again(serve: Serve) -> None:
    server = serve(reply(200, b'{"data":[{"object":"bucket"}'), OK)
    assert send(server.base_url, COSTS).answer.body == b'{"data": []}'


def test_a_damaged_compression_is_asked_for_again(serve: Serve) -> None:
    damaged = gzip.compress(b'{"data":[]}')[:-9] + b"damaged!!"
    server = serve(reply(200, damaged, Content_Encoding="gzip"), OK)
    assert send(server.base_url, COSTS).answer.body == b'{"data": []}'


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [COSTS, CREATE])
def test_the_key_does_not_follow_a_redirect(serve: Serve, status: int, request_: Request) -> None:
    elsewhere = serve(OK)
    server = serve(reply(status, {}, Location=f"{elsewhere.base_url}/organization/costs"))
    sent = send(server.base_url, request_)
    assert isinstance(sent.error, ProviderRejected)
    assert f"HTTP {status}" in str(sent.error)
    assert (len(server.asked), elsewhere.asked) == (1, [])


@pytest.mark.parametrize("days", [-31, -1, 1, 31])
def test_a_clock_that_is_not_the_providers_is_refused_before_anything_is_read(serve: Serve, days: int) -> None:
    """The server says in the usual header what time it is."""
    server = serve(reply(200, {"data": []}, Date=format_datetime(datetime.now(UTC) + timedelta(days=days))))
    sent = send(server.base_url, COSTS)
    assert isinstance(sent.error, ClockWrong)
    assert sent.error.exit_status == 2
    assert "set the clock right" in str(sent.error)
    assert len(server.asked) == 1


@pytest.mark.parametrize("hours", [-11, 11, None])
def test_a_clock_within_half_a_day_or_a_provider_that_tells_no_time_is_no_reason_to_stop(
    serve: Serve, hours: int | None
) -> None:
    told = "soon" if hours is None else format_datetime(datetime.now(UTC) + timedelta(hours=hours))
    assert send(serve(reply(200, {"data": []}, Date=told)).base_url, COSTS).answer.status == 200


def test_what_a_creating_post_brought_is_kept_whatever_the_clock_says(serve: Serve) -> None:
    """The key in it is shown once."""
    told = format_datetime(datetime.now(UTC) - timedelta(days=31))
    assert send(serve(reply(200, {"key": "x"}, Date=told)).base_url, CREATE).answer.status == 200


@pytest.mark.parametrize(
    "key", [ADMIN_KEY, "sk-or-v1-0123456789abcdef0123456789abcdef", "sess-AbCd0123456789", "sk-proj-a_b-c_d-0123"]
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_key_that_the_provider_echoes_is_blotted_out(serve: Serve, status: int, key: str) -> None:
    words = f'Incorrect API key provided: {key}, ({key}) "{key}".'
    error = send(serve(reply(status, {"error": {"message": words}})).base_url, CREATE, key=key).error
    shown = f"{error} {error!r} {vars(error)} {error.args}"
    assert key not in shown
    assert key[8:] not in shown
    assert "Incorrect API key provided: " in shown


@pytest.mark.parametrize("failure", [RESET, b"garbage\r\n\r\n", reply(200, b'{"data":')])
def test_no_transport_error_shows_the_key(serve: Serve, failure: bytes) -> None:
    error = send(serve(failure).base_url, CREATE).error
    chain = [error, error.__cause__, error.__context__ if not error.__suppress_context__ else None]
    assert ADMIN_KEY not in "".join(f"{part} {part!r}" for part in chain)


@pytest.mark.parametrize(
    "text",
    [
        "sk-abcdefgh",
        "Bearer sk-admin-abcdefgh",
        "key=sk-or-v1-abcdefgh&x=1",
        "'sess-abcdefgh'",
        "sk-a sk-proj-abcdefgh",
    ],
)
def test_redaction_leaves_the_kind_and_nothing_else(text: str) -> None:
    assert "abc" not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize("text", ["task-force", "risk-free 100 %", "disk-0123456789", "a sk- b", "assess-ment"])
def test_redaction_leaves_words_alone(text: str) -> None:
    assert redact(text) == text


def test_log_lines_about_retries_hold_no_key(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(reply(500, {"error": {"message": f"key {ADMIN_KEY} broke it"}}), OK)
    with caplog.at_level("DEBUG"):
        send(server.base_url, COSTS)
    assert "attempt 1 failed" in caplog.text
    assert ADMIN_KEY not in caplog.text


def test_no_more_than_four_requests_run_at_once(serve: Serve) -> None:
    running, most, gate = [0], [0], threading.Lock()
    a_fifth, enough = threading.Event(), threading.Event()

    class Slow(Scripted):
        """Keeps the first requests until there is one too many, or none more comes."""

        def next_reply(self) -> bytes:
            with gate:
                running[0] += 1
                most[0] = max(most[0], running[0])
                if running[0] > 4:
                    a_fifth.set()
            if not enough.is_set():
                a_fifth.wait(0.3)
                enough.set()
            with gate:
                running[0] -= 1
            return OK

    server = serve(OK)
    server.__class__ = Slow

    async def run() -> None:
        async with Client(server.base_url, SecretStr(ADMIN_KEY)) as client:
            await asyncio.gather(*(client.send(COSTS) for _ in range(12)))

    asyncio.run(run())
    assert most[0] == 4
    assert len(server.asked) == 12


@pytest.mark.parametrize(
    ("fault", "attempts"),
    [
        ({"kind": "status", "status": 503, "times": 2}, 3),
        ({"kind": "status", "status": 429, "retry_after": 3, "times": 2}, 3),
        ({"kind": "reset", "times": 2}, 3),
        ({"kind": "reset", "where": "body", "times": 1}, 2),
        ({"kind": "truncated", "times": 1}, 2),
    ],
)
def test_the_sandboxs_passing_faults_are_overcome(
    sandbox: RunningSandbox, fault: dict[str, Any], attempts: int
) -> None:
    request = Request("openai", "/organization/projects")
    key = sandbox.env()["OPENAI_ADMIN_KEY"]
    plain = send(sandbox.openai_base_url, request, key=key).answer.body
    before = sandbox.request_count("/organization/projects")
    sandbox.add_fault(match="/organization/projects", **fault)
    assert send(sandbox.openai_base_url, request, key=key).answer.body == plain
    assert sandbox.request_count("/organization/projects") - before == attempts


def test_an_error_is_one_line_with_provider_and_endpoint(serve: Serve) -> None:
    error = send(serve(reply(503, ERROR)).base_url, CREATE).error
    assert isinstance(error, ProviderError)
    assert "\n" not in str(error)
    assert str(error).startswith("openai POST /organization/projects: HTTP 503: Something went wrong")
