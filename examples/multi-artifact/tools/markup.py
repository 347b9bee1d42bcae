"""A little markup: headings, lists, paragraphs, *emphasis*, `code` and [links](address)."""

from __future__ import annotations

import html
import re

_INLINE = re.compile(r"`(?P<code>[^`]+)`|\*(?P<emphasis>[^*]+)\*|\[(?P<text>[^\]]+)\]\((?P<address>[^)\s]+)\)")


def slug(heading: str) -> str:
    """What a heading is addressed by."""
    return "-".join(re.findall(r"\w+", heading.lower()))


def inline(text: str) -> str:
    """The HTML of one line of text."""

    def replacement(match: re.Match[str]) -> str:
        if match["code"]:
            return f"<code>{html.escape(match['code'])}</code>"
        if match["emphasis"]:
            return f"<em>{html.escape(match['emphasis'])}</em>"
        return f'<a href="{html.escape(match["address"])}">{html.escape(match["text"])}</a>'

    out, position = [], 0
    for match in _INLINE.finditer(text):
        out += [html.escape(text[position : match.start()]), replacement(match)]
        position = match.end()
    return "".join(out) + html.escape(text[position:])


def title(text: str) -> str:
    """The first heading of a page."""
    match = re.search(r"^# (.+)$", text, re.MULTILINE)
    return match[1].strip() if match else "Untitled"


def body(text: str) -> str:
    """The HTML of a page: blocks are separated by empty lines."""
    return "\n".join(_block(block) for block in re.split(r"\n\s*\n", text.strip()))


def _block(block: str) -> str:
    heading = re.fullmatch(r"(#{1,3}) (.+)", block)
    if heading:
        level = len(heading[1])
        return f'<h{level} id="{slug(heading[2])}">{inline(heading[2])}</h{level}>'
    lines = block.split("\n")
    if all(line.startswith("- ") for line in lines):
        return "<ul>\n" + "".join(f"<li>{inline(line[2:])}</li>\n" for line in lines) + "</ul>"
    return f"<p>{inline(' '.join(lines))}</p>"
