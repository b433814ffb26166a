from django.urls import path

from studio.revisions import views, views_append, views_compare, views_labels, views_status

app_name = "revisions"
urlpatterns = [
    path("versions/<int:version_id>/rows/<int:index>/edit/", views.edit, name="edit"),
    path("versions/<int:version_id>/rows/<int:index>/remove/", views.remove, name="remove"),
    path("versions/<int:version_id>/trim/", views.trim, name="trim"),
    path("versions/<int:version_id>/map-value/", views.map_value, name="map_value"),
    path("versions/<int:version_id>/changes/", views.changes, name="changes"),
    path(
        "versions/<int:version_id>/changes/<int:change_id>/take-back/",
        views.take_back,
        name="take_back",
    ),
    path("versions/<int:version_id>/tags/", views_labels.tag, name="tag"),
    path("versions/<int:version_id>/tags/<int:tag_id>/remove/", views_labels.untag, name="untag"),
    path("versions/<int:version_id>/remarks/", views_labels.remark, name="remark"),
    path("imports/<int:import_id>/append/", views_append.append, name="append"),
    path("imports/<int:import_id>/rejected/<int:index>/", views_append.repair, name="repair"),
    path("revisions/<int:revision_id>/", views_status.status, name="status"),
    path("revisions/<int:revision_id>/progress/", views_status.progress, name="progress"),
    path("<int:dataset_id>/compare/", views_compare.compare, name="compare"),
    path("comparisons/<int:comparison_id>/", views_compare.differences, name="differences"),
    path(
        "comparisons/<int:comparison_id>/progress/",
        views_compare.compare_progress,
        name="compare_progress",
    ),
]
