"""A secret in a source is never shown and never kept; from the environment it arrives as it is there."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import make_url

from predictive_maintenance.config.uris import expand, redact, written_out_secret
from predictive_maintenance.errors import SourceError


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:s3cret@host:5432/plant?table=t", "postgresql://me:***@host:5432/plant?table=t"),
        ("postgresql://me:s3:cr:et@host/plant?table=t", "postgresql://me:***@host/plant?table=t"),
        ("postgresql://me:s3/cr?e#t@host/plant?table=t", "postgresql://me:***@host/plant?table=t"),
        ("postgresql://me:s3@cr/et@host/plant?table=t", "postgresql://me:***@host/plant?table=t"),
        ("postgresql:/me:s3cret@host/plant?table=t", "postgresql:/me:***@host/plant?table=t"),
        ("postgresql://me@host/plant?table=t", "postgresql://me@host/plant?table=t"),
        ("postgresql://host:5432/plant?table=a@b", "postgresql://host:5432/plant?table=a%40b"),
        ("postgresql://host/plant?table=t&password=s3cret", "postgresql://host/plant?table=t&password=***"),
        ("https://s3cret@host/r.csv", "https://***@host/r.csv"),
        ("https://me:${TOKEN}@host/@me/r.csv", "https://***:***@host/@me/r.csv"),
        ("https://host:8080/@me/r.csv", "https://host:8080/@me/r.csv"),
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
def test_passwords_and_the_values_of_a_query_are_not_shown(uri, shown):
    assert redact(uri) == shown


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("postgresql://me:s3cret@host/plant?table=t", "a password"),
        ("postgresql://me:s3/cr?e#t@host/plant?table=t", "a password"),
        ("postgresql://me:12/34@host/plant?table=t", "a password"),
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
def test_a_secret_that_is_written_out_is_found(uri, secret):
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
        "plant@home/readings.csv",
    ],
)
def test_what_comes_from_the_environment_or_is_no_secret_may_be_written(uri):
    assert written_out_secret(uri) == ""


ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="${}"), min_size=1)
POSITIONS = {
    "a database's password": "postgresql://me:<>@host/plant?table=t",
    "a password behind a port": "postgresql://me:<>@host:5432/plant?query=SELECT 1",
    "a web password": "https://me:<>@host/r.csv",
}


@pytest.mark.parametrize("template", POSITIONS.values(), ids=POSITIONS)
@given(ANY_TEXT)
@example("a/b?c#d@e")
@example("1?/=@")
def test_no_password_survives_however_it_is_spelt(template, text):
    secret = f"s3cret{text}t3rces"
    uri = template.replace("<>", secret)
    assert written_out_secret(uri) == "a password"
    assert "s3cret" not in redact(uri)
    assert "t3rces" not in redact(uri)


@given(st.text("0123456789/?#@=:[]", min_size=1))
def test_no_password_of_digits_and_marks_survives_in_a_database_s_address(text):
    uri = f"postgresql://me:{text}/s3cret@host/plant?table=t"
    assert written_out_secret(uri) == "a password"
    assert redact(uri).endswith(":***@host/plant?table=t")


@given(st.sampled_from(["password", "api_key", "X-Amz-Signature", "authToken", "sig"]), ANY_TEXT)
def test_no_value_of_an_option_survives(name, text):
    from urllib.parse import quote

    for base in ("https://host/r.csv?a=1", "postgresql://host/plant?table=t"):
        uri = f"{base}&{name}={quote(f's3cret{text}', safe='')}"
        assert written_out_secret(uri) == f"the value of {name!r}"
        assert "s3cret" not in redact(uri)


@given(ANY_TEXT)
def test_a_piece_of_text_is_a_path_and_stays_as_it_is(text):
    name = text.replace("/", "").replace(":", "")
    assert redact(f"data/{name}.csv") == f"data/{name}.csv"


@pytest.mark.parametrize("password", ["s3cret", "p/a?s#s@w:o r%d", "100%25"])
def test_a_password_from_the_environment_arrives_as_it_is_there(monkeypatch, password):
    monkeypatch.setenv("DB_PASSWORD", password)
    url = make_url(expand("postgresql://me:${DB_PASSWORD}@host/plant?sslpassword=${DB_PASSWORD}"))
    assert (url.password, url.host, url.query["sslpassword"]) == (password, "host", password)


def test_a_path_and_a_whole_source_from_the_environment_are_put_in_as_they_are(monkeypatch):
    monkeypatch.setenv("PLACE", "a folder/50%")
    monkeypatch.setenv("SIGNED", "sv=1&sig=a%2Fb")
    assert expand("${PLACE}/r.csv") == "a folder/50%/r.csv"
    assert expand("https://host/${PLACE}/r.csv?${SIGNED}") == "https://host/a folder/50%/r.csv?sv=1&sig=a%2Fb"
    assert expand("${PLACE}") == "a folder/50%"


def test_a_name_that_is_not_set_is_told_without_a_secret(monkeypatch):
    monkeypatch.delenv("DB_USER", raising=False)
    monkeypatch.setenv("DB_PASSWORD", "s3cret")
    with pytest.raises(SourceError, match=r"^postgresql://\$\{DB_USER\}:\*\*\*@host/plant: .* DB_USER is not set$"):
        expand("postgresql://${DB_USER}:${DB_PASSWORD}@host/plant")
