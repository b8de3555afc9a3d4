"""A URI's secrets are not displayed, a written-out secret is found, and ${NAME} is replaced from the environment."""

import string
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from predictive_maintenance.config.uris import (
    expand,
    has_ambiguous_password,
    redact,
    redact_text,
    written_out_secret,
)
from predictive_maintenance.errors import SourceError


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:s3cret@host:5432/plant?table=t", "postgresql://me:***@host:5432/plant?table=t"),
        ("postgresql://me:s3:cr:et@host/plant?table=t", "postgresql://me:***@host/plant?table=t"),
        ("postgresql://me:s3/cr?e#t@host/plant?table=t", "postgresql://***"),
        ("postgresql://me:s3@cr/et@host/plant?table=t", "postgresql://***"),
        ("postgresql://me:12/34@host/plant?table=t", "postgresql://***"),
        ("https://me:s3cr/et@host/r.csv", "https://***"),
        ("postgresql:/me:s3cret@host/plant?table=t", "postgresql:/me:***@host/plant?table=t"),
        ("postgresql://me@host/plant?table=t", "postgresql://me@host/plant?table=t"),
        ("postgresql://host:5432/plant?table=a@b", "postgresql://host:5432/plant?table=a%40b"),
        ("postgresql://host/plant?table=t&password=s3cret", "postgresql://host/plant?table=t&password=***"),
        ("https://s3cret@host/r.csv", "https://***@host/r.csv"),
        ("https://me:${TOKEN}@host/@me/r.csv", "https://***:***@host/@me/r.csv"),
        ("https://host/@me/r.csv", "https://host/@me/r.csv"),
        ("https://host:8080/@me/r.csv", "https://***"),
        ("https://me:12/34@host/r.csv", "https://***"),
        ("https://host/r.csv?X-Amz-Signature=s3cret#s3cret", "https://host/r.csv?X-Amz-Signature=***"),
        ("https://host/r.csv#access_token=s3cret", "https://host/r.csv?access_token=***"),
        ("https://host/r.csv?s3cret", "https://host/r.csv"),
        ("${HOST}/r.csv?token=s3cret", "${HOST}/r.csv?token=***"),
        ("${SOURCE}", "${SOURCE}"),
        ("simulator://?rows=10&seed=1", "simulator://?rows=10&seed=1"),
        ("sqlite:////plant/readings.db?table=t", "sqlite:////plant/readings.db?table=t"),
        ("data/a file.csv", "data/a file.csv"),
        ("C:/data/what?.csv", "C:/data/what?.csv"),
    ],
)
def test_redact_hides_passwords_and_option_values(uri, shown):
    assert redact(uri) == shown


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("postgresql://me:s3cret@host/plant?table=t", "a password"),
        ("postgresql://me:s3/cr?e#t@host/plant?table=t", "a password or an @ that is not percent-encoded"),
        ("postgresql://me:12/34@host/plant?table=t", "a password or an @ that is not percent-encoded"),
        ("postgresql://me:12?34@host/plant?table=t", "a password or an @ that is not percent-encoded"),
        ("postgresql://me:s3${REST}@host/plant?table=t", "a password"),
        ("https://ghp_s3cret@host/r.csv", "a token before its @"),
        ("https://ghp_s3cret:@host/r.csv", "a token before its @"),
        ("https://host/r.csv?access_token=s3cret", "the value of 'access_token'"),
        ("https://host/r.csv?X-Amz-Signature=s3cret", "the value of 'X-Amz-Signature'"),
        ("https://host/r.csv?AWSAccessKeyId=s3cret", "the value of 'AWSAccessKeyId'"),
        ("https://host/r.csv?apikey=s3cret", "the value of 'apikey'"),
        ("postgresql://host/plant?sslpassword=s3cret&table=t", "the value of 'sslpassword'"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Ds3cret&table=t", "the value of 'odbc_connect'"),
    ],
)
def test_a_written_out_secret_is_found(uri, secret):
    assert written_out_secret(uri) == secret


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me:${DB_PASSWORD}@host/plant?query=SELECT '@'",
        "postgresql://me@host:5432/plant?table=t&sslmode=require",
        "postgresql://host:5432/plant?query=SELECT token FROM t WHERE mail = 'a@b' AND key='1'",
        "mssql+pyodbc:///?odbc_connect=UID=me;PWD=${DB_PASSWORD}&table=t",
        "mssql+pyodbc:///?odbc_connect=UID=me;PWD={${DB_PASSWORD}}&table=t",
        "https://${TOKEN}@host/r.csv",
        "https://me:${TOKEN}@host/r.csv?token=${TOKEN}",
        "https://host:8080/@me/r.csv?author=me&version=3",
        "s3://bucket/a@b.csv",
        "${SOURCE}",
        "${FOLDER}/a@b.csv",
        "plant@home/readings.csv",
        "sqlite:////plant/a@b.db?table=t",
    ],
)
def test_a_uri_without_a_written_out_secret_is_accepted(uri):
    assert written_out_secret(uri) == ""


ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="${}"), min_size=1)
POSITIONS = {
    "a database's password": "postgresql://me:<>@host/plant?table=t",
    "a password before a host and port": "postgresql://me:<>@host:5432/plant?query=SELECT 1",
    "a web password": "https://me:<>@host/r.csv",
}


