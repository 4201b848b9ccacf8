from miniarcade.games.bird_attack import (
    BIRD_SPACING,
    BIRDS,
    BOSS_PAUSE,
    BOSS_X,
    BOSS_Y,
    COLUMN_X,
    COLUMNS,
    SHOT_CHANCE,
    Ball,
    BirdAttack,
    BirdAttackState,
)


def state(game: BirdAttack, published: dict) -> BirdAttackState:
    first_x, first_y = published["formation"]
    hit_points = [0] * BIRDS
    for x, y, points in published["birds"]:
        column, row = (x - first_x) // BIRD_SPACING, (y - first_y) // BIRD_SPACING
        hit_points[int(column + COLUMNS * row)] = points
    birds = [i for i in range(BIRDS) if hit_points[i] > 0]
    columns = [COLUMN_X[i] for i in birds]
    boss_x, boss_y = published["boss_pos"] or (BOSS_X, BOSS_Y)
    return BirdAttackState(
        t=published["steps"],
        decor_seed=0,
        x=published["agent_x"],
        reload=published["reload_timer"],
        stun=published["stun_timer"],
        bullet_x=[x for x, _ in published["agent_bullets"]],
        bullet_y=[int(y) for _, y in published["agent_bullets"]],
        birds=birds,
        hit_points=hit_points,
        first_x=int(first_x),
        first_y=int(first_y),
        leftmost=min(columns, default=0),
        rightmost=max(columns, default=0),
        way=published["bird_dir"],
        # The published game draws for each bird in each step, ours which bird is the next to fire.
        until_shot=0 if game.rng.random() < SHOT_CHANCE else BIRDS,
        shot_x=[int(x) for x, _ in published["bird_bullets"]],
        shot_y=[int(y) for _, y in published["bird_bullets"]],
        boss_x=boss_x,
        boss_y=boss_y,
        boss_pause=published["boss_fire_timer"] if published["boss_active"] else BOSS_PAUSE,
        ball=Ball(*published["boss_bullet"]) if published["boss_bullet"] else None,
        points=published["score"],
    )
