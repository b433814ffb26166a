from django.urls import path

from studio.quality import views, views_tokens

app_name = "quality"
urlpatterns = [
    path("versions/<int:version_id>/quality/", views.quality, name="quality"),
    path("versions/<int:version_id>/quality/progress/", views.progress, name="progress"),
    path("versions/<int:version_id>/quality/check/", views.check, name="check"),
    path("versions/<int:version_id>/quality/clean/", views.clean, name="clean"),
    path("versions/<int:version_id>/quality/flags/", views.flags, name="flags"),
    path("versions/<int:version_id>/tokens/", views_tokens.tokens, name="tokens"),
    path("tokens/<int:token_preview_id>/", views_tokens.token_preview, name="token_preview"),
    path(
        "tokens/<int:token_preview_id>/progress/",
        views_tokens.token_progress,
        name="token_progress",
    ),
]
