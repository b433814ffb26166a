"""What the members of a zip archive are called, when the archive does not say in which encoding.

Windows in China writes names in GBK without a word about it; the format's own default is the
character set of the first IBM PC. All names of an archive were written by one program, so that one
encoding is decided for all of them.
"""

import struct
import zipfile
import zlib
from collections.abc import Sequence

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
"""Extra field in which some programs put the name once more, in UTF-8."""
_FIRST_WITHOUT_SHORT_FORM = "\u0800"
"""UTF-8 needs three bytes from here on, where Chinese is."""


def member_names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The name of each member, in the order of `infos`, exactly as its author saw it.

    UTF-8 where the archive says so or all other names are valid in it; else GB18030, which
    contains GBK, if they are valid in that; else the format's default. Names that are valid in both
    and have only characters of two bytes in UTF-8, such as Latin letters with accents, are taken
    for GBK: they would be common Chinese words.
    """
    raw = {
        index: info.orig_filename.encode("cp437")
        for index, info in enumerate(infos)
        if not info.flag_bits & _UTF8_FLAG
    }
    encoding = _encoding([name for name in raw.values() if not name.isascii()])
    names = []
    for index, info in enumerate(infos):
        if index not in raw:
            names.append(info.orig_filename)
        else:
            names.append(_unicode_path(info, raw[index]) or raw[index].decode(encoding))
    return names


def _encoding(names: Sequence[bytes]) -> str:
    utf8, gb18030 = _decoded(names, "utf-8"), _decoded(names, "gb18030")
    if utf8 is None:
        return "cp437" if gb18030 is None else "gb18030"
    is_chinese = any(c >= _FIRST_WITHOUT_SHORT_FORM for name in utf8 for c in name)
    return "utf-8" if is_chinese or gb18030 is None else "gb18030"


def _decoded(names: Sequence[bytes], encoding: str) -> list[str] | None:
    try:
        return [name.decode(encoding) for name in names]
    except UnicodeDecodeError:
        return None


def _unicode_path(info: zipfile.ZipInfo, raw: bytes) -> str | None:
    """The name of the extra field, if it is of this name and not of an earlier one."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        content, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(content) > 5 and content[0] == 1:
            if struct.unpack("<L", content[1:5])[0] != zlib.crc32(raw):
                return None
            try:
                return content[5:].decode()
            except UnicodeDecodeError:
                return None
    return None
