"""Plain text and Markdown: one file is one document, and no line of it is a header."""

import re

from pipeline.data.documents.parsed import Outline, ParsedDocument

_LINE_ENDS = re.compile(r"\r\n?")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t#]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")


def plain_document(content: str) -> ParsedDocument:
    """The text as it is, with the line ends of Unix."""
    return ParsedDocument(text=_LINE_ENDS.sub("\n", content))


def markdown_document(content: str) -> ParsedDocument:
    """The text with all its signs; its headings are where it is, and the first one its title."""
    text = _LINE_ENDS.sub("\n", content)
    outline = Outline()
    fence = ""
    start = 0
    previous = ""
    for line in text.split("\n"):
        opened = _FENCE.match(line)
        if fence:
            fence = "" if opened and opened[1] == fence else fence
        elif opened:
            fence = opened[1]
        elif (heading := _HEADING.fullmatch(line)) and heading[2]:
            outline.add(len(heading[1]), heading[2], start)
        elif (ruled := _UNDERLINE.fullmatch(line)) and _may_be_heading(previous):
            level = 1 if ruled[1].startswith("=") else 2
            outline.add(level, previous.strip(), start - len(previous) - 1)
        previous = line
        start += len(line) + 1
    return ParsedDocument(text=text, title=outline.first, marks=tuple(outline.marks))


def _may_be_heading(line: str) -> bool:
    """The line above an underline is a heading, not a list, a table, a quotation or code."""
    return bool(line.strip()) and not line.lstrip().startswith(("#", "-", "*", "+", ">", "|", "`"))
