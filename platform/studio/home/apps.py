from django.apps import AppConfig


class HomeConfig(AppConfig):
    name = "studio.home"
    label = "home"
