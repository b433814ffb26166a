from django.urls import path

from studio.comparisons import views

app_name = "comparisons"
urlpatterns = [
    path("", views.index, name="index"),
    path("samples/", views.samples, name="samples"),
    path("sample/", views.sample, name="sample"),
    path("parameters/", views.parameters, name="parameters"),
]
