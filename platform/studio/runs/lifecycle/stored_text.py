"""What a child wrote, as a database can hold it."""


def without_nul(document: str) -> str:
    """PostgreSQL stores no NUL, not even escaped in JSON; a model's output may hold one."""
    return document.replace("\\u0000", "\\ufffd").replace("\x00", "\ufffd")
