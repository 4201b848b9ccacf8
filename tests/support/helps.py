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
    rows = [line.replace("│", " ").rstrip() for line in text.splitlines()]
    for row, following in pairwise(rows):
        indent = len(following) - len(following.lstrip())
        beside_flag = indent > 4 and row[:indent].endswith("  ") and row[indent:].strip()
        continued = following[indent : indent + 1].isalpha()
        if beside_flag and continued and len(f"{row} {following.split()[0]}") <= width - 2:
            broken.append(row)
    return broken
