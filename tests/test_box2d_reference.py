"""Box2D against the recorded fingerprints, and against Gymnasium's own step."""

import types
import warnings

import conformance
import numpy as np
import pytest
import reference

from mmbench import catalog
from mmbench.domains import box2d, box2d_terrain
from mmbench.domains.box2d_lander import PAD_HEIGHT, VIEW
from mmbench.env import TaskEnv

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from gymnasium.envs.box2d import bipedal_walker, lunar_lander

FOLDER = reference.SHIPPED / "box2d"
FINGERPRINTS = reference.recorded("box2d", ".json")
POLICIES = ("random", "zero", "hold")

# A leg that stands on two pieces of ground counts as in the air or not by the order in which it
# met them: alike in most episodes, else in all others. Few episodes do not show that spread.
FEW, MANY = 24, 60
FEW_LANDERS = 60


def check_fingerprint(name: str, policy: str, episodes: int) -> None:
    stuck = name.startswith("bipedal")
    path = FOLDER / f"{name}.json"
    conformance.check_fingerprint(path, {policy: episodes}, rare=True, stuck=stuck)


@pytest.mark.parametrize("policy", ["random", "zero"])
@pytest.mark.parametrize("name", FINGERPRINTS)
def test_episodes_distributed_as_recorded(name, policy):
    check_fingerprint(name, policy, FEW_LANDERS if name.startswith("lunar") else FEW)


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FINGERPRINTS)
def test_many_episodes_distributed_as_recorded(name, policy):
    check_fingerprint(name, policy, MANY)


def test_takeoff_s_landed_lander_bounces_as_recorded():
    """How it is pushed down, and for how many steps, decides how far it is and bounces at first."""
    recorded = reference.fingerprint(FOLDER / "lunarlander-takeoff.json")["zero"]
    env = TaskEnv("lunarlander-takeoff", unify=False)
    lowest, fastest = [], []
    for seed in range(20):
        first, _ = env.reset(seed=seed)
        second, *_ = env.step(np.zeros(2))
        third, *_ = env.step(np.zeros(2))
        lowest.append(first[1])
        fastest.append(max(first[3], second[3], third[3]))
    np.testing.assert_allclose(np.median(lowest), recorded["obs_min"][1], atol=3e-4)
    assert np.quantile(fastest, 0.25) <= recorded["obs_max"][3] <= np.max(fastest) + 1e-3


class OurGround(bipedal_walker.BipedalWalker):
    """Gymnasium's walker on a given terrain."""

    def __init__(self, terrain: box2d_terrain.Terrain, rng: np.random.Generator) -> None:
        super().__init__()
        self._given = terrain
        self._np_random = rng

    def _generate_terrain(self, hardcore):
        points = [(i * bipedal_walker.TERRAIN_STEP, y) for i, y in enumerate(self._given.heights)]
        for box in self._given.boxes:
            self.fd_polygon.shape.vertices = box
            self.terrain.append(self.world.CreateStaticBody(fixtures=self.fd_polygon))
        for edge in zip(points, points[1:], strict=False):
            self.fd_edge.shape.vertices = list(edge)
            self.terrain.append(self.world.CreateStaticBody(fixtures=self.fd_edge))

    def _generate_clouds(self):
        pass


@pytest.mark.parametrize("scale", [1.0, 0.2])
@pytest.mark.parametrize("ground", box2d_terrain.GENERATORS)
def test_the_walker_steps_as_gymnasium_s(ground, scale, monkeypatch):
    """With the published constants set once the module is loaded; every bit of 24 numbers."""
    monkeypatch.setattr(bipedal_walker, "SCALE", 15.0)
    monkeypatch.setattr(bipedal_walker, "VIEWPORT_W", 224)
    monkeypatch.setattr(bipedal_walker, "VIEWPORT_H", 224)
    task = catalog.get(f"bipedal-walker-{ground}")
    env = TaskEnv(task, unify=False)
    obs, info = env.reset(seed=3)
    rng = np.random.default_rng(3)
    native = OurGround(box2d_terrain.GENERATORS[ground](rng), rng)
    expected, _ = native.reset()
    np.testing.assert_array_equal(obs, expected)
    actions = np.random.default_rng(1)
    fell = False
    for _ in range(150):
        action = (scale * actions.uniform(-1, 1, 4)).astype(np.float32)
        total = 0.0
        for _ in range(2):
            expected, reward, terminated, *_ = native.step(action)
            total += min(max(reward, -1.0), 10.0)
            fell |= terminated
        obs, reward, *_ = env.step(action)
        np.testing.assert_array_equal(obs, expected)
        assert reward == pytest.approx(total, abs=2e-6)
    assert fell, "the test should see a fall"


