"""Files and folders of runs that are either complete or not there."""

import itertools

import kill_points
import pytest
from kill_points import fill_with

from mmbench.runs import files, publish_folder, read_json, verify_folder, write_json


def test_numbers_that_json_lacks_are_null(tmp_path):
    values = [float("nan"), float("inf"), -float("inf"), 1.5, 2, True, "nan", None]
    write_json(tmp_path / "a.json", {"values": values})
    null = [None, None, None, 1.5, 2, True, "nan", None]
    assert read_json(tmp_path / "a.json") == {"values": null}


@pytest.mark.parametrize("swaps", [True, False])
def test_a_kill_at_any_moment_of_a_replacement_loses_neither_folder(tmp_path, monkeypatch, swaps):
    target, seen, whole = tmp_path / "set", [], False
    if not swaps:
        monkeypatch.setattr(files, "_swap", lambda *_: False)
    for point in itertools.count(1):
        publish_folder(target, fill_with("old"))
        whole = not kill_points.killed(lambda: publish_folder(target, fill_with("new")), point)
        if not swaps:  # for a moment it has no name
            files.remove_leftovers(target)
        verify_folder(target)
        seen.append((target / "weights").read_text())
        files.remove_leftovers(target)
        assert [path.name for path in tmp_path.iterdir()] == ["set"]
        if whole:
            break
    assert len(seen) > 8 and seen == sorted(seen, reverse=True) and set(seen) == {"old", "new"}


def test_published_folders_replace_what_was_there(tmp_path):
    for text in ("one", "two"):
        publish_folder(tmp_path / "set", fill_with(text))
        verify_folder(tmp_path / "set")
        assert (tmp_path / "set" / "weights").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
