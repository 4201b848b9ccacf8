"""``mmbench assets`` and what is behind it, against a server that the test starts."""

import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from file_server import Server

from mmbench import assets, catalog
from mmbench.assets import fetch as fetching
from mmbench.assets import known
from mmbench.cli import main
from mmbench.commands import assets as command
from mmbench.domains import maniskill_package
from mmbench.runs import RunError

installing = sys.modules["mmbench.assets.install"]  # the package's name means the function

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(fetching, "RETRY_DELAYS", (0.0, 0.0))


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MS_ASSET_DIR", str(tmp_path))
    return tmp_path / "data"


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def robot(server: Server, **changes) -> assets.Asset:
    fields = {
        "name": "xarm6",
        "url": server.url,
        "sha256": hashlib.sha256(server.content).hexdigest(),
        "target": "robots/xarm6",
        "files": ("xarm6_robotiq.urdf",),
    }
    return assets.Asset(**{**fields, **changes})


GITHUB = zipped(
    {
        "ManiSkill-XArm6-0.1.1/xarm6_robotiq.urdf": b"<robot/>",
        "ManiSkill-XArm6-0.1.1/meshes/base.stl": CONTENT,
    }
)


def everything_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# Which task needs what


def test_the_assets_are_maniskill_s_own():
    try:
        maniskill_package.load()
    except ImportError as error:
        pytest.skip(f"ManiSkill cannot be imported: {error}")
    from mani_skill.utils.assets import DATA_SOURCES

    for asset in assets.ASSETS:
        source = DATA_SOURCES[asset.name]
        assert (source.url, source.checksum) == (asset.url, asset.sha256)
        assert source.target_path == asset.target


def test_every_task_s_needs():
    needs = {
        task.name: asset.name
        for task in catalog.TASKS
        if (asset := assets.required_asset(task)) is not None
    }
    ycb = {name for name, asset in needs.items() if asset == "ycb"}
    assert len(ycb) == 24 and {"ms-pick-apple", "ms-pick-cup", "ms-push-screwdriver"} <= ycb
    assert {name: asset for name, asset in needs.items() if name not in ycb} == {
        "ms-pick-cube-xarm6": "xarm6",
        "ms-reach-xarm6": "xarm6",
        "ms-anymal-reach": "anymal_c",
    }


