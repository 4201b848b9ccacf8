"""MiniArcade."""
