from django.urls import path

from studio.launch import views

app_name = "launch"
urlpatterns = [
    path("launch/", views.launch, name="run"),
    path("recipe/", views.method, name="method"),
]
