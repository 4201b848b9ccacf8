"""Downloads that break, and go on where they stopped."""

from pathlib import Path

import pytest
from file_server import Server

from mmbench.assets import fetch as fetching
from mmbench.runs import RunError

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(fetching, "RETRY_DELAYS", (0.0, 0.0))


def received(server: Server, folder: Path) -> bytes:
    fetching.fetch(server.url, folder / "file", lambda done, total: None, "move")
    return (folder / "file").read_bytes()


def test_a_file_arrives_and_its_progress_is_told(serve, tmp_path):
    server, told = serve(CONTENT), []
    fetching.fetch(server.url, tmp_path / "file", lambda *progress: told.append(progress), "move")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), len(CONTENT))


def test_a_connection_that_breaks_is_gone_on_with(serve, tmp_path):
    server = serve(CONTENT)
    server.break_after = [300_000, 1, 0, 500_000]
    assert received(server, tmp_path) == CONTENT
    assert server.asked == [None, *(f"bytes={n}-" for n in (300_000, 300_001, 300_001, 800_001))]


def test_another_run_goes_on_where_one_gave_up(serve, tmp_path):
    server = serve(CONTENT)
    server.break_after = [300_000, 0, 0, 0]
    with pytest.raises(RunError, match="300000 of 1048576.*kept|ended after.*kept"):
        received(server, tmp_path)
    assert (tmp_path / "file").stat().st_size == 300_000
    assert received(server, tmp_path) == CONTENT
    assert server.asked[-1] == "bytes=300000-"


def test_a_download_that_was_complete_is_not_repeated(serve, tmp_path):
    server = serve(CONTENT)
    received(server, tmp_path)
    assert received(server, tmp_path) == CONTENT
    assert server.asked == [None, f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize("change", ["content", "no ranges", "no tag", "weak tag", "other address"])
def test_no_file_is_put_together_from_two(serve, tmp_path, change):
    server = serve(CONTENT)
    if change in ("no tag", "weak tag"):
        server.tag = None if change == "no tag" else 'W/"one"'
    server.break_after = [300_000, 0, 0, 0]
    with pytest.raises(RunError):
        received(server, tmp_path)
    if change == "content":
        server.content, server.tag = CONTENT[::-1], '"two"'
    elif change == "no ranges":
        server.ranges = False
    elif change == "other address":
        server = serve(CONTENT[::-1])
    assert received(server, tmp_path) == server.content
    if change in ("no tag", "weak tag", "other address"):
        assert server.asked[-1] is None  # nothing vouches for the beginning


@pytest.mark.parametrize("note", [b"[]", b"{", b"\xff", b'{"url": 5, "etag": 5}'])
def test_a_damaged_note_vouches_for_nothing(serve, tmp_path, note):
    server = serve(CONTENT)
    (tmp_path / "file").write_bytes(b"from elsewhere")
    (tmp_path / "file.json").write_bytes(note)
    assert received(server, tmp_path) == CONTENT
    assert server.asked == [None]


def test_a_connection_that_always_breaks_ends(serve, tmp_path):
    server = serve(CONTENT)
    server.tag = None  # each attempt from the beginning
    server.break_after = [100_000, 50_000, 70_000, 60_000, 90_000, 10_000]
    with pytest.raises(RunError, match="ended after"):
        received(server, tmp_path)


def test_a_file_of_unknown_length(serve, tmp_path):
    server, told = serve(CONTENT), []
    server.chunked = True
    server.break_after = [200_000]
    fetching.fetch(server.url, tmp_path / "file", lambda *progress: told.append(progress), "move")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.asked == [None, None] and told[-1] == (len(CONTENT), None)


def test_errors_of_the_server_and_the_network(serve, tmp_path):
    server = serve(CONTENT)
    server.status = 404
    with pytest.raises(RunError, match="404 Not Found"):
        received(server, tmp_path)
    assert len(server.asked) == 1  # no use in asking again
    server.status = 503
    with pytest.raises(RunError, match="503"):
        received(server, tmp_path)
    assert len(server.asked) == 4
    with pytest.raises(RunError, match="Check the network"):
        fetching.fetch("http://127.0.0.1:1/x", tmp_path / "file", lambda done, total: None, "move")
