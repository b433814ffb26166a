from django.urls import path

from studio.home import views

app_name = "home"
urlpatterns = [
    path("", views.projects, name="projects"),
    path("p/<slug:project>/", views.index, name="index"),
]
