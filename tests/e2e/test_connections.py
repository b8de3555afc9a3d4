"""The limits on connections, caused with raw sockets against the API as a process."""

import contextlib
import json
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fixtures.servers import wait_for

READING = {
    "product_type": "M", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
    "rotational_speed_rpm": 1538.0, "torque_nm": 38.1, "tool_wear_min": 120.0,
}  # fmt: skip
BODY = json.dumps(READING).encode()
PREDICT = (
    b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(BODY), BODY)
)
CHUNKED = (
    b"POST /predict/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n"
)
MIB = 2**20


@pytest.fixture(scope="module")
def server(make_server):
    """An API with the default limits on size and short deadlines."""
    return make_server(PDM_HEADER_TIMEOUT_SECONDS="1", PDM_BODY_TIMEOUT_SECONDS="1")


def answer_of(client, seconds=10.0):
    """All bytes that the server sends until it closes the connection. The test fails if it is open after `seconds`."""
    client.settimeout(seconds)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while block := client.recv(65536):
            received += block
    return received


def send_reading(client):
    """Send a reading and read its response, so that the connection is idle."""
    client.sendall(PREDICT)
    received = b""
    while not received.endswith(b"}"):
        received += client.recv(65536)
    assert received.startswith(b"HTTP/1.1 200 ")


def problem_of(answer, status):
    """The problem details of a raw response, which closes the connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head.lower()
    return json.loads(body)


def send_until_closed(client, block, most_bytes):
    """Send `block` again and again until the server closes the connection. Returns the bytes sent."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < most_bytes:
            client.sendall(block)
            sent += len(block)
    return sent


def drip(client, byte, every, seconds):
    """Send one byte at a time. Returns after how long the server closed the connection."""
    start = time.monotonic()
    client.settimeout(every)
    while time.monotonic() - start < seconds:
        try:
            client.sendall(byte)
            if client.recv(65536) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - start


@contextlib.contextmanager
def readings_beside(server):
    """Send single readings during the block on one connection: the list of their milliseconds. All must succeed."""
    milliseconds, stop = [], threading.Event()

    def send():
        with httpx.Client(base_url=server.url, timeout=30) as client:
            while not stop.is_set():
                start = time.perf_counter()
                assert client.post("/predict", json=READING).status_code == 200
                milliseconds.append((time.perf_counter() - start) * 1000)
                time.sleep(0.002)

    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        wait_for(lambda: milliseconds or sending.done())
        milliseconds.clear()
        try:
            yield milliseconds
            wait_for(lambda: milliseconds or sending.done())
        finally:
            stop.set()
        sending.result()  # raises if a reading failed


ENDLESS = {
    "header lines": (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"x-header: value\r\n" * 2048),
    "short header lines": (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"a:\r\n" * 8192),
    "one header": (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-header: ", b"x" * 32768),
    "header name": (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"x" * 32768),
    "request line": (b"GET /", b"x" * 32768),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"x-trailer: value\r\n" * 2048),
    "one trailer": (CHUNKED + b"1\r\nx\r\n0\r\nx-trailer: ", b"x" * 32768),
    "chunk extension": (CHUNKED + b"1;", b"x" * 32768),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_endless_header_is_refused_while_good_readings_are_answered(server, kind):
    beginning, more = ENDLESS[kind]
    before = server.peak_mib()
    with readings_beside(server) as milliseconds:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            with server.connect() as client:
                client.sendall(beginning)
                assert send_until_closed(client, more, 64 * MIB) < 16 * MIB
    assert server.peak_mib() - before < 16
    assert statistics.median(milliseconds) < 50


def test_the_refusal_of_a_header_names_the_settings(server):
    with server.connect() as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-header: " + b"x" * 40_000 + b"\r\n\r\n")
        detail = problem_of(answer_of(client), 431)["detail"]
    assert "PDM_MAX_HEADER_BYTES" in detail
    with server.connect() as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 100 + b"\r\n")
        detail = problem_of(answer_of(client), 431)["detail"]
    assert "PDM_MAX_HEADER_LINES" in detail