def test_a_task_s_asset_is_missing_until_its_own_files_are_there(data):
    apple, pear = catalog.get("ms-pick-apple"), catalog.get("ms-push-pear")
    assert assets.missing_assets(apple) == ["ycb"]
    for path in assets.required_files(apple):
        assert path.is_relative_to(data / "assets/mani_skill2_ycb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert assets.missing_assets(apple) == []
    assert assets.missing_assets(pear) == ["ycb"]  # another object of the same archive
    # ManiSkill's own download makes the folder first: that is not an asset yet.
    (data / "robots/anymal_c").mkdir(parents=True)
    assert assets.missing_assets(catalog.get("ms-anymal-reach")) == ["anymal_c"]


def test_asking_loads_neither_torch_nor_a_simulator():
    script = (
        "import sys; from mmbench import assets, catalog; from mmbench.commands import assets as c;"
        "[assets.missing_assets(task) for task in catalog.TASKS];"
        "print({'torch', 'sapien', 'mani_skill', 'mujoco'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


# Installing


def test_an_asset_gets_maniskill_s_layout(serve, data):
    stages = []
    folder = assets.install(robot(serve(GITHUB)), lambda *progress: stages.append(progress))
    assert folder == data / "robots/xarm6"
    assert everything_under(data) == {
        "robots/xarm6/xarm6_robotiq.urdf",
        "robots/xarm6/meshes/base.stl",
    }
    assert (folder / "meshes/base.stl").read_bytes() == CONTENT
    assert {stage for stage, *_ in stages} == {"download", "unpack"}
    assert stages[-1][1] == stages[-1][2] == len(CONTENT) + len(b"<robot/>")


def test_an_archive_with_the_folder_s_own_name_among_others(serve, data):
    content = zipped({"xarm6/xarm6_robotiq.urdf": b"<robot/>", "__MACOSX/._x": b""})
    assets.install(robot(serve(content)))
    assert everything_under(data) == {"robots/xarm6/xarm6_robotiq.urdf"}


def test_an_asset_that_is_broken_is_replaced(serve, data):
    (data / "robots/xarm6/old").mkdir(parents=True)
    (data / "robots/xarm6/old/file").write_text("")
    assets.install(robot(serve(GITHUB)))
    assert "robots/xarm6/old/file" not in everything_under(data)
    assert not list((data / "robots").glob(".*"))


def broken(name: str) -> tuple[bytes, dict]:
    """An archive that must not be installed, and what its asset's record says."""
    damaged = bytearray(GITHUB)
    damaged[len(damaged) // 2] ^= 0xFF
    return {
        "wrong checksum": (GITHUB, {"sha256": "0" * 64}),
        "path outside": (zipped({"a/xarm6_robotiq.urdf": b"", "../../evil": b"x"}), {}),
        "absolute path": (zipped({"a/xarm6_robotiq.urdf": b"", "/tmp/evil": b"x"}), {}),
        "drive": (zipped({"a/xarm6_robotiq.urdf": b"", "C:\\evil": b"x"}), {}),
        "backslashes": (zipped({"a/xarm6_robotiq.urdf": b"", "a\\..\\..\\evil": b"x"}), {}),
        "damaged": (bytes(damaged), {"sha256": None}),
        "no zip": (b"<html>sign in</html>", {"sha256": None}),
        "other content": (zipped({"a/other.urdf": b""}), {"sha256": None}),
        "a file as a folder": (zipped({"a": b"", "a/xarm6_robotiq.urdf": b""}), {}),
        "endless name": (zipped({"a/xarm6_robotiq.urdf": b"", f"a/{'x' * 300}": b""}), {}),
        "endless file": (_with_size(GITHUB, 0xF0000000), {}),
        "empty": (b"", {}),
    }[name]


def _with_size(archive: bytes, size: int) -> bytes:
    """The archive with this size of a file in its list of files."""
    changed, entry = bytearray(archive), archive.index(b"PK\x01\x02")
    changed[entry + 24 : entry + 28] = size.to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("wrong checksum", "SHA-256"),
        ("path outside", "outside its folder.*evil"),
        ("absolute path", "outside its folder"),
        ("drive", "outside its folder"),
        ("backslashes", "outside its folder"),
        ("damaged", "damaged"),
        ("no zip", "damaged"),
        ("other content", "holds no xarm6_robotiq.urdf"),
        ("a file as a folder", "damaged"),
        ("endless name", "damaged.*too long"),
        ("endless file", "damaged"),
        ("empty", "damaged"),
    ],
)
def test_nothing_is_installed_from_a_bad_archive(serve, data, case, message):
    content, changes = broken(case)
    server = serve(content)
    with pytest.raises(RunError, match=message):
        assets.install(robot(server, **changes))
    assert everything_under(data.parent) == set()
    # Nor does the next call go on with it.
    server.content = GITHUB
    server.tag = '"two"'
    assets.install(robot(server))
    assert server.asked == [None, None]


def test_no_damage_is_taken_for_a_full_disk_or_kept(data, monkeypatch):
    """Whatever byte is wrong: the archive is sound nevertheless, or it is damaged and goes."""
    small = zipped({"a/xarm6_robotiq.urdf": b"<robot/>" * 20, "a/meshes/base.stl": bytes(100)})
    rng = np.random.default_rng(0)
    for position in range(len(small) + 40):
        content = bytearray(small)
        if position < len(small):
            content[position] ^= int(rng.integers(1, 256))
        else:
            del content[rng.integers(len(small)) :]

        def fetch(url, target, progress, elsewhere, content=bytes(content)):
            target.write_bytes(content)

        monkeypatch.setattr(installing, "fetch", fetch)
        try:
            assets.install(known._BY_NAME["xarm6"])
        except RunError as error:
            assert re.search("damaged|holds no|outside its folder", str(error)), error
            assert not list((data / "robots").glob(".*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_full_disk_is_no_damage(serve, data, monkeypatch, number):
    """What has arrived is kept."""
    server = serve(GITHUB)

    def full(*args):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(installing.shutil, "copyfileobj", full)
        with pytest.raises(RunError, match="cannot write to .*MS_ASSET_DIR.*is kept"):
            assets.install(robot(server))
    assets.install(robot(server))
    assert server.asked == [None, f"bytes={len(GITHUB)}-"]


def test_an_interrupted_install_shows_nothing_and_is_gone_on_with(serve, data):
    server = serve(GITHUB)
    half = len(GITHUB) // 2
    server.break_after = [half, 0, 0, 0]
    with pytest.raises(RunError, match="kept"):
        assets.install(robot(server))
    assert not (data / "robots/xarm6").exists()
    assets.install(robot(server))
    assert server.asked[-1] == f"bytes={half}-"
    assert "robots/xarm6/meshes/base.stl" in everything_under(data)


@pytest.mark.parametrize("free", [1000, 100_000])  # too little for the zip, for its files
def test_no_space(serve, data, monkeypatch, free):
    assert 1000 < len(GITHUB) < 100_000 < len(CONTENT)
    usage = fetching.shutil.disk_usage("/")
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: usage._replace(free=free))
    with pytest.raises(RunError, match="no space in .*robots.*MS_ASSET_DIR"):
        assets.install(robot(serve(GITHUB)))
    assert not (data / "robots/xarm6").exists()


def test_a_folder_that_cannot_be_written_to(serve, data):
    data.write_text("a file where the folder should be")
    with pytest.raises(RunError, match="cannot write to .*MS_ASSET_DIR"):
        assets.install(robot(serve(GITHUB)))


def test_two_programs_do_not_write_one_file(serve, data):
    fcntl = pytest.importorskip("fcntl", reason="files cannot be locked on this system")
    server = serve(GITHUB)
    work = data / "robots/.xarm6.download"
    work.mkdir(parents=True)
    other = os.open(work, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        with pytest.raises(RunError, match="another program is downloading 'xarm6'"):
            assets.install(robot(server))
    finally:
        os.close(other)
    assets.install(robot(server))
    assert server.asked == [None]


# The command


@pytest.fixture
def table(serve, data, monkeypatch):
    """The three assets, served from here. Returns their servers by name."""
    models = {}
    for task in catalog.TASKS:
        asset = assets.required_asset(task)
        if asset is not None and asset.name == "ycb":
            for path in assets.required_files(task):
                name = path.relative_to(asset.folder)
                models[f"mani_skill2_ycb/{name}"] = b"x"
    contents = {
        "ycb": zipped(models),
        "xarm6": GITHUB,
        "anymal_c": zipped({"ManiSkill-ANYmalC-0.1.1/urdf/anymal.urdf": b"<robot/>"}),
    }
    servers = {name: serve(content) for name, content in contents.items()}
    local = tuple(
        dataclasses.replace(
            asset,
            url=servers[asset.name].url,
            sha256=asset.sha256 and hashlib.sha256(contents[asset.name]).hexdigest(),
        )
        for asset in assets.ASSETS
    )
    monkeypatch.setattr(known, "_BY_NAME", {asset.name: asset for asset in local})
    monkeypatch.setattr(command, "ASSETS", local)
    return servers


def listed(capsys) -> dict[str, dict]:
    capsys.readouterr()
    main(["assets", "list", "--json"])
    return {row["asset"]: row for row in json.loads(capsys.readouterr().out)}


def test_download_fetches_what_the_tasks_need_and_once(table, capsys):
    assert {row["state"] for row in listed(capsys).values()} == {"no"}
    main(["assets", "download", "--tasks", "ms-push-pear,walker-walk,ms-anymal-reach"])
    rows = listed(capsys)
    assert {name: row["state"] for name, row in rows.items()} == {
        "ycb": "yes",
        "xarm6": "no",
        "anymal_c": "yes",
    }
    assert rows["anymal_c"]["bytes"] == len(b"<robot/>") and rows["xarm6"]["bytes"] is None
    main(["assets", "download"])
    assert [len(server.asked) for server in table.values()] == [1, 1, 1]
    assert {row["state"] for row in listed(capsys).values()} == {"yes"}


def test_list_names_assets_tasks_and_what_is_here(table, data, capsys):
    main(["assets", "download", "--tasks", "ms-reach-xarm6"])
    capsys.readouterr()
    main(["assets", "list"])
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith(" xarm6"))
    assert row.split()[:4] == ["xarm6", "yes", "1.0", "MB"]
    assert "2: ms-pick-cube-xarm6, ms-reach-xarm6" in row
    assert "ms-push-screwdriver" in out and "mmbench assets download" in out


def test_an_object_that_is_not_there_makes_the_asset_incomplete(table, capsys):
    main(["assets", "download", "--tasks", "ms-push-pear"])
    assets.required_files(catalog.get("ms-push-pear"))[-1].unlink()
    row = listed(capsys)["ycb"]
    assert (row["state"], row["missing"]) == ("incomplete", ["ms-push-pear"])
    main(["assets", "download", "--tasks", "ms-pick-apple"])  # complete as far as it goes
    main(["assets", "download", "--tasks", "ms-push-pear"])
    assert listed(capsys)["ycb"]["state"] == "yes"
    assert len(table["ycb"].asked) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "ms-pick-appel"], "ms-pick-apple"),
        (["--tasks", "ms-reach-xarm6"], "404"),
    ],
)
def test_a_failure_is_one_message_and_exit_code_2(table, capsys, flags, message):
    table["xarm6"].status = 404
    with pytest.raises(SystemExit) as ended:
        main(["assets", "download", *flags])
    assert ended.value.code == 2
    err = capsys.readouterr().err.splitlines()
    assert err[-1].startswith("mmbench: ") and message in err[-1]


def test_an_interruption_by_the_user_is_no_traceback(table, data, capsys, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "install", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["assets", "download", "--tasks", "ms-reach-xarm6"])
    assert ended.value.code == 130
    assert "goes on with what has arrived" in capsys.readouterr().err


def test_tasks_without_assets(data, capsys):
    main(["assets", "download", "--tasks", "walker-walk"])
    assert "no download" in capsys.readouterr().out
    assert not data.exists()
