"""The NumPy versions of ManiSkill's cartpoles, hoppers, ants and ANYmal against the package's."""

from types import SimpleNamespace

import numpy as np
import pytest
from maniskill_pair import difference, observations, step_both

from mmbench.catalog import get
from mmbench.domains.maniskill_numpy import bodies

CONTROL = [
    "ms-cartpole-balance",
    "ms-cartpole-swingup",
    "ms-cartpole-balance-sparse",
    "ms-cartpole-swingup-sparse",
    "ms-hopper-stand",
    "ms-hopper-hop",
    "ms-ant-walk",
    "ms-ant-run",
    "ms-anymal-reach",
]


def actions(task, steps, seed):
    """Random ones, then one random corner held, then none, then slow waves."""
    rng = np.random.default_rng(seed)
    quarter = -(-steps // 4)
    shape = (quarter, task.action_dim)
    phase = np.linspace(0, 6, quarter)[:, None] + np.arange(task.action_dim)
    parts = [
        rng.uniform(-1, 1, shape),
        np.broadcast_to(rng.choice([-1.0, 1.0], task.action_dim), shape),
        np.zeros(shape),
        np.sin(phase),
    ]
    return np.concatenate(parts)[:steps].astype(np.float32)


def check_episode(task, simulators, steps, seed, rebuilt):
    """Compares an episode, and steps from some of its states in scenes that are built again."""
    for simulator in simulators:
        simulator.reset(np.random.default_rng(seed))
    assert difference(*observations(task, simulators)) == 0
    from_states = []
    chosen = np.linspace(0, steps - 1, rebuilt + 1, dtype=int)[1:]
    for number, action in enumerate(actions(task, steps, seed)):
        if number in chosen:
            from_states.append((simulators[1].get_state(), action))
        step_both(task, simulators, action)
    for state, action in from_states:
        for simulator in simulators:
            simulator.set_state(state)
        assert difference(*observations(task, simulators)) == 0
        step_both(task, simulators, action)


def part(simulator, state, name):
    """A view on what a flat state holds of an actor (13 numbers) or a robot."""
    start = 0
    for _, other, size in simulator._layout:
        if other == name:
            return state["state"][start : start + size]
        start += size
    raise KeyError(name)


def step_from(task, simulators, change, size=0.0):
    """Takes the first step of an episode, whose first state a function changed, in both.

    Args:
        task: Theirs.
        simulators: Ours and the package's.
        change: Called with a function from names to views on parts of that state.
        size: Of the action's entries.

    Returns:
        The package's reward and success.
    """
    rng = np.random.default_rng(0)
    package = simulators[1]
    package.reset(rng)
    state = package.get_state()
    change(lambda name: part(package, state, name))
    del state["task/observation"]
    for simulator in simulators:
        simulator.set_state(state)
    assert difference(*observations(task, simulators)) == 0
    action = size * rng.choice([-1.0, 1.0], task.action_dim)
    return step_both(task, simulators, action.astype(np.float32))


@pytest.mark.parametrize("name", CONTROL)
def test_equal_to_the_package(name, pair):
    check_episode(get(name), pair(name), 24, seed=3, rebuilt=1)


@pytest.mark.parametrize("name", ["ms-cartpole-balance", "ms-cartpole-balance-sparse"])
def test_cartpole_at_chosen_states(name, pair):
    def reward(angle, position=0.0, speed=0.0, size=0.0):
        def change(view):
            view("cart_pole")[13:17] = position, angle, 0, speed

        return step_from(get(name), pair(name), change, size)[0]

    if name == "ms-cartpole-balance":
        assert reward(0) == pytest.approx(2) and reward(np.pi, 1.5) < 1e-3
        assert reward(0, size=1) < 1.3 and reward(0.3, -1.7, -8) < 0.6
        assert 1 < reward(-0.1, 1, 3, 0.7) < 1.4
    else:
        # The pole passes 0.795 rad in the second raw step, the first one, and before.
        assert [reward(angle) for angle in (0.7, 0.77, 0.83, np.pi)] == [2, 1, 0, 0]


@pytest.mark.parametrize("name", ["ms-hopper-stand", "ms-hopper-hop"])
def test_hopper_upright_at_chosen_speeds(name, pair):
    def upright(speed, height=0.05):
        def change(view):
            robot = view("hopper")
            robot[13:] = 0
            robot[14] = height
            robot[18] = 0.1  # of the knee, in rad: its least
            robot[20] = speed

        return change

    rewards = [
        step_from(get(name), pair(name), upright(*start))[0]
        for start in [(-1.0,), (0.0,), (1.0,), (1.7, 0.5), (4.0,), (4.0, -0.02)]
    ]
    if name == "ms-hopper-stand":
        assert rewards[1] == 2
    else:
        assert rewards[0] == 0 and 0.3 < rewards[2] < 1.5 and rewards[4] == 2


def test_hopper_on_its_foot_feels_the_ground(pair):
    task, simulators = get("ms-hopper-stand"), pair("ms-hopper-stand")
    check_episode(task, simulators, 60, seed=5, rebuilt=0)
    for simulator in simulators:
        simulator.set_state(simulators[1].get_state())
    felt = []
    for action in actions(task, 40, seed=6):
        step_both(task, simulators, action)
        felt.append(observations(task, simulators)[1, 13:])
    assert (np.array(felt) > 1).any(axis=0).all()


@pytest.mark.parametrize("name", ["ms-ant-walk", "ms-ant-run"])
def test_ant_at_chosen_speeds_and_turns(name, pair):
    def moving(speed, yaw):
        def change(view):
            robot = view("ant")
            robot[3:7] = np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)
            robot[7:10] = speed, 0.3, 0.1
            robot[10:13] = 0.2, -0.1, 0.4

        return change

    starts = [(-0.5, 1.5), (0.2, 1.5), (0.6, 1.1), (1.0, 1.2), (3.0, 2.0), (6.0, 1.4), (6.0, 0.3)]
    rewards = [step_from(get(name), pair(name), moving(*start))[0] for start in starts]
    assert rewards[0] < 0.1 and 0.1 < rewards[4] and rewards[5] > 1.6 and rewards[6] < 0.2


