from django.apps import AppConfig


class MeasuresConfig(AppConfig):
    name = "studio.measures"
    label = "measures"
