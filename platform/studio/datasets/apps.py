from collections.abc import Iterable
from typing import ClassVar

from django.apps import AppConfig
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from pipeline.contracts.row_error_phrases import ROW_ERROR_PHRASES
from pipeline.contracts.row_errors import ROW_ERROR_TEXTS
from pipeline.contracts.workbook_notes import WORKBOOK_NOTE_TEXTS


class DatasetsConfig(AppConfig):
    name = "studio.datasets"
    label = "datasets"
    audit_actions: ClassVar[dict[str, Promise]] = {
        "dataset.upload": _("uploaded a file"),
        "dataset.preview": _("looked at an uploaded file"),
        "dataset.save_mapping": _("saved what columns mean"),
        "dataset.forget_mapping": _("removed what columns were said to mean"),
        "dataset.import": _("started reading an uploaded file"),
        "dataset.discard": _("discarded an uploaded file"),
        "dataset.publish": _("published a data set version"),
        "dataset.delete_version": _("deleted a data set version"),
    }

    def catalog_messages(self) -> Iterable[str]:
        """The words of row errors and notes; they stand in the pipeline and are translated here."""
        for text in ROW_ERROR_TEXTS.values():
            yield from text
        yield from ROW_ERROR_PHRASES
        yield from WORKBOOK_NOTE_TEXTS.values()
