"""docker/nginx/nginx.conf with a real nginx in front of the API."""

import shutil
import socket
import subprocess
import time
from collections import Counter

import httpx
import pytest

from tests.fixtures.servers import Process, clean_environment, free_port, wait_for
from tests.paths import REPOSITORY

from .conftest import trusting

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed: apt-get install nginx-light"
)

READING = {
    "product_type": "M", "air_temperature_k": 298.9, "process_temperature_k": 309.1,
    "rotational_speed_rpm": 1538.0, "torque_nm": 38.1, "tool_wear_min": 120.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def proxy(certificates, make_server):
    """The URL of nginx, with the configuration of the container but other addresses, folders and shorter timeouts."""
    api, port, folder = make_server(PDM_ALLOWED_HOSTS="localhost"), free_port(), certificates.parent
    text = (REPOSITORY / "docker" / "nginx" / "nginx.conf").read_text()
    for old, new in {
        "/tmp/": f"{folder}/",
        "server api:8080": f"server 127.0.0.1:{api.port}",
        "listen 8443": f"listen 127.0.0.1:{port}",
        "/etc/nginx/certificates": str(certificates),
        " 10s;": " 1s;",
    }.items():
        assert old in text
        text = text.replace(old, new)
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    checked = subprocess.run(["nginx", "-t", "-c", configuration], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    process = Process(
        ["nginx", "-c", str(configuration), "-g", "daemon off;"], folder / "nginx.log", clean_environment()
    )
    process.start()
    url = f"https://localhost:{port}"
    wait_for(lambda: httpx.get(f"{url}/health", verify=trusting(certificates)).status_code == 200)
    yield url
    process.kill()


@pytest.fixture
def client(certificates, proxy):
    with httpx.Client(base_url=proxy, verify=trusting(certificates)) as client:
        time.sleep(2.5)  # until the rate limit has forgotten earlier tests
        yield client


def raw(certificates, client):
    """A TLS connection for bytes that an HTTP client would not send."""
    address = ("127.0.0.1", client.base_url.port)
    return trusting(certificates).wrap_socket(
        socket.create_connection(address, timeout=10), server_hostname="localhost"
    )


def test_a_reading_is_answered_over_tls(client):
    assert client.post("/predict", json=READING).status_code == 200


def test_the_documentation_loads_its_files_from_the_public_address(client):
    assert client.get("/", follow_redirects=True).url.path == "/docs"
    assert "http://" not in client.get("/docs").text.replace("http://www.w3.org", "")


def test_a_request_without_tls_is_refused(client):
    assert httpx.get(f"http://127.0.0.1:{client.base_url.port}/health").status_code == 400


def test_another_host_is_refused(client):
    assert client.get("/model", headers={"host": "attacker.example"}).status_code == 421


def test_a_body_above_the_limit_is_refused_before_it_is_sent(client, certificates):
    with raw(certificates, client) as connection:
        connection.sendall(b"POST /predict/batch HTTP/1.1\r\nhost: localhost\r\ncontent-length: 40000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_more_requests_than_the_rate_limit_are_refused(client):
    answers = Counter(client.get("/health").status_code for _ in range(600))
    assert set(answers) == {200, 429}
    assert answers[200] >= 200


@pytest.mark.parametrize(
    "half",
    [b"GET /health HTTP/1.1\r\nhost: loc", b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{"],
)
def test_half_a_request_is_cut_at_the_deadline(client, certificates, half):
    with raw(certificates, client) as connection:
        connection.sendall(half)
        received = connection.recv(100)
        assert received == b"" or received.startswith(b"HTTP/1.1 408 ")
