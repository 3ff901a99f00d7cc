"""Links inside a built site: which of them lead to no file, or to no place on their page."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """What a page points to, and the places on it that can be pointed to."""

    def __init__(self, path: Path):
        super().__init__()
        self.targets: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.targets.append(value)
            elif value and name in ("id", "name"):
                self.places.add(value)


def find_dead_links(site: Path) -> list[str]:
    """Return a line for each link inside a site that leads nowhere: page, and where it points.

    Links to other sites are not followed. A part after # must be a place on the page; what the
    page's own scripts make of `#` alone is left to them.
    """
    site = site.resolve()
    # below _static/ lie templates of the theme, which nobody opens
    paths = (path for path in sorted(site.rglob("*.html")) if site / "_static" not in path.parents)
    pages = {path: _Page(path) for path in paths}
    dead = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not there.is_file() or (
                place and there in pages and place not in pages[there].places
            ):
                dead.append(f"{path.relative_to(site).as_posix()} → {target}")
    return dead
