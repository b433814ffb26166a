from django.apps import AppConfig


class StackConfig(AppConfig):
    name = "studio.stack"
    label = "stack"
