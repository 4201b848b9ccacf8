"""``mmbench demos import | download | export``, as a user types it."""

import hashlib
import http.server
import io
import json
import threading
import urllib.parse

import minari
import pytest
from demo_tapes import TASK as COLLECTED
from published_files import TASK, rows, save

from mmbench import demos
from mmbench.catalog import get
from mmbench.cli import main
from mmbench.commands.demo_files import DATASET
from mmbench.demos import places
from mmbench.demos.collect import Plan, collect
from mmbench.demos.dataset import DatasetError, about, dataset_folder

FOLDER = "mujoco-reacher/expert-v0"


def run(*words):
    main(["demos", *map(str, words)])


def refused(capsys, *words):
    """Runs a command that fails, and returns what it says and its exit code."""
    with pytest.raises(SystemExit) as ended:
        run(*words)
    return capsys.readouterr().err, ended.value.code


def test_a_file_becomes_a_dataset_that_load_finds(tmp_path, capsys):
    run("import", save(tmp_path, TASK), "--root", tmp_path / "root")
    said = capsys.readouterr().out
    assert "mujoco-reacher: 2 episodes imported, without seeds: they cannot be simulated" in said
    dataset = demos.load(TASK, tmp_path / "root", workers=0)
    assert isinstance(dataset, minari.MinariDataset) and dataset.total_episodes == 2

    run("list", "--root", tmp_path / "root", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["task"], row["episodes"], row["replayed"]) == (TASK.name, 2, True)
    assert "published" in row["expert"] and row["score"] is not None
    run("verify", "--root", tmp_path / "root")
    assert "not played again: there is no tape of it" in capsys.readouterr().out
    run("replay", "--root", tmp_path / "root", "--tasks", TASK.name)
    assert "0 datasets made, 1 were there already" in capsys.readouterr().out


def test_what_is_imported_goes_before_what_the_package_ships(tmp_path, monkeypatch):
    collected = tmp_path / "collected"
    list(collect({COLLECTED: "demo_experts:Balance"}, Plan(collected, 2), 0))
    monkeypatch.setattr(places, "SHIPPED", collected / "tapes")
    monkeypatch.setenv("MMBENCH_CACHE", str(tmp_path / "cache"))
    assert "tape" in about(demos.load(COLLECTED, workers=0))
    run("import", save(tmp_path, COLLECTED))
    assert about(demos.load(COLLECTED, workers=0))["imported"] == f"{COLLECTED.name}.pt"
    data = dataset_folder(COLLECTED, None) / "data" / "main_data.hdf5"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(DatasetError, match="damaged"):  # and not replaced
        demos.load(COLLECTED, workers=0)


def test_a_folder_is_imported_as_far_as_it_is_good(tmp_path, capsys):
    files = tmp_path / "files"
    files.mkdir()
    save(files, TASK)
    save(files, get("ms-push-cube"))
    (files / "walker-walk.pt").write_bytes(b"nothing")
    (files / "readme.pt").write_bytes(b"nothing")
    error, code = refused(capsys, "import", files, "--root", tmp_path / "root")
    assert code == 1 and "2 of 4 files were refused" in error
    assert "readme.pt is not named after a task" in error
    assert "walker-walk.pt holds no published demonstrations of walker-walk: it is trunc" in error
    for task in (TASK, get("ms-push-cube")):
        assert demos.load(task, tmp_path / "root", workers=0).total_episodes == 2


@pytest.mark.parametrize("word,reason", [("none.pt", "not named after"), (".", "holds no file")])
def test_an_import_of_nothing_is_one_sentence(word, reason, tmp_path, capsys):
    error, code = refused(capsys, "import", tmp_path / word, "--root", tmp_path / "root")
    assert code == 2 and reason in error and error.count("\n") == 1


def test_atari_says_that_its_thresholds_have_changed(tmp_path, capsys):
    task = get("atari-pong")
    run("import", save(tmp_path, task, episodes=1), "--root", tmp_path / "root")
    assert "joystick thresholds of older ALE versions" in capsys.readouterr().out


def content_of(task, seed=0):
    import tensordict
    import torch

    content = io.BytesIO()
    tensors = rows(task, seed=seed)
    torch.save(tensordict.TensorDict(tensors, batch_size=[len(tensors["obs"])]), content)
    return content.getvalue()


