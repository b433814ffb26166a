from django.urls import path

from studio.runs import live, views, views_plans, views_workers

app_name = "runs"
_RUN = "<uuid:run_id>/"
_PLAN = "plans/<uuid:plan_id>/"
urlpatterns = [
    path("", views.index, name="index"),
    path("workers/", views_workers.workers, name="workers"),
    path("plans/", views_plans.plans, name="plans"),
    path(_PLAN, views_plans.plan, name="plan"),
    path(_PLAN + "status/", views_plans.plan_status, name="plan_status"),
    path(_PLAN + "cancel/", views_plans.plan_cancel, name="plan_cancel"),
    path(_PLAN + "restart/", views_plans.plan_restart, name="plan_restart"),
    path(_RUN, views.detail, name="detail"),
    path(_RUN + "status/", live.status, name="status"),
    path(_RUN + "metrics/", live.metrics, name="metrics"),
    path(_RUN + "events/", live.events, name="events"),
    path(_RUN + "log/", live.log, name="log"),
    path(_RUN + "cancel/", views.cancel, name="cancel"),
    path(_RUN + "resume/", views.resume, name="resume"),
    path(_RUN + "clone/", views.clone, name="clone"),
]
