"""The card of a version's page: `{% load quality %}{% quality_card version %}`."""

from django import template
from django.template import RequestContext

from studio.datasets.models import DatasetKind, DatasetVersion
from studio.quality.cleanings import cleaning_that_made
from studio.quality.summaries import quality_summary

register = template.Library()


@register.inclusion_tag("quality/_card.html", takes_context=True)
def quality_card(context: RequestContext, version: DatasetVersion) -> dict[str, object]:
    """What is known of the version, and the ways to its quality and its tokens."""
    return {
        "project": context["project"],
        "version": version,
        "summary": quality_summary(version),
        "made_by": cleaning_that_made(version),
        "has_tokens": version.dataset.kind != DatasetKind.MULTIPLE_CHOICE,
    }