@pytest.mark.parametrize("template", POSITIONS.values(), ids=POSITIONS)
@given(ANY_TEXT)
@example("a/b?c#d@e")
@example("1?/=@")
def test_a_password_of_any_characters_is_found_and_hidden(template, text):
    secret = f"s3cret{text}t3rces"
    uri = template.replace("<>", secret)
    assert written_out_secret(uri).startswith("a password")
    assert "s3cret" not in redact(uri)
    assert "t3rces" not in redact(uri)


@given(st.text("0123456789/?#@=:[]", min_size=1))
def test_a_database_password_of_digits_and_reserved_characters_is_found_and_hidden(text):
    uri = f"postgresql://me:{text}/s3cret@host/plant?table=t"
    assert written_out_secret(uri).startswith("a password")
    assert "s3cret" not in redact(uri)


@given(st.sampled_from(["password", "api_key", "X-Amz-Signature", "authToken", "sig"]), ANY_TEXT)
def test_the_value_of_a_secret_option_is_found_and_hidden(name, text):
    for base in ("https://host/r.csv?a=1", "postgresql://host/plant?table=t"):
        uri = f"{base}&{name}={quote(f's3cret{text}', safe='')}"
        assert written_out_secret(uri) == f"the value of {name!r}"
        assert "s3cret" not in redact(uri)


@given(ANY_TEXT)
def test_redact_does_not_change_a_local_path(text):
    name = text.replace("/", "").replace(":", "")
    assert redact(f"data/{name}.csv") == f"data/{name}.csv"


@pytest.mark.parametrize("password", ["s3cret", "p/a?s#s@w:o r%d", "100%25"])
def test_a_password_from_the_environment_is_percent_encoded_for_sqlalchemy(monkeypatch, password):
    monkeypatch.setenv("DB_PASSWORD", password)
    url = make_url(expand("postgresql://me:${DB_PASSWORD}@host/plant?sslpassword=${DB_PASSWORD}"))
    assert (url.password, url.host, url.query["sslpassword"]) == (password, "host", password)


def test_a_path_or_a_whole_uri_from_the_environment_is_not_encoded(monkeypatch):
    monkeypatch.setenv("PLACE", "a folder/50%")
    monkeypatch.setenv("SIGNED", "sv=1&sig=a%2Fb")
    assert expand("${PLACE}/r.csv") == "a folder/50%/r.csv"
    assert expand("https://host/${PLACE}/r.csv?${SIGNED}") == "https://host/a folder/50%/r.csv?sv=1&sig=a%2Fb"
    assert expand("${PLACE}") == "a folder/50%"


def test_an_unset_variable_is_named_and_no_secret_is_shown(monkeypatch):
    monkeypatch.delenv("DB_USER", raising=False)
    monkeypatch.setenv("DB_PASSWORD", "s3cret")
    with pytest.raises(SourceError, match=r"^postgresql://\$\{DB_USER\}:\*\*\*@host/plant: .* DB_USER is not set$"):
        expand("postgresql://${DB_USER}:${DB_PASSWORD}@host/plant")


PLACES = {
    "a web address": "https://me:<>@plant.example/r.csv",
    "a web address with a port": "http://me:<>@plant.example:5000",
    "an SQLAlchemy URL": "postgresql+psycopg://me:<>@plant.example:5432/db?table=t",
    "a tracking URI": "mysql://me:<>@plant.example/mlflow",
}
PRINTABLE = st.text(string.ascii_letters + string.digits + string.punctuation + " ", min_size=4, max_size=30)


