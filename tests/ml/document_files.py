"""Small documents as programs write them, made part by part."""

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = (
    '<?xml version="1.0"?><Types '
    'xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
_NAMESPACES = (
    f'xmlns:w="{WORD}" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
)


def relations(**targets: str) -> str:
    items = "".join(
        f'<Relationship Id="r{number}" Type="{RELATIONS}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets.items())
    )
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f"{items}</Relationships>"
    )


def part(element: str, content: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><w:{element} {_NAMESPACES}>{content}</w:{element}>'
    )


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str, side_parts: Mapping[str, str] | None = None) -> bytes:
    """A Word document with this body and these parts: `styles`, `numbering`, `footnotes`."""
    return docx_of(part("document", f"<w:body>{body}</w:body>"), side_parts)


def docx_of(document: str | bytes, side_parts: Mapping[str, str] | None = None) -> bytes:
    sides = side_parts or {}
    return packed(
        {
            "[Content_Types].xml": _TYPES,
            "_rels/.rels": relations(officeDocument="word/document.xml"),
            "word/_rels/document.xml.rels": relations(**{name: f"{name}.xml" for name in sides}),
            "word/document.xml": document,
            **{f"word/{name}.xml": part(name, content) for name, content in sides.items()},
        }
    )


def packed(members: Mapping[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def page_content(lines: Sequence[str]) -> bytes:
    """The drawing of a page: a line of text below the other."""
    shown = (f"<{line.encode('utf-16-be').hex()}> Tj T*" for line in lines)
    return ("BT /F1 12 Tf 14 TL 50 750 Td " + " ".join(shown) + " ET").encode()


def pdf(pages: Sequence[Sequence[str]], title: str = "") -> bytes:
    """A PDF whose pages have these lines, in a font that every reader of Chinese has."""
    return pdf_of([page_content(lines) for lines in pages], title)


def pdf_of(contents: Sequence[bytes], title: str = "", resources: bytes = b"") -> bytes:
    """A PDF whose pages are drawn by these streams."""
    numbers = range(10, 10 + 2 * len(contents), 2)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    objects: dict[int, bytes] = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        3: (
            b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H "
            b"/DescendantFonts [4 0 R] >>"
        ),
        4: (
            b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo "
            b"<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> /DW 1000 >>"
        ),
        5: b"<< /Title <feff%s> >>" % title.encode("utf-16-be").hex().encode(),
    }
    for number, content in zip(numbers, contents, strict=True):
        objects[number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> %s >> >>" % (number + 1, resources)
        )
        objects[number + 1] = stream(content)
    return pdf_file(objects)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    data = zlib.compress(content)
    return (
        b"<< /Length %d /Filter /FlateDecode %s >>\nstream\n" % (len(data), entries)
        + data
        + b"\nendstream"
    )


def pdf_file(objects: Mapping[int, bytes], trailer: bytes = b"/Info 5 0 R") -> bytes:
    """A file of these objects, by number; 1 is the root."""
    file = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places: dict[int, int] = {}
    for number, content in objects.items():
        places[number] = len(file)
        file += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    start = len(file)
    size = max(objects) + 1
    file += b"xref\n0 %d\n" % size
    for number in range(size):
        place = places.get(number)
        file += b"%010d 65535 f \n" % 0 if place is None else b"%010d 00000 n \n" % place
    file += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (
        size, trailer, start,
    )  # fmt: skip
    return bytes(file)


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
