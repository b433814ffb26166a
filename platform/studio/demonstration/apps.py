from django.apps import AppConfig


class DemonstrationConfig(AppConfig):
    name = "studio.demonstration"
    label = "demonstration"
