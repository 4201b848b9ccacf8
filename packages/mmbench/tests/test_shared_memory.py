"""Containers whose /dev/shm is read-only or full: workers need none of it."""

import subprocess
import sys

import pytest

HANG = 120
STEP = """
import gymnasium as gym
env = gym.make_vec("mmbench:mmbench/multitask-v0", tasks=["pygame-pong"], num_workers=1).unwrapped
env.reset(seed=0)
env.step(env.action_space.sample())
env.close()
"""


def in_a_namespace(mount: str, *command: str) -> subprocess.CompletedProcess:
    """Runs a command where a script of the shell has changed what is mounted."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh"]
        + list(command),
        capture_output=True,
        text=True,
        timeout=HANG,
    )


@pytest.mark.parametrize(
    "mount",
    [
        "mount -t tmpfs -o ro none /dev/shm",
        "mount -t tmpfs -o size=4k none /dev/shm; head -c 9999 /dev/zero > /dev/shm/full; true",
    ],
)
def test_workers_need_no_file_system_of_shared_memory(mount):
    try:
        allowed = in_a_namespace(mount, "true").returncode == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("this system gives no mount namespaces")
    result = in_a_namespace(mount, sys.executable, "-c", STEP)
    assert result.returncode == 0, result.stderr
