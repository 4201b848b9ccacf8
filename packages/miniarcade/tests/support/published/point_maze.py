from miniarcade.games.point_maze import CELLS, PointMaze, PointMazeState


def state(game: PointMaze, published: dict) -> PointMazeState:
    row, column = published["force_cell"]
    return PointMazeState(
        t=published["steps"],
        decor_seed=0,
        x=published["ax"],
        y=published["ay"],
        goal_x=published["gx"],
        goal_y=published["gy"],
        wind_cell=row * CELLS + column,
        wind=published["force_dir"],
        trail=[],
        vx=published["vx"],
        vy=published["vy"],
    )
