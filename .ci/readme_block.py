"""Print one of the README's two shell blocks: `lab` or `tests`."""

import re
import sys
from pathlib import Path


def shell_blocks(text: str) -> list[str]:
    """Return the contents of all fenced shell blocks of a Markdown text."""
    return re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, flags=re.S | re.M)


if __name__ == "__main__":
    blocks = shell_blocks(Path("README.md").read_text(encoding="utf-8"))
    if len(blocks) != 2:
        sys.exit(f"README.md has {len(blocks)} shell blocks; expected two (lab, tests).")
    print(blocks[("lab", "tests").index(sys.argv[1])])
