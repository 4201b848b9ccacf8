"""What makes ``mmbench doctor`` fast in tests that are about something else."""

QUICK = {
    "torch": "class cuda:\n    device_count = staticmethod(lambda: 0)\n",
    "sapien": "raise ModuleNotFoundError('no sapien', name='sapien')",
    "OpenGL": "raise ImportError('no OpenGL')",
}
"""In place of what takes seconds to import, source by module."""


def write(folder):
    """Writes the stubs into a folder that is to come first on the path."""
    for name, source in QUICK.items():
        (folder / f"{name}.py").write_text(source)
    return folder
