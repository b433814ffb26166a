from django.urls import path

from studio.published import views

app_name = "published"
urlpatterns = [path("", views.index, name="index")]
