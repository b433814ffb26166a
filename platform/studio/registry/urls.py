from django.urls import path

from studio.registry import views, views_certificates

app_name = "registry"
urlpatterns = [
    path("", views.index, name="index"),
    path("lineage/", views.lineage, name="lineage"),
    path("import/", views.import_model, name="import"),
    path("imports/<uuid:import_run_id>/", views.import_status, name="import_status"),
    path("imports/<uuid:import_run_id>/progress/", views.import_progress, name="import_progress"),
    path("certificates/key.pem", views_certificates.signing_key, name="signing_key"),
    path("certificates/<int:certificate_id>.json", views_certificates.download, name="certificate"),
    path("<int:checkpoint_id>/", views.checkpoint, name="checkpoint"),
    path("<int:checkpoint_id>/delete/", views.delete, name="delete"),
]
