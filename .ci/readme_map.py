"""Write the README's map of the notebooks, and their hours, from the notebooks' first cells."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bift_utils.commands.course.notebooks import find_notebooks
from bift_utils.commands.site.sources import describe

README = Path(__file__).parents[1] / "README.md"
MAP = re.compile(r"(<!-- the map: [^>]*-->\n).*?(<!-- end -->)", flags=re.S)
HOURS = re.compile(r"(<!-- hours -->).*?(<!-- end -->)", flags=re.S)


def fill_map(text: str, checkout: Path) -> str:
    """Return the README with a row a notebook (title, question, study time) and the sums."""
    rows, minutes = ["| notebook | question | study time |", "|---|---|---|"], {False: 0, True: 0}
    for id, path in find_notebooks(checkout / "notebooks").items():
        title, question, time = describe(path)
        question = question.replace("|", "\\|")
        rows.append(f"| [{title}](notebooks/{path.name}) | {question} | {time} min |")
        minutes[id.endswith("b")] += time
    hours = {companion: round(total / 60) for companion, total in minutes.items()}
    sums = (
        f"about {hours[False]} hours for the main path, exercises included, and {hours[True]} "
        "hours more for the companions"
    )
    text = MAP.sub(lambda found: found[1] + "\n".join(rows) + "\n" + found[2], text)
    return HOURS.sub(lambda found: found[1] + sums + found[2], text)


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(fill_map(text, README.parent), encoding="utf-8")
