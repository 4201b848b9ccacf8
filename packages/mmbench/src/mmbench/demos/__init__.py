"""Demonstrations: how they are recorded, stored, replayed and loaded."""
