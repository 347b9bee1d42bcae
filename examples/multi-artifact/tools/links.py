"""Follows every link of the site to a page and, where it names one, to a heading."""

from __future__ import annotations

import html.parser
import pathlib
import sys
from urllib.parse import unquote, urldefrag

from tools.report import Outcome, write


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.anchors.add(value)
            elif value and tag == "a" and name == "href":
                self.links.append(value)


def check(site: pathlib.Path) -> list[Outcome]:
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    outcomes = []
    for path, page in pages.items():
        for link in page.links:
            address, anchor = urldefrag(link)
            target = (path.parent / unquote(address)).resolve() if address else path
            failure = None
            if target not in pages:
                failure = f"no page {address}"
            elif anchor and anchor not in pages[target].anchors:
                failure = f"no heading {anchor} in {address or 'this page'}"
            outcomes.append(Outcome(str(path.relative_to(site.resolve())), link, failure=failure))
    return outcomes


def main() -> None:
    site, report = map(pathlib.Path, sys.argv[1:])
    outcomes = check(site)
    write(report, "links", outcomes)
    broken = [outcome for outcome in outcomes if outcome.failure]
    for outcome in broken:
        print(f"{outcome.group}: {outcome.name}: {outcome.failure}", file=sys.stderr)
    print(f"{len(outcomes)} links, {len(broken)} broken")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
