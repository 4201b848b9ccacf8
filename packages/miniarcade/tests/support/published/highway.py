from miniarcade.games.highway import (
    BLUE_CAR,
    FLASH_STEPS,
    NO_LANE,
    TRUCK,
    YELLOW_CAR,
    Car,
    Highway,
    HighwayState,
)

KINDS = {"blue": BLUE_CAR, "yellow": YELLOW_CAR, "truck": TRUCK}
DEVIATES = {4: "the published flash only wears off while pictures are drawn"}


def state(game: Highway, published: dict) -> HighwayState:
    sticky = published["sticky_idx"]
    cars = published["cars"]
    return HighwayState(
        t=published["steps"],
        decor_seed=0,
        x=published["car_x"],
        y=published["car_y"],
        vx=published["vel_x"],
        vy=published["vel_y"],
        cars=[
            Car(
                pause=car["respawn"],
                lane=car["lane"] if car["active"] else NO_LANE,
                kind=KINDS[car["kind"]],
                x=car["x"],
            )
            for car in cars
        ],
        sticky=-1 if sticky is None else sticky,
        sticky_left=0 if sticky is None else cars[sticky]["collision_timer"],
        crashed_at=published["steps"] - FLASH_STEPS + published["collided_flash"],
    )
