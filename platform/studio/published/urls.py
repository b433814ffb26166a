from django.urls import path

from studio.published import views, views_reproduction

app_name = "published"
urlpatterns = [
    path("", views.index, name="index"),
    path("reproduction/", views_reproduction.reproduction, name="reproduction"),
]
