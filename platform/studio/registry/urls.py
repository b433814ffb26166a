from django.urls import path

from studio.registry import views

app_name = "registry"
urlpatterns = [
    path("", views.index, name="index"),
    path("lineage/", views.lineage, name="lineage"),
    path("import/", views.import_model, name="import"),
    path("imports/<uuid:import_run_id>/", views.import_status, name="import_status"),
    path("imports/<uuid:import_run_id>/progress/", views.import_progress, name="import_progress"),
    path("<int:checkpoint_id>/", views.checkpoint, name="checkpoint"),
    path("<int:checkpoint_id>/delete/", views.delete, name="delete"),
]