def parts_of(secret):
    """The parts of four characters, also as Python's errors quote them, with doubled backslashes."""
    return {form[at : at + 4] for form in (secret, repr(secret)[1:-1]) for at in range(len(form) - 3)}


def quoted_by_libraries(uri):
    """Texts in which libraries quote a URI, as a whole or cut at one of its delimiters."""
    yield f"cannot parse {uri!r}: {uri}"
    yield f"cannot parse {unquote(uri)}, {quote(uri)}, {quote(uri, safe='')}"
    for delimiter in "@:/?#% ":
        yield " | ".join(uri.split(delimiter))
        yield f"could not translate host name {uri.rpartition(delimiter)[2]!r} or {uri.partition(delimiter)[2]!r}"


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@settings(deadline=None, max_examples=50)
@given(PRINTABLE)
@example("p@ssw0rd")
@example("pass/w0rd")
@example("8080/w0rd")
@example("12?34#5678")
@example("100%25 of@it")
@example(r"00*\00")
@example(r"a\b\c\d")
def test_no_part_of_a_password_is_shown(place, password):
    uri = place.replace("<>", password)
    around = " ".join([redact(place.replace("<>", "x")), *quoted_by_libraries(place.replace("<>", "\n"))])
    assume(not any(part in around for part in parts_of(password)))
    shown = [redact(uri), *(redact_text(text, uri) for text in quoted_by_libraries(uri))]
    # Without the asterisks in place of a secret, which could complete a part of a password with an asterisk.
    assert not [text for text in shown if any(part in text.replace("***", "\n") for part in parts_of(password))]


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@settings(deadline=None, max_examples=50)
@given(PRINTABLE)
@example("pass&w0rd=x@y")
def test_no_part_of_a_password_from_the_environment_is_shown(place, password):
    uri = place.replace("<>", "${PLANT_SECRET}")
    around = " ".join([uri, *quoted_by_libraries(uri)])
    assume(not any(part in around for part in parts_of(password)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANT_SECRET", password)
        for text in (*quoted_by_libraries(expand(uri)), password, repr(password), password[3:]):
            shown = redact_text(text, uri).replace("***", "\n")
            assert not any(part in shown for part in parts_of(password))


def test_the_value_of_a_variable_in_a_bucket_or_a_path_is_not_shown(monkeypatch):
    monkeypatch.setenv("BUCKET", "plant secrets")
    text = "no bucket plant secrets at https://s3/plant%20secrets/a.csv"
    assert redact_text(text, "s3://${BUCKET}/a.csv") == "no bucket ${BUCKET} at https://s3/${BUCKET}/a.csv"


def test_a_text_without_secrets_is_not_changed():
    text = "postgresql://plant:5432/db: relation 'readings' does not exist, see https://plant/help"
    assert redact_text(text, "postgresql://plant:5432/db?table=readings") == text


@pytest.mark.parametrize("options", ["token=s3cret%26more", "s3cret-more", "a=1#s3cret-more"])
def test_the_options_of_a_web_address_are_not_shown(options):
    text = redact_text(f"404 for /r.csv?{options} and for s3cret-more", f"https://plant/r.csv?{options}")
    assert "s3cret" not in text


def test_credentials_of_another_uri_in_a_text_are_not_shown():
    assert redact_text("moved to https://me:p@ss@plant/x", "https://a/b") == "moved to https://***@plant/x"


def test_a_password_that_libraries_read_in_different_ways_is_recognised():
    assert has_ambiguous_password("http://me:pass/w0rd@plant:5000")
    assert not has_ambiguous_password("http://me:p@ssw0rd@plant:5000")
    assert urlsplit("http://me:p@ssw0rd@plant:5000").hostname == "plant"


@pytest.mark.parametrize("scheme", ["abfs", "abfss"])
def test_an_azure_container_is_shown_and_a_password_in_its_place_is_not(scheme):
    uri = f"{scheme}://plant@account.dfs.core.windows.net/a.csv"
    assert redact(uri) == redact_text(uri) == uri
    assert written_out_secret(uri) == ""
    with_password = f"{scheme}://plant:s3cret@account.dfs.core.windows.net/a.csv"
    assert "s3cret" not in redact(with_password)
    assert "s3cret" not in redact_text(with_password)
