"""Whatever a run's folder holds: one sentence that names what is wrong, and nothing is executed."""

import json
import pickle
import shutil
import sys

import pytest
from command_lines import call
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmbench.runs import publish_folder
from mmbench.runs.files import MANIFEST
from newt_agent.cli import train_main
from newt_agent.cli_eval import eval_main

EXECUTING = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
executed: list[str] = []
watching = False


def watch(event, args):
    # The version of the code is asked of git.
    if watching and event in EXECUTING and args[:1] != ("git",):
        executed.append(f"{event} {args}")


sys.addaudithook(watch)


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


JUNK = [
    pickle.dumps(Malicious()),
    b"",
    b"null",
    b"[]",
    b"{" * 5000,
    b'{"a": NaN}',
    b"\xff\xfe",
    b"step,phase\n1,2\n",
    b"\0" * 300,
    b"1e999",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)


def replaced(draw, value):
    """A JSON value, some place of which holds something else."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        if not draw(st.integers(0, 9)):
            return {name: own for name, own in value.items() if name != key}
        return {**value, key: replaced(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 3)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], replaced(draw, value[place]), *value[place + 1 :]]
    return draw(values)


@st.composite
def damages(draw, names):
    """A file, and a function that damages its content."""
    name = draw(st.sampled_from(names))
    kind = draw(
        st.sampled_from(["junk", "cut", "bytes", *(["json"] * 3 if "json" in name else [])])
    )
    if kind == "junk":
        junk = draw(st.sampled_from(JUNK))
        return name, kind, lambda content: junk
    part, other = draw(st.floats(0, 1)), draw(st.binary(min_size=1, max_size=9))
    if kind == "cut":
        return name, kind, lambda content: content[: int(part * len(content))]
    if kind == "bytes":
        # Half of them in the first part, where the headers are.
        place = part * (300 if draw(st.booleans()) else 10**9)

        def overwrite(content):
            at = int(min(place, max(0, len(content) - len(other))))
            return content[:at] + other + content[at + len(other) :]

        return name, kind, overwrite
    return name, kind, lambda content: json.dumps(replaced(draw, json.loads(content))).encode()


def damage(folder, name, change, signed):
    """Damages a file; signed, the checkpoint's checksums are those of the damaged one."""
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    checkpoint = path.parent
    if signed and checkpoint.parent.name == "checkpoints":
        own = shutil.copytree(checkpoint, folder / "copy")
        (own / MANIFEST).unlink()
        publish_folder(checkpoint, lambda new: shutil.copytree(own, new, dirs_exist_ok=True))
        shutil.rmtree(own)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["resume", "eval"])
def test_damaged_folders(trained, tmp_path_factory, command):
    checkpoint = (trained / "checkpoints" / "last").resolve()
    inner = [f"checkpoints/{checkpoint.name}/{p.name}" for p in sorted(checkpoint.iterdir())]
    names = [n for n in inner if MANIFEST not in n] + ["config.json", "metrics.csv"]
    if command == "eval":
        names = [n for n in names if "agent.json" in n or "model" in n or "progress" in n]
    outcomes = {0: 0, 1: 0, 2: 0}

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damages(names), st.booleans())
    def one(chosen, signed):
        global watching
        name, _, change = chosen
        folder = tmp_path_factory.mktemp("fuzz") / "run"
        shutil.copytree(trained, folder, symlinks=True)
        damage(folder, name, change, signed)
        watching = True
        try:
            if command == "resume":
                result = call(train_main, f"--resume {folder}")
            else:
                options = "--episodes 1 --no-plan --num-workers 0 --threads 1"
                result = call(eval_main, f"--checkpoint {folder} {options}")
        finally:
            watching = False
        shutil.rmtree(folder.parent)
        told = result.stdout + result.stderr
        assert not executed, executed
        assert "Traceback" not in told, told
        assert result.returncode in (0, 1, 2), told
        assert result.returncode == 0 or len(result.stderr.strip().splitlines()) <= 4, told
        outcomes[result.returncode] += 1

    one()
    assert outcomes[2] > 100  # most damage is noticed
