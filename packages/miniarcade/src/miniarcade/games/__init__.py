"""The games, one file each. `miniarcade.registry` says which tasks are made of them."""
