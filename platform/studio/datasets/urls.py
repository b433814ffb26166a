from django.urls import path

from studio.datasets import (
    views,
    views_exports,
    views_imports,
    views_previews,
    views_versions,
)

app_name = "datasets"
urlpatterns = [
    path("", views.index, name="index"),
    path("example/", views.example, name="example"),
    path("upload/", views.upload, name="upload"),
    path("<int:dataset_id>/", views.dataset, name="dataset"),
    path("previews/<int:preview_id>/", views_previews.preview, name="preview"),
    path(
        "previews/<int:preview_id>/progress/",
        views_previews.preview_progress,
        name="preview_progress",
    ),
    path("previews/<int:preview_id>/forget/", views_previews.forget, name="forget"),
    path("previews/<int:preview_id>/discard/", views_previews.discard, name="preview_discard"),
    path("imports/<int:import_id>/checking/", views_imports.checking, name="checking"),
    path("imports/<int:import_id>/progress/", views_imports.progress, name="progress"),
    path("imports/<int:import_id>/", views_imports.report, name="report"),
    path("imports/<int:import_id>/rejected/", views_exports.rejects, name="rejects"),
    path("imports/<int:import_id>/again/", views_imports.again, name="again"),
    path("imports/<int:import_id>/commit/", views_imports.commit, name="commit"),
    path("imports/<int:import_id>/discard/", views_imports.discard, name="discard"),
    path("versions/<int:version_id>/", views_versions.version, name="version"),
    path("versions/<int:version_id>/rows.<str:suffix>", views_exports.rows, name="rows"),
    path("versions/<int:version_id>/rows/<int:index>/", views_versions.row, name="row"),
    path("versions/<int:version_id>/delete/", views_versions.delete, name="delete"),
]
