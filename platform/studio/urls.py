"""Addresses: sign-in and preferences at the top, everything of a project under /p/<slug>/."""

from django.urls import include, path

handler400 = "studio.pages.errors.bad_request"
handler403 = "studio.accounts.views.permission_denied"
handler404 = "studio.pages.errors.page_not_found"
handler500 = "studio.pages.errors.server_error"

urlpatterns = [
    path("", include("studio.home.urls")),
    path("", include("studio.accounts.urls")),
    path("", include("studio.storage.urls")),
    path("p/<slug:project>/datasets/", include("studio.datasets.urls")),
    path("p/<slug:project>/datasets/", include("studio.quality.urls")),
    path("p/<slug:project>/datasets/", include("studio.revisions.urls")),
    path("p/<slug:project>/registry/", include("studio.registry.urls")),
    path("p/<slug:project>/runs/", include("studio.launch.urls")),
    path("p/<slug:project>/runs/", include("studio.runs.urls")),
    path("p/<slug:project>/evaluations/published/", include("studio.published.urls")),
    path("p/<slug:project>/evaluations/", include("studio.evaluations.urls")),
    path("p/<slug:project>/comparisons/", include("studio.comparisons.urls")),
]
