"""The tasks of Atari."""

from dataclasses import replace
from functools import partial

from mmbench.catalog.task import Task

_task = partial(
    Task,
    domain="atari",
    split="train",
    obs_dim=128,
    action_dim=3,
    max_episode_steps=1000,
    action_repeat=4,
    discount=0.99,
    score_metric="return",
    score_low=0,
)

# Embodiment and action space: the first sentence of every instruction.
_JOYSTICK = (
    "An Atari console played with three continuous actions: how far the joystick is pushed, in "
    "which direction, and the fire button."
)

_PUBLISHED = (
    _task(
        "atari-alien",
        native="Alien",
        score_high=1000,
        instruction=(
            f"{_JOYSTICK} In Alien, crush all the eggs in the corridors of the spaceship and stay "
            "away from the aliens that chase you."
        ),
    ),
    _task(
        "atari-assault",
        native="Assault",
        score_high=1000,
        instruction=(
            f"{_JOYSTICK} In Assault, slide the gun along the ground and shoot down the drones "
            "that a mother ship sends, without letting the gun overheat."
        ),
    ),
    _task(
        "atari-asterix",
        native="Asterix",
        score_high=5000,
        instruction=(
            f"{_JOYSTICK} In Asterix, dash between the lanes to collect the cauldrons, helmets and "
            "shields that fly by, and avoid the lyres."
        ),
    ),
    _task(
        "atari-atlantis",
        native="Atlantis",
        score_high=50000,
        instruction=(
            f"{_JOYSTICK} In Atlantis, defend the sunken city: fire its left, centre or right "
            "cannon at the enemy ships that pass overhead."
        ),
    ),
    _task(
        "atari-bank-heist",
        native="BankHeist",
        score_high=1000,
        instruction=(
            f"{_JOYSTICK} In Bank Heist, drive the getaway car through the maze of streets, rob "
            "the banks and escape the police with dynamite."
        ),
    ),
    _task(
        "atari-battle-zone",
        native="BattleZone",
        score_high=15000,
        instruction=(
            f"{_JOYSTICK} In Battle Zone, drive a tank over a plain seen from its cockpit, aim at "
            "enemy tanks and fighters and shoot them first."
        ),
    ),
    _task(
        "atari-beamrider",
        native="BeamRider",
        score_high=2000,
        instruction=(
            f"{_JOYSTICK} In Beam Rider, ride along the beams of light and shoot the white saucers "
            "while dodging all that comes down."
        ),
    ),
    _task(
        "atari-boxing",
        native="Boxing",
        score_low=-100,
        score_high=100,
        instruction=(
            f"{_JOYSTICK} In Boxing, step close to the other boxer in the ring, seen from above, "
            "and land more punches than you take."
        ),
    ),
    _task(
        "atari-chopper-command",
        native="ChopperCommand",
        score_high=1000,
        instruction=(
            f"{_JOYSTICK} In Chopper Command, fly a helicopter over the desert and shoot down the "
            "enemy aircraft that attack the convoy of trucks."
        ),
    ),
    _task(
        "atari-crazy-climber",
        native="CrazyClimber",
        score_high=20000,
        instruction=(
            f"{_JOYSTICK} In Crazy Climber, climb the wall of the skyscraper hand over hand, "
            "around closing windows and falling flower pots."
        ),
    ),
    _task(
        "atari-double-dunk",
        native="DoubleDunk",
        score_high=25,
        instruction=(
            f"{_JOYSTICK} In Double Dunk, play basketball two against two on a half court and "
            "score more points than the other team."
        ),
    ),
    _task(
        "atari-gopher",
        native="Gopher",
        score_high=2000,
        instruction=(
            f"{_JOYSTICK} In Gopher, protect the farmer's carrots: fill the holes with the shovel "
            "and hit the gopher on the head."
        ),
    ),
    _task(
        "atari-ice-hockey",
        native="IceHockey",
        score_low=-15,
        score_high=15,
        instruction=(
            f"{_JOYSTICK} In Ice Hockey, skate after the puck, pass and shoot it into the net, and "
            "concede fewer goals than the other team."
        ),
    ),
    _task(
        "atari-jamesbond",
        native="Jamesbond",
        score_high=1000,
        instruction=(
            f"{_JOYSTICK} In James Bond, drive the secret agent's vehicle on land and in water, "
            "jump over craters and shoot the enemies above and below."
        ),
    ),
    _task(
        "atari-kangaroo",
        native="Kangaroo",
        score_high=10000,
        instruction=(
            f"{_JOYSTICK} In Kangaroo, climb the ladders as the mother kangaroo to reach the baby "
            "at the top, punching monkeys and dodging apples."
        ),
    ),
    _task(
        "atari-krull",
        native="Krull",
        score_high=10000,
        instruction=(
            f"{_JOYSTICK} In Krull, fight the slayers with the sword, ride the horses, cross the "
            "spider's web and throw the glaive at the beast."
        ),
    ),
    _task(
        "atari-ms-pacman",
        native="MsPacman",
        score_high=5000,
        instruction=(
            f"{_JOYSTICK} In Ms Pac-Man, eat all the pellets in the maze and stay clear of the "
            "ghosts, or hunt them after a power pill."
        ),
    ),
    _task(
        "atari-name-this-game",
        native="NameThisGame",
        score_high=3000,
        instruction=(
            f"{_JOYSTICK} In Name This Game, guard the sunken treasure as a diver: spear the shark "
            "and the octopus arms, and refill the air."
        ),
    ),
    _task(
        "atari-phoenix",
        native="Phoenix",
        score_high=1000,
        instruction=(
            f"{_JOYSTICK} In Phoenix, shoot wave after wave of birds and the mother ship behind "
            "them, and hide behind the shield when they dive."
        ),
    ),
    _task(
        "atari-pong",
        native="Pong",
        score_low=-21,
        score_high=21,
        instruction=(
            f"{_JOYSTICK} In Pong, move the right paddle up and down to return the ball and get it "
            "past the computer's paddle on the left."
        ),
    ),
    _task(
        "atari-road-runner",
        native="RoadRunner",
        score_high=50000,
        instruction=(
            f"{_JOYSTICK} In Road Runner, race along the desert road, pick up the piles of seed "
            "and outrun the coyote and the trucks."
        ),
    ),
    _task(
        "atari-robotank",
        native="Robotank",
        score_high=50,
        instruction=(
            f"{_JOYSTICK} In Robotank, command a robot tank through day, night and fog, track "
            "enemy tanks with the radar and destroy them."
        ),
    ),
    _task(
        "atari-seaquest",
        native="Seaquest",
        score_high=5000,
        instruction=(
            f"{_JOYSTICK} In Seaquest, steer a submarine to rescue divers, torpedo sharks and "
            "enemy submarines, and surface before the oxygen is used up."
        ),
    ),
    _task(
        "atari-space-invaders",
        native="SpaceInvaders",
        score_high=2000,
        instruction=(
            f"{_JOYSTICK} In Space Invaders, move the cannon under the shields and shoot the rows "
            "of invaders before they reach the ground."
        ),
    ),
    _task(
        "atari-tutankham",
        native="Tutankham",
        score_high=100,
        instruction=(
            f"{_JOYSTICK} In Tutankham, explore the maze of the pharaoh's tomb, shoot the "
            "creatures and collect the keys and treasures."
        ),
    ),
    _task(
        "atari-upndown",
        native="UpNDown",
        score_high=5000,
        instruction=(
            f"{_JOYSTICK} In Up and Down, drive a buggy along hilly winding roads, collect the "
            "flags and jump onto or over the other cars."
        ),
    ),
    _task(
        "atari-yars-revenge",
        native="YarsRevenge",
        score_high=20000,
        instruction=(
            f"{_JOYSTICK} In Yars' Revenge, fly an insect that gnaws through the enemy's shield "
            "and then fires the great cannon at what lies behind."
        ),
    ),
)

_DIFFERS = (
    "The RAM beside a frame (state+rgb) is divided by 255, as it is without frames; in v0 it is 0 "
    "to 255 there."
)

TASKS = _PUBLISHED + tuple(replace(task, version=1, differs=_DIFFERS) for task in _PUBLISHED)