@pytest.mark.parametrize("segments", [1, 3])
def test_a_header_within_the_limit_is_accepted_with_a_long_body_behind_it(server, segments):
    """In one read from the socket, the body must not count as header."""
    rows = b"product_type,air_temperature_k,process_temperature_k,rotational_speed_rpm,torque_nm,tool_wear_min\n"
    rows += b"M,298.9,309.1,1538,38.1,120\n" * 5000
    head = b"POST /predict/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\naccept: application/json\r\n"
    head += b"x-header: " + b"x" * 30_000 + b"\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(rows)
    message = head + rows
    step = -(-len(message) // segments)
    with server.connect() as client:
        for start in range(0, len(message), step):
            client.sendall(message[start : start + step])
            time.sleep(0.05)
        assert answer_of(client, 30).startswith(b"HTTP/1.1 200 ")


def test_an_endless_header_behind_a_long_body_is_refused(server):
    """A long body is parsed at once, a header behind it is not."""
    body = b"x" * 100_000
    head = b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    before = server.peak_mib()
    with server.connect() as client:
        client.sendall(head % len(body) + body + b"GET /health HTTP/1.1\r\nhost: localhost\r\n")
        assert send_until_closed(client, b"x: y\r\n" * 1024, 64 * MIB) < 16 * MIB
    assert server.peak_mib() - before < 16


def test_half_a_header_is_refused_after_its_deadline(server):
    with server.connect() as client:
        client.sendall(PREDICT[:30])
        assert "PDM_HEADER_TIMEOUT_SECONDS" in problem_of(answer_of(client), 408)["detail"]


def test_half_a_header_on_a_connection_that_was_used_is_refused_after_its_deadline(server):
    with server.connect() as client:
        send_reading(client)
        client.sendall(PREDICT[:30])
        assert "PDM_HEADER_TIMEOUT_SECONDS" in problem_of(answer_of(client), 408)["detail"]


def test_a_connection_without_a_request_is_closed_after_the_deadline_of_the_header(server):
    with server.connect() as client:
        assert answer_of(client) == b""


def test_half_a_body_is_refused_after_its_deadline(server):
    with server.connect() as client:
        client.sendall(PREDICT[:-10])
        assert "PDM_BODY_TIMEOUT_SECONDS" in problem_of(answer_of(client), 408)["detail"]


def test_the_second_body_of_a_pipeline_has_a_deadline(server):
    with server.connect() as client:
        client.sendall(PREDICT + PREDICT[:-10])
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answer


@pytest.mark.parametrize(
    ("beginning", "byte"),
    [(PREDICT[:30], b"x"), (PREDICT[: -len(BODY)], b" "), (CHUNKED, b"1\r\nx\r\n"), (b"", b"\r\n")],
    ids=["header", "body", "chunks", "empty lines"],
)
def test_a_client_that_sends_byte_by_byte_is_cut_at_the_deadline(server, beginning, byte):
    with server.connect() as client:
        client.sendall(beginning)
        assert 0.5 < drip(client, byte, every=0.05, seconds=10) < 5


def test_empty_lines_after_a_response_do_not_keep_a_connection_open(server):
    with server.connect() as client:
        send_reading(client)
        assert drip(client, b"\r\n", every=0.05, seconds=10) < 5


def test_a_slow_upload_above_the_minimum_rate_is_accepted(server):
    """600 KiB in 2.5 seconds, with a deadline of 1 second and one more per 64 KiB."""
    body = b"a,b\n" + b"1,2\n" * 150_000
    head = b"POST /predict/batch HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/csv\r\nconnection: close\r\n"
    with server.connect() as client:
        client.sendall(head + b"content-length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), len(body) // 25):
            client.sendall(body[start : start + len(body) // 25])
            time.sleep(0.1)
        answer = answer_of(client, 30)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"air_temperature_k" in answer  # the whole body was read: its columns are wrong


def test_a_chunked_body_without_end_is_refused_at_its_limit(make_server):
    server = make_server(PDM_MAX_REQUEST_BYTES=str(MIB))
    before = server.peak_mib()
    chunk = b"10000\r\n" + b"1" * 65536 + b"\r\n"
    with readings_beside(server) as milliseconds, server.connect() as client:
        client.sendall(CHUNKED)
        received = []
        reader = threading.Thread(target=lambda: received.append(client.recv(65536)))
        reader.start()
        start = time.monotonic()
        send_until_closed(client, chunk, 100_000 * MIB)
        seconds = time.monotonic() - start
        reader.join()
    assert received[0].startswith(b"HTTP/1.1 413 ")
    assert seconds < 10
    assert server.peak_mib() - before < 16
    assert statistics.median(milliseconds) < 50


def test_a_client_that_does_not_read_is_cut(server):
    before = server.peak_mib()
    with server.connect() as client:
        request = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n"
        start = time.monotonic()
        send_until_closed(client, request * 8, 100 * MIB)
        assert time.monotonic() - start < 10
    assert server.peak_mib() - before < 32


@pytest.mark.parametrize("kind", ["idle", "half a header", "half a body"])
def test_readings_are_answered_while_others_open_more_connections_than_the_limit(make_server, kind):
    server = make_server(PDM_MAX_CONNECTIONS="50")
    sent = {"idle": b"", "half a header": PREDICT[:30], "half a body": PREDICT[:-10]}[kind]
    with contextlib.ExitStack() as stack, readings_beside(server) as milliseconds:
        for _ in range(300):
            stack.enter_context(server.connect()).sendall(sent)
        assert httpx.post(f"{server.url}/predict", json=READING).status_code == 200
        assert server.open_sockets() < 50 + 20
    assert statistics.median(milliseconds) < 50
    assert "PDM_MAX_CONNECTIONS" in server.log.read_text()


def test_pipelined_requests_are_answered_in_order(server):
    paths = ["/health", "/model", "/health", "/nowhere", "/model/thresholds"] * 3
    requests = [f"GET {path} HTTP/1.1\r\nhost: localhost\r\nx-request-id: {n}\r\n\r\n" for n, path in enumerate(paths)]
    with server.connect() as client:
        client.sendall("".join(requests[:-1]).encode() + requests[-1][:20].encode())
        client.sendall(requests[-1][20:].encode())
        answer = answer_of(client, 20).decode()
    ids = [line.split(": ")[1] for line in answer.splitlines() if line.startswith("x-request-id: ")]
    assert ids == [str(number) for number in range(15)]


def test_after_too_many_pipelined_requests_the_connection_is_closed_with_the_responses_sent(server):
    before = server.peak_mib()
    with server.connect() as client:
        client.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 20_000)
        answer = answer_of(client)
    assert 16 <= answer.count(b"HTTP/1.1 200 OK") <= 17
    assert answer.count(b"connection: close") == 1
    assert server.peak_mib() - before < 16


def test_a_client_that_sends_no_http_gets_a_problem(server):
    with server.connect() as client:
        client.sendall(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        assert problem_of(answer_of(client), 400)["detail"] == "the request is not valid HTTP/1.1"


@pytest.mark.long
def test_two_workers_have_the_same_limits(make_server):
    server = make_server("--workers", "2", PDM_HEADER_TIMEOUT_SECONDS="1")
    for _ in range(4):
        with server.connect() as client:
            client.sendall(PREDICT[:30])
            assert "PDM_HEADER_TIMEOUT_SECONDS" in problem_of(answer_of(client), 408)["detail"]
    assert server.stop() == 0


def test_on_a_loopback_address_only_local_host_names_are_answered(server):
    for host, status in {
        "localhost": 200,
        f"127.0.0.1:{server.port}": 200,
        "[::1]": 200,
        "attacker.example": 421,
    }.items():
        assert httpx.get(f"{server.url}/model", headers={"host": host}).status_code == status


@pytest.mark.long
def test_on_all_addresses_every_host_name_is_answered_unless_the_setting_names_some(make_server):
    open_to_all = make_server("--host", "0.0.0.0")
    assert httpx.get(f"{open_to_all.url}/model", headers={"host": "api:8080"}).status_code == 200
    restricted = make_server("--host", "0.0.0.0", PDM_ALLOWED_HOSTS="api,localhost")
    assert httpx.get(f"{restricted.url}/model", headers={"host": "api:8080"}).status_code == 200
    assert httpx.get(f"{restricted.url}/model", headers={"host": "attacker.example"}).status_code == 421
