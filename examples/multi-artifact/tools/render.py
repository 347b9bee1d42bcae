"""Renders every page to HTML; a page that has not changed comes from the cache."""

from __future__ import annotations

import argparse
import hashlib
import html
import inspect
import pathlib

from tools import markup

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title} · {site}</title>
<main>
{body}
</main>
</html>
"""


def cache_name(text: str, site: str) -> str:
    """Changes with everything that the result depends on: the page, the site's title, and the renderer."""
    return hashlib.sha256("\0".join([inspect.getsource(markup), PAGE, site, text]).encode()).hexdigest()


def render(text: str, site: str) -> str:
    return PAGE.format(title=html.escape(markup.title(text)), site=html.escape(site), body=markup.body(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=pathlib.Path)
    parser.add_argument("site", type=pathlib.Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    rendered = reused = 0
    used = set()
    for source in sorted(options.pages.rglob("*.txt")):
        text = source.read_text(encoding="utf-8")
        cached = options.cache / cache_name(text, options.title)
        used.add(cached)
        if cached.exists():
            reused += 1
        else:
            cached.write_text(render(text, options.title), encoding="utf-8")
            rendered += 1
        target = options.site / source.relative_to(options.pages).with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(cached.read_bytes())
    for old in set(options.cache.iterdir()) - used:
        old.unlink()
    print(f"{rendered} pages rendered, {reused} taken from the cache")


if __name__ == "__main__":
    main()
