"""Why an import failed, in the reader's language.

The pipeline's message names the file and the value in English; what it means and what to do is
said here by code.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class ErrorText(NamedTuple):
    """What was wrong and what to do."""

    title: str | Promise
    remedy: str | Promise


UNKNOWN = ErrorText(
    _("The import failed"),
    _("Look at the run's log, or ask an administrator."),
)
ERROR_TEXTS: Mapping[str, ErrorText] = {
    "model.not_found": ErrorText(
        _("There is no complete model in the folder"),
        _("The folder needs config.json, the weights as safetensors, and all parts of them."),
    ),
    "model.unsafe_file": ErrorText(
        _("The model contains something that could run code"),
        _(
            "Program files, pickles (.bin, .pt, .pth, .ckpt), archives, links that lead out of the "
            "folder and settings that import code or other weights are refused. Save the model "
            "again as safetensors and leave these files out."
        ),
    ),
    "model.unsupported": ErrorText(
        _("This kind of model is not supported"),
        _("Import a decoder-only model of a listed architecture, unquantised or as GGUF."),
    ),
    "model.corrupt_file": ErrorText(
        _("A file of the model is damaged, or the files do not belong together"),
        _("Copy the model again from its source and compare the checksums."),
    ),
    "model.digest_mismatch": ErrorText(
        _("The model is not the one that was expected"),
        _("Copy the model again, or import it anew to accept what is there now."),
    ),
    "model.no_space": ErrorText(
        _("There is not enough free space for a copy of the model"),
        _("Free some space in the data directory and import again."),
    ),
    "model.template_limit": ErrorText(
        _("The model's chat template takes too much time or memory"),
        _("Use the chat_template.jinja of the model it was trained from and import again."),
    ),
    "storage.full": ErrorText(
        _("There is not enough free space for a copy of the model"),
        _("Free some space in the data directory and import again."),
    ),
    "worker.lost": ErrorText(
        _("The process that imported the model died several times"),
        _("Import again; if it happens again, the machine has too little memory or disk."),
    ),
}


def error_text(code: str) -> ErrorText:
    """What to tell a person about an error code."""
    return ERROR_TEXTS.get(code, UNKNOWN)
