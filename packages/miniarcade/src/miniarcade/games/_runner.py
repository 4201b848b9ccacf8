"""The body that the runner games share: it runs on the spot and jumps while the world scrolls."""

GROUND_Y = 184  # px, where the ground begins
RUNNER_X = 40  # px, left edge of the runner's box
RUNNER_WIDTH = 18  # px
RUNNER_HEIGHT = 30  # px
RUNNER_GROUND_Y = GROUND_Y - RUNNER_HEIGHT  # px, top of the box of a runner on the ground
JUMP_Y = RUNNER_GROUND_Y - 0.001  # px, the highest top of the box from which a runner can jump

GRAVITY = 1.0  # px/step^2
JUMP_SPEED = 12.0  # px/step, of a jump with full action
SCROLL = 10  # px/step


def move(y: float, vy: float, jump: float) -> tuple[float, float]:
    """One step of jumping and falling.

    A runner who comes down exactly on the ground keeps the speed for that step. One who would get
    below it is stopped.

    Args:
        y: Top of the runner's box, px.
        vy: Its speed, px/step, positive downwards.
        jump: The action; positive on the ground jumps, the faster the greater it is.

    Returns:
        The new `y` and `vy`.
    """
    if jump > 0.0 and y >= JUMP_Y:
        vy = -JUMP_SPEED * jump
    vy += GRAVITY
    y += vy
    if y > RUNNER_GROUND_Y:
        return float(RUNNER_GROUND_Y), 0.0
    return y, vy
