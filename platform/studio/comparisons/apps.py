from django.apps import AppConfig


class ComparisonsConfig(AppConfig):
    name = "studio.comparisons"
    label = "comparisons"
