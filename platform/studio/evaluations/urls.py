from django.urls import path

from studio.evaluations import views

app_name = "evaluations"
urlpatterns = [
    path("", views.index, name="index"),
    path("retention/", views.retention, name="retention"),
    path("text-overlap/", views.text_overlap, name="text_overlap"),
    path("speedup/", views.speedup, name="speedup"),
    path("published/", views.published_results, name="published"),
    path("rows/", views.rows, name="rows"),
    path("prepare/", views.prepare, name="prepare"),
]
