from django.urls import path

from studio.datasets import views, views_versions

app_name = "datasets"
urlpatterns = [
    path("", views.index, name="index"),
    path("example/", views.example, name="example"),
    path("upload/", views.upload, name="upload"),
    path("<int:dataset_id>/", views.dataset, name="dataset"),
    path("imports/<int:import_id>/", views.report, name="report"),
    path("imports/<int:import_id>/progress/", views.progress, name="progress"),
    path("imports/<int:import_id>/rejected.csv", views.rejects, name="rejects"),
    path("imports/<int:import_id>/again/", views.again, name="again"),
    path("imports/<int:import_id>/commit/", views.commit, name="commit"),
    path("imports/<int:import_id>/discard/", views.discard, name="discard"),
    path("versions/<int:version_id>/", views_versions.version, name="version"),
    path("versions/<int:version_id>/rows.jsonl", views_versions.rows, name="rows"),
    path("versions/<int:version_id>/rows/<int:index>/", views_versions.row, name="row"),
    path("versions/<int:version_id>/delete/", views_versions.delete, name="delete"),
]
