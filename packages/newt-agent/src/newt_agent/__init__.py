"""Newt."""
