from django.urls import path

from studio.storage import views

app_name = "storage"
urlpatterns = [
    path("storage/", views.site, name="site"),
    path("storage/free/", views.site_free, name="site_free"),
    path("p/<slug:project>/storage/", views.index, name="index"),
    path("p/<slug:project>/storage/free/", views.free, name="free"),
]
