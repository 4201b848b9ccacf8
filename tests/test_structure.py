"""How the packages are built: who imports whom."""

import ast
import graphlib
from pathlib import Path

SOURCES = sorted((Path(__file__).parents[1] / "packages").glob("*/src"))


def modules() -> dict[str, Path]:
    """The file of every module, by the module's name."""
    found = {}
    for source in SOURCES:
        for path in source.rglob("*.py"):
            parts = path.relative_to(source).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: set[str]) -> set[str]:
    """The modules that a file imports, in functions and for annotations too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in known else node.module)
    return found & known


def test_no_modules_import_each_other():
    files = modules()
    graph = {name: imports(path, set(files)) for name, path in files.items()}
    assert graph["mmbench.env"] > {"mmbench.domains", "mmbench.catalog"}  # it sees imports
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise AssertionError("these import each other: " + " <- ".join(error.args[1])) from None