class OurWorld(lunar_lander.LunarLander):
    """Gymnasium's step on the bodies of one of our episodes."""

    def __init__(self, simulator) -> None:
        super().__init__(continuous=True)
        self.world, self.lander = simulator._world, simulator._lander
        self.legs = list(simulator._legs)
        for leg, touches in zip(self.legs, simulator._touch.legs.values(), strict=True):
            leg.ground_contact = bool(touches)
        self.helipad_y = PAD_HEIGHT
        self.game_over = simulator._touch.crashed
        self.prev_shaping = simulator._potential
        self._detector = lunar_lander.ContactDetector(self)
        self.world.contactListener = self._detector
        self._np_random = types.SimpleNamespace(uniform=lambda low, high: next(simulator._noise))


def test_the_lander_steps_as_gymnasium_s(monkeypatch):
    """Flights, landings and crashes: every bit of 8 numbers, and the reward that is clipped."""
    monkeypatch.setattr(lunar_lander, "VIEWPORT_W", 400)
    monkeypatch.setattr(lunar_lander, "VIEWPORT_H", 400)
    rewards = []
    for seed, scale in enumerate((1.0, 0.0, 0.6, 0.0)):
        env = TaskEnv("lunarlander-land", unify=False)
        twin = box2d.make(env.task, frames=False)
        env.reset(seed=seed)
        twin.reset(np.random.default_rng(seed))
        native = OurWorld(twin)
        actions = np.random.default_rng(seed)
        for _ in range(200):
            action = (scale * actions.uniform(-1, 1, 2)).astype(np.float32)
            total = 0.0
            for _ in range(2):
                expected, reward, *_ = native.step(action)
                total += min(max(reward, -5.0), 10.0) / 20
            obs, reward, *_ = env.step(action)
            np.testing.assert_array_equal(obs, expected)
            assert reward == pytest.approx(total, abs=1e-9)
            rewards.append(reward)
    assert min(rewards) == -0.5 and max(rewards) == 1.0


def body_facts(lander, legs):
    """Masses, shapes, collision filters and joints, without the bodies' place in the world."""
    for body in (lander, *legs):
        yield [body.mass, body.inertia, *body.localCenter]
        (fixture,) = body.fixtures
        yield [fixture.friction, fixture.restitution, fixture.density]
        yield [fixture.filterData.categoryBits, fixture.filterData.maskBits]
        yield [coordinate for corner in fixture.shape.vertices for coordinate in corner]
    for leg in legs:
        joint = leg.joints[0].joint
        yield [*joint.limits, joint.motorSpeed, joint.limitEnabled, joint.motorEnabled]
        yield [joint.GetMotorTorque(50.0), leg.angle, *(leg.position - lander.position)]
        yield [*(joint.anchorA - lander.position), *(joint.anchorB - leg.position)]


def test_the_lander_is_built_as_gymnasium_s():
    """Compared before the first step, as the two start in different places."""
    simulator = box2d.make(catalog.get("lunarlander-land"), frames=False)
    simulator._first_steps = lambda: None
    simulator.reset(np.random.default_rng(0))
    native = lunar_lander.LunarLander(continuous=True)
    native.step = lambda action: (None,)
    native.reset(seed=0)
    ours = body_facts(simulator._lander, simulator._legs)
    for one, other in zip(ours, body_facts(native.lander, native.legs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=3e-6)
    assert VIEW == pytest.approx(400 / 30)
