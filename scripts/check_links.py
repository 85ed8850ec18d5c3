"""Every link inside a built site leads somewhere: to a file that is there, and in it to an anchor that is there.

before   out/site, as `make docs` builds it
after    exit status 0; or 1, and each link that does not, with its page

Links to other sites are not followed, but have to be well formed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

NAMED = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src", "source": "src"}


@dataclass
class Page(HTMLParser):
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := values.get(name)))
        if (link := values.get(NAMED.get(tag, ""))) is not None:
            self.links.append(link)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken(site: Path) -> list[str]:
    """A line for each link that leads nowhere."""
    pages = {path.resolve(): read(path) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site.resolve())}: {link}: {why}"
        for path, page in pages.items()
        for link in dict.fromkeys(page.links)
        if (why := fault(path, link, pages))
    ]


def fault(path: Path, link: str, pages: dict[Path, Page]) -> str:
    """What is wrong with a link of the page at `path`; empty if nothing is."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return "" if "." in parts.netloc else "no host"
    if parts.scheme in ("mailto", "data"):
        return ""
    if parts.scheme:
        return f"what is `{parts.scheme}:`?"
    there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if there.is_dir():
        there /= "index.html"
    if not there.exists():
        return "no such file"
    anchor = unquote(parts.fragment)
    if anchor and there in pages and anchor not in pages[there].anchors:
        return "no such anchor"
    return ""


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print("usage: python -m scripts.check_links SITE, a folder of pages", file=sys.stderr)
        return 2
    site = Path(sys.argv[1])
    found = broken(site)
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print(f"{site}: every link of {len(list(site.rglob('*.html')))} pages leads somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
