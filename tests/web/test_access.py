import pytest

from polyreel.web.access import (
    MOST_SESSIONS,
    SESSION_SECONDS,
    Pace,
    Sessions,
    access_for,
    comes_from_own_page,
    host_name,
    is_loopback,
    is_same,
)

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_on_this_machine_no_token_is_needed(host):
    assert is_loopback(host)
    assert access_for(host, None).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_anywhere_else_a_token_is_needed_and_the_message_says_how(host):
    with pytest.raises(ValueError, match=r"can be reached from other machines, so a token is needed.*--token-file"):
        access_for(host, None)
    assert access_for(host, TOKEN).token == TOKEN


def test_a_short_token_is_refused():
    with pytest.raises(ValueError, match="the token has 5 characters; expected 16 or more"):
        access_for("0.0.0.0", "12345")


@pytest.mark.parametrize(
    ("header", "name"),
    [("localhost:8080", "localhost"), ("LocalHost", "localhost"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")],
)
def test_a_host_header_is_a_name_and_perhaps_a_port(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("origin", "is_own"),
    [
        (None, True),
        ("http://localhost:8080", True),
        ("http://evil.example", False),
        ("http://localhost:9090", False),
        ("null", False),
        ("http://localhost:8080.evil.example", False),
    ],
)
def test_a_write_comes_from_the_own_page(origin, is_own):
    assert comes_from_own_page(origin, "localhost:8080") is is_own


def test_secrets_are_compared_whole():
    assert is_same(TOKEN, TOKEN)
    for wrong in ("", TOKEN[:-1], TOKEN + "0", "\udcff"):
        assert not is_same(wrong, TOKEN)


def test_a_session_ends_and_the_oldest_gives_way():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first = sessions.open()
    assert sessions.holds(first)
    assert not sessions.holds("made up")
    now[0] = SESSION_SECONDS
    assert not sessions.holds(first)
    kept = [sessions.open() for _ in range(MOST_SESSIONS + 1)]
    assert not sessions.holds(kept[0])
    assert sessions.holds(kept[1])


def test_pace_counts_each_client_over_the_last_minute():
    now = [0.0]
    pace = Pace(2, lambda: now[0])
    assert [pace.allows("a"), pace.allows("a"), pace.allows("a"), pace.allows("b")] == [True, True, False, True]
    now[0] = 60.0
    assert pace.allows("a")
