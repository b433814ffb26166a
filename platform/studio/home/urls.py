from django.urls import path

from studio.home import health, views

app_name = "home"
urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("", views.projects, name="projects"),
    path("p/<slug:project>/", views.index, name="index"),
]
