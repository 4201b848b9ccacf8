"""What `mmbench report` reads and writes: whose files go, which names are safe, what it says."""

import errno
import os
import re
import sys
import warnings

import pytest
from reported import compared, write_file, write_run

from mmbench.cli import main
from mmbench.evaluation import aggregate
from mmbench.evaluation.report import folder, tables, write_report
from mmbench.runs import RunError


def report(*sources, out):
    write_report(compared(*map(str, sources)), out)


def files_in(place):
    paths = [path for path in place.rglob("*") if path.is_file()]
    return {path.relative_to(place).as_posix() for path in paths} - {".report"}


def complaint(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(["report", *map(str, words)])
    assert end.value.code == 2
    return capsys.readouterr().err


class TestFolder:
    def test_a_report_removes_an_older_one_and_nothing_else(self, tmp_path):
        a, b = (write_file(tmp_path / f"{name}.json", name) for name in "ab")
        out = tmp_path / "R"
        report(a, b, out=out)
        (out / "notes.txt").write_text("mine")
        (out / "results" / "mine-0.json").write_text("mine")
        report(write_file(tmp_path / "c.json", "c", curve=[]), out=out)
        assert files_in(out) == {
            *("report.html", "report.md", "aggregate.png", "results/c-0.json"),
            *(f"{name}.csv" for name in ("total", "domains", "tasks", "runs")),
            *("notes.txt", "results/mine-0.json"),
        }

    def test_nothing_is_written_where_a_name_is_taken(self, tmp_path, capsys):
        (tmp_path / "R" / "total.csv").mkdir(parents=True)
        said = complaint(capsys, write_file(tmp_path / "a.json"), "--out", tmp_path / "R")
        assert f"{tmp_path / 'R' / 'total.csv'} is not a file" in said and "another --out" in said
        assert files_in(tmp_path / "R") == set()

    def test_a_full_disk_leaves_the_older_report(self, tmp_path, capsys, monkeypatch):
        a, b = (write_file(tmp_path / f"{name}.json", name) for name in "ab")
        out = tmp_path / "R"
        report(a, out=out)
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        write = folder.write_atomically

        def fails_late(path, content):
            if path.name == "b-0.json":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(path, content)

        monkeypatch.setattr(folder, "write_atomically", fails_late)
        assert f"the disk is full ({out})" in complaint(capsys, b, "--out", out)
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    def test_a_report_is_not_written_over_what_it_was_read_from(self, tmp_path):
        runs = [write_file(tmp_path / f"{name}.json", name) for name in "ab"]
        report(*runs, out=tmp_path / "R")
        one = tmp_path / "R" / "results" / "a-0.json"
        with pytest.raises(RunError, match=r"a-0\.json belongs to the report in .* another --out"):
            report(one, out=tmp_path / "R")
        assert (tmp_path / "R" / "results" / "b-0.json").exists()

    def test_no_two_results_have_one_name(self, tmp_path):
        names = ["a", "A", "行" * 64, "行" * 63 + "走"]
        runs = [write_file(tmp_path / f"{at}.json", name) for at, name in enumerate(names)]
        report(*runs, out=tmp_path / "R")
        written = [path.name for path in (tmp_path / "R" / "results").iterdir()]
        assert len({name.lower() for name in written}) == len(names)
        again = compared(*(str(tmp_path / "R" / "results" / name) for name in written))
        assert {entry.method for entry in again.entries} == set(names)


class TestNames:
    def test_any_name_can_be_shown(self, tmp_path):
        names = [r"a$\frac$b", "$x_{$", "_hidden", "行走", "W" * 64, "<b>&|`*\\|"]
        runs = [write_file(tmp_path / f"{at}.json", name) for at, name in enumerate(names)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report(*runs, out=tmp_path / "R")

    def test_no_method_is_missing_from_a_legend(self, tmp_path):
        from mmbench.evaluation.report import plots

        names = ["_hidden", "a$b$"]
        runs = [write_file(tmp_path / f"{name}.json", name) for name in names]
        (axes,) = plots._curves(compared(*runs), "steps", 0).axes
        assert {text.get_text() for text in axes.get_legend().get_texts()} == set(names)

    def test_names_are_text_in_markdown(self, tmp_path):
        names = ["<script>", "a|b\\|c", "*x*"]
        runs = [write_file(tmp_path / f"{at}.json", name) for at, name in enumerate(names)]
        report(*runs, out=tmp_path / "R")
        text = (tmp_path / "R" / "report.md").read_text()
        assert "<script>" not in text and "*x*" not in text
        assert "Fewer than 3 runs, so no interval: &lt;script&gt; 1" in text  # a note
        (table,) = re.findall(r"## Total\n\n.*\n\n((?:\|.*\n)+)", text)
        cells = [re.split(r"(?<!\\)(?:\\\\)*\|", line) for line in table.splitlines()]
        assert {len(row) for row in cells} == {len(cells[0])}


class TestPaths:
    @pytest.mark.parametrize("words", [["~nosuchuser/x"], ["x=~nosuchuser/x"]])
    def test_homes_of_nobody(self, capsys, words):
        assert "a run ~nosuchuser/x: no user of this name" in complaint(capsys, *words)

    @pytest.mark.parametrize("out, told", [("~nosuchuser/x", "no user"), ("", "--out is empty")])
    def test_out_is_checked_first(self, tmp_path, capsys, monkeypatch, out, told):
        monkeypatch.chdir(tmp_path)
        assert told in complaint(capsys, write_file(tmp_path / "a.json"), "--out", out)
        assert files_in(tmp_path) == {"a.json"}

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
    def test_names_of_files_need_not_be_text(self, tmp_path, capsysbinary):
        place = tmp_path / os.fsdecode(b"\xff")
        place.mkdir()
        main(["report", write_file(place / "a.json"), "--out", str(place / "R")])
        assert rb"\udcff/R/report.html" in capsysbinary.readouterr().out
        assert r"\udcff/a.json" in (place / "R" / "runs.csv").read_text(encoding="utf-8")

    def test_folders_of_runs_and_of_files(self, tmp_path, capsys):
        for seed in range(2):
            (tmp_path / "runs").mkdir(exist_ok=True)
            write_run(tmp_path / "runs" / f"x{seed}", seed)
        report(write_file(tmp_path / "a.json"), out=tmp_path / "R")
        results, runs = tmp_path / "R" / "results", tmp_path / "runs"
        main(["report", "--check", str(results), str(runs), f"new={runs}", f"their={results}"])
        said = capsys.readouterr().out
        found = re.findall(r": (\w+), seed (\d)", said)
        assert found == [
            *(("ours", "0"), ("ppo", "0"), ("ppo", "1")),
            *(("new", "0"), ("new", "1"), ("their", "0")),
        ]


def test_what_takes_long_is_told_and_done_once(tmp_path, capsys, monkeypatch):
    runs = [write_file(tmp_path / f"{m}{s}.json", m, s) for m in "ab" for s in range(3)]
    counted = []
    improvement = aggregate.probability_of_improvement

    def count(*scores):
        counted.append(scores[0].ndim)
        return improvement(*scores)

    from mmbench.evaluation.report import comparison

    monkeypatch.setattr(comparison, "probability_of_improvement", count)
    main(["report", *runs, "--out", str(tmp_path / "R")])
    assert counted.count(2) == 2  # of each method over the other
    assert capsys.readouterr().err == "comparing 6 runs of 2 methods ...\n"
    assert tables(compared(*runs))[0].name == "total"
