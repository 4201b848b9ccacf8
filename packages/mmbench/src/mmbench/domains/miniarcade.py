"""MiniArcade: games of the ``miniarcade`` package, at one native step an agent step."""
