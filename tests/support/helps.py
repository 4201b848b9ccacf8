"""The helps of command lines, for tests."""

from itertools import pairwise


def broken_lines(text: str, width: int) -> list[str]:
    """What does not fit a terminal, or ends a line of a flag's help in the middle.

    tyro keeps the line breaks of a field's docstring and does not break descriptions.

    Args:
        text: A help, as it is printed.
        width: Of the terminal it was printed for.
    """
    broken = [line for line in text.splitlines() if len(line) > width]
    rows = [line[1:-1].rstrip() for line in text.splitlines() if line.startswith("│")]
    for row, following in pairwise(rows):
        indent = len(following) - len(following.lstrip())
        has_help = indent > 2 and row[:indent].endswith("  ") and row[indent:].strip()
        if has_help and len(f"{row} {following.split()[0]}") <= width - 3:
            broken.append(row)
    return broken