def test_anymal_near_its_goal_and_fallen(pair):
    name = "ms-anymal-reach"

    def step(distance, fallen=False):
        def change(view):
            view("goal")[:2] = distance, 0
            if fallen:
                robot = view("anymal_c")
                robot[2] = 0.07
                robot[13:25] = [0] * 4 + [1.5] * 4 + [0] * 4

        return step_from(get(name), pair(name), change, size=0.5)

    assert step(0.3)[1] == 1 and step(0.4)[1] == 0 and step(0.3)[0] > step(3.0)[0]
    assert step(0.3, fallen=True) == (0, 0)


def test_anymal_on_its_knees(pair):
    task, (ours, package) = get("ms-anymal-reach"), pair("ms-anymal-reach")

    def kneel(view):
        robot = view("anymal_c")
        robot[2] = 0.33
        robot[13:25] = [0] * 4 + [0, 0, 0, 0] + [1.5, 1.5, -1.5, -1.5]

    step_from(task, (ours, package), kneel)
    assert bool(package._environment._compute_undesired_contacts())
    assert not bool(package._environment.agent.is_fallen())


def test_force_on_a_body_that_others_push_from_both_sides():
    def contact(first, second, *impulses):
        points = [SimpleNamespace(impulse=np.array(impulse, np.float32)) for impulse in impulses]
        return SimpleNamespace(bodies=[first, second], points=points)

    middle, left, right = object(), object(), object()
    contacts = [
        contact(middle, left, (2, 0, 0), (1, 0, 4)),
        contact(right, middle, (3, 0, 0)),
        contact(left, right, (7, 7, 7)),
    ]
    physics = SimpleNamespace(get_contacts=lambda: contacts)
    sizes = bodies._net_forces(physics, (middle, object(), right), 0.5)
    assert sizes == pytest.approx([8, 0, 2 * np.sqrt(4**2 + 7**2 + 7**2)])


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTROL)
def test_equal_to_the_package_in_many_states(name, pair):
    for seed in range(6):
        check_episode(get(name), pair(name), 240, seed=100 + seed, rebuilt=8)
