from django.apps import AppConfig


class PublishedConfig(AppConfig):
    name = "studio.published"
    label = "published"