class Hub(http.server.ThreadingHTTPServer):
    """Answers as the hub does for one dataset; can break a connection in mid-file."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files = files
        self.breaks = []  # bytes after which each of the next files breaks
        self.asked = []  # names, with the first byte
        self.wrong = False  # whether it states other checksums than its files have


class HubHandler(http.server.BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        hub, path = self.server, urllib.parse.unquote(self.path)
        if path == f"/api/datasets/{DATASET}?blobs=true":
            sums = {name: hashlib.sha256(data).hexdigest() for name, data in hub.files.items()}
            entries = [
                {
                    "rfilename": name,
                    "size": len(data),
                    "lfs": {"sha256": "0" * 64 if hub.wrong else sums[name], "size": len(data)},
                }
                for name, data in hub.files.items()
            ]
            return self.answer(200, json.dumps({"sha": "abc", "siblings": entries}).encode())
        name = path.removeprefix(f"/datasets/{DATASET}/resolve/abc/")
        if name not in hub.files:
            return self.answer(404, b"")
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        hub.asked.append((name, start))
        self.answer(206 if start else 200, hub.files[name], start)

    def answer(self, status, data, start=0):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", '"one"')
        self.end_headers()
        stop = (
            self.server.breaks.pop(0) if self.server.breaks and start < len(data) > 10**4 else None
        )
        self.wfile.write(data[start:][:stop])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    other = get("ms-push-cube")
    files = {
        "README.md": b"",
        "old/mujoco-reacher.pt": b"of another folder",
        "mujoco-reacher.pt": content_of(TASK),
        "more files/ms-push-cube.pt": content_of(other),
    }
    with Hub(files) as hub:
        thread = threading.Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server_port}/")
        yield hub
        hub.shutdown()
        thread.join()


def test_a_download_fetches_and_imports_what_is_there(hub, tmp_path, capsys):
    chosen = ("--tasks", "mujoco-reacher,ms-push-cube,walker-walk", "--root", tmp_path)
    run("download", *chosen)
    said = capsys.readouterr()
    size = (
        len(hub.files["mujoco-reacher.pt"]) + len(hub.files["more files/ms-push-cube.pt"])
    ) / 1e6
    assert f"2 files to fetch from {DATASET}, {size:.1f} MB" in said.out
    assert "mujoco-reacher: 2 episodes imported" in said.out
    assert f"{DATASET} has none of walker-walk" in said.err
    assert demos.load(TASK, tmp_path, workers=0).total_episodes == 2
    assert not list((tmp_path / "published").glob("*.pt*"))  # imported, so no longer needed

    hub.asked.clear()
    run("download", "--tasks", TASK.name, "--root", tmp_path)
    assert "1 of 1 tasks were imported before" in capsys.readouterr().out and not hub.asked


def test_a_download_goes_on_where_it_stopped(hub, tmp_path, capsys, monkeypatch):
    from mmbench.assets import fetch

    monkeypatch.setattr(fetch, "RETRY_DELAYS", ())
    hub.breaks = [20_000, 0]
    chosen = ("download", "--tasks", TASK.name, "--root", tmp_path)
    error, code = refused(capsys, *chosen)
    assert code == 2 and "what has arrived is kept" in error
    assert (tmp_path / "published/mujoco-reacher.pt.part").stat().st_size == 20_000
    run(*chosen)
    assert hub.asked == [("mujoco-reacher.pt", start) for start in (0, 20_000, 20_000)]
    assert demos.load(TASK, tmp_path, workers=0).total_episodes == 2


def test_a_file_that_is_not_what_the_hub_states_is_not_imported(hub, tmp_path, capsys):
    hub.wrong = True
    error, code = refused(capsys, "download", "--tasks", TASK.name, "--root", tmp_path)
    assert code == 2 and "is damaged: its SHA-256 is" in error
    assert not list((tmp_path / "published").glob("*.pt*"))
    with pytest.raises(demos.NoDemonstrationsError):
        demos.load(TASK, tmp_path, workers=0)


@pytest.mark.parametrize(
    "words,reason",
    [
        (("--repo", "some/where"), "has no public dataset 'some/where': --repo names another"),
        (("--repo", "../etc"), "expected OWNER/NAME"),
        (("--tasks", "walker-walk"), f"{DATASET} has none of walker-walk"),
    ],
)
def test_what_cannot_be_fetched_is_said(words, reason, hub, tmp_path, capsys):
    error, _ = refused(capsys, "download", "--tasks", TASK.name, "--root", tmp_path, *words)
    assert reason in error


def test_without_a_network_the_download_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error, code = refused(capsys, "download", "--tasks", TASK.name, "--root", tmp_path)
    assert code == 2 and "cannot reach" in error and "Check the network" in error


def test_an_export_is_a_folder_for_each_task(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    root, out = tmp_path / "root", tmp_path / "lerobot"
    run("import", save(tmp_path, TASK), "--root", root)
    chosen = ("export", "--format", "lerobot", "--tasks", TASK.name, "--root", root, "--out", out)
    run(*chosen)
    about = json.loads((out / TASK.name / "meta/info.json").read_text())
    assert (about["total_episodes"], about["total_frames"], about["fps"]) == (2, 100, 50)
    assert "2 episodes, 100 steps at 50 a second" in capsys.readouterr().out
    error, code = refused(capsys, *chosen)
    assert code == 2 and "exists already" in error
    error, code = refused(capsys, *chosen[:-1], tmp_path / "other", "--video")
    assert code == 2 and "imported without seeds" in error
    error, code = refused(capsys, *chosen[:-1], tmp_path / "other", "--fps", "-1")
    assert code == 2 and "--fps -1: above 0" in error
