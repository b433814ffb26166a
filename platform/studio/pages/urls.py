from django.urls import path

from studio.pages import views

app_name = "pages"
urlpatterns = [
    path("", views.projects, name="projects"),
    path("preferences/", views.preferences, name="preferences"),
    path("p/<slug:project>/", views.home, name="home"),
]
