"""metrics.csv: never lengthened, never silently short."""

import errno
import os
import resource
import signal

import pytest

from mmbench.runs import METRIC_FIELDS, MetricsFile, RunError

HEADER = ",".join(METRIC_FIELDS) + "\n"


def rows(*steps: int) -> list[dict]:
    return [
        {
            "step": step,
            "phase": "train",
            "task": "walker-walk",
            "score": 0.5,
            "success": float("nan"),
            "return": 500.0,
            "length": 500,
            "seconds": step / 100,
        }
        for step in steps
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.csv"


@pytest.fixture
def metrics(path):
    file = MetricsFile(path)
    file.begin()
    file.append(rows(500, 1000, 1500))
    return file


def steps(metrics: MetricsFile) -> list[int]:
    return [int(row["step"]) for row in metrics.rows()]


def test_rows_come_back_as_they_were(metrics):
    assert metrics.rows()[0] == {name: str(value) for name, value in rows(500)[0].items()}
    assert steps(metrics) == [500, 1000, 1500]


def test_rows_after_the_checkpoint_go(metrics, path):
    size, content = metrics.size, path.read_bytes()
    metrics.append(rows(2000, 2500))
    assert metrics.restore(size, 1500) == ""
    assert path.read_bytes() == content


def cut(content):
    return content[:-10]


def cut_at_a_row(content):
    return b"".join(content.splitlines(keepends=True)[:-1])


def zeroed_end(content):
    return content[:-10] + bytes(10)


def zeroed_middle(content):
    middle = len(HEADER) + 10
    return content[:middle] + bytes(10) + content[middle + 10 :]


def not_utf8(content):
    return content.replace(b"walker", b"wal\xffer", 1)


def without_header(content):
    return content[len(HEADER) :]


def empty(content):
    return b""


@pytest.mark.parametrize(
    ("damage", "left", "words"),
    [
        (cut, [500, 1000], "shorter than it was: 2 whole rows are left, the last of step 1,000"),
        (cut_at_a_row, [500, 1000], "shorter than it was: 2 whole rows are left"),
        (zeroed_end, [500, 1000], "damaged: 2 whole rows are left"),
        (zeroed_middle, [1000, 1500], "damaged: 2 whole rows are left"),
        (not_utf8, [1000, 1500], "damaged: 2 whole rows are left"),
        (without_header, [500, 1000, 1500], ""),
        (empty, [], "gone: 0 whole rows are left, the last of step 0"),
        (None, [], "gone: 0 whole rows are left"),
    ],
)
def test_what_is_lost_is_said_and_the_rest_stays(metrics, path, damage, left, words):
    size = metrics.size
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    said = metrics.restore(size, 1500)
    assert said == "" if not words else words in said and "checkpoint is of step 1,500" in said
    assert steps(metrics) == left
    assert path.read_text().startswith(HEADER)
    assert path.stat().st_size <= size
    assert b"\0" not in path.read_bytes()
    metrics.append(rows(2000))
    assert steps(metrics) == [*left, 2000]


def test_other_things_of_that_name_are_one_sentence(metrics, path):
    path.unlink()
    path.mkdir()
    with pytest.raises(RunError, match=r"metrics\.csv cannot be read: Is a directory"):
        metrics.restore(100, 1500)


def test_full_disk_splits_no_row(metrics, path):
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
    try:
        with pytest.raises(OSError, match="No space") as error:
            metrics.append(rows(2000, 2500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert error.value.errno == errno.ENOSPC
    assert path.stat().st_size == size
    metrics.append(rows(3000))
    assert steps(metrics) == [500, 1000, 1500, 3000]


def test_file_that_vanishes_begins_anew(metrics, path):
    os.unlink(path)
    with pytest.warns(RuntimeWarning, match=r"metrics\.csv is gone; a new one begins"):
        metrics.append(rows(2000))
    assert steps(metrics) == [2000]
    assert path.read_text().startswith(HEADER)


def test_reading_makes_no_file(path):
    assert MetricsFile(path).rows() == []
    assert not path.exists()
