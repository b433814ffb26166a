from django.urls import path

from studio.evaluations import views, views_benchmarks, views_rows

app_name = "evaluations"
urlpatterns = [
    path("", views.index, name="index"),
    path("retention/", views.retention, name="retention"),
    path("text-overlap/", views.text_overlap, name="text_overlap"),
    path("benchmarks/", views_benchmarks.benchmarks, name="benchmarks"),
    path("speedup/", views.speedup, name="speedup"),
    path("rows/", views_rows.rows, name="rows"),
    path("prepare/", views_rows.prepare, name="prepare"),
]
