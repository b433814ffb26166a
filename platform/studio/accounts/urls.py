from django.contrib.auth.views import LogoutView
from django.urls import path

from studio.accounts import views, views_members

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.SignInView.as_view(), name="sign_in"),
    path("sign-out/", LogoutView.as_view(), name="sign_out"),
    path("setup/<str:token>/", views.setup, name="setup"),
    path("invite/<str:token>/", views.invite, name="invite"),
    path("reset/<str:token>/", views.reset, name="reset"),
    path("account/", views.account, name="account"),
    path("preferences/", views.preferences, name="preferences"),
    path("audit/", views_members.site_audit, name="site_audit"),
    path("projects/new/", views_members.project_create, name="project_create"),
    path("p/<slug:project>/members/", views_members.members, name="members"),
    path("p/<slug:project>/members/invite/", views_members.invite_create, name="invite_create"),
    path(
        "p/<slug:project>/members/invitations/<int:link_id>/revoke/",
        views_members.invite_revoke,
        name="invite_revoke",
    ),
    path(
        "p/<slug:project>/members/<int:membership_id>/role/",
        views_members.set_role,
        name="set_role",
    ),
    path(
        "p/<slug:project>/members/<int:membership_id>/remove/",
        views_members.remove,
        name="remove",
    ),
    path(
        "p/<slug:project>/members/<int:membership_id>/disable/",
        views_members.disable,
        name="disable",
    ),
    path(
        "p/<slug:project>/members/<int:membership_id>/enable/",
        views_members.enable,
        name="enable",
    ),
    path(
        "p/<slug:project>/members/<int:membership_id>/reset/",
        views_members.reset_create,
        name="reset_create",
    ),
    path("p/<slug:project>/audit/", views_members.audit, name="audit"),
]
