"""Signing in and out, one-time links, and what a person sets for themselves."""

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from studio.accounts import services
from studio.accounts.access import RoleRequiredError, UserRequest
from studio.accounts.forms import (
    ChangePasswordForm,
    NewAccountForm,
    NewPasswordForm,
    SignInForm,
)
from studio.accounts.links import link_find
from studio.accounts.models import OneTimeLink, User
from studio.accounts.preferences import remember_preferences
from studio.accounts.sign_in import sign_in_record_success
from studio.accounts.visitors import known_device, remember_device, visitor_of

Purpose = OneTimeLink.Purpose
_BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInView(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        sign_in_record_success(
            user=user,
            visitor=visitor_of(self.request),
            device=known_device(self.request, user.username),
        )
        response = super().form_valid(form)
        remember_device(self.request, response, user)
        remember_preferences(response, language=user.language, theme=user.theme)
        return response


@never_cache
@sensitive_post_parameters()
@login_not_required
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest, token: str) -> HttpResponse:
    """The first administrator makes their account by the link printed on the console."""
    link = link_find(purpose=Purpose.SETUP, token=token)
    if link is None:
        return _spent_link(request)
    form = NewAccountForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            user = services.setup_use(
                link=link,
                username=form.cleaned_data["username"],
                password=form.cleaned_data["password1"],
                language=get_language() or "",
            )
        except ValidationError as error:
            form.add_error(None, error)
        else:
            login(request, user, backend=_BACKEND)
            response = redirect("accounts:project_create")
            remember_device(request, response, user)
            return response
    return render(request, "accounts/setup.html", {"form": form})


@never_cache
@sensitive_post_parameters()
@login_not_required
@require_http_methods(["GET", "POST"])
def invite(request: HttpRequest, token: str) -> HttpResponse:
    """Somebody joins a project: with a new account, or with the one they are signed in with."""
    link = link_find(purpose=Purpose.INVITE, token=token)
    if link is None or link.project is None:
        return _spent_link(request)
    known_user = request.user if isinstance(request.user, User) else None
    form = NewAccountForm(None if known_user else _posted(request))
    if request.method == "POST" and (known_user or form.is_valid()):
        try:
            if known_user:
                user = known_user
                services.invite_accept(link=link, user=user)
            else:
                user = services.invite_accept_new(
                    link=link,
                    username=form.cleaned_data["username"],
                    password=form.cleaned_data["password1"],
                    language=get_language() or "",
                )
                login(request, user, backend=_BACKEND)
        except ValidationError:
            return _spent_link(request)
        response = redirect("home:index", link.project.slug)
        remember_device(request, response, user)
        return response
    return render(request, "accounts/invite.html", {"form": form, "link": link})


@never_cache
@sensitive_post_parameters()
@login_not_required
@require_http_methods(["GET", "POST"])
def reset(request: HttpRequest, token: str) -> HttpResponse:
    """Somebody sets a new password by the link an administrator gave them."""
    link = link_find(purpose=Purpose.PASSWORD_RESET, token=token)
    if link is None or link.user is None or not link.user.is_active:
        return _spent_link(request)
    form = NewPasswordForm(link.user, _posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            services.password_reset_use(link=link, password=form.cleaned_data["password1"])
        except ValidationError:
            return _spent_link(request)
        messages.success(request, _("The new password is set. Sign in with it."))
        response = redirect("accounts:sign_in")
        # Whoever was slowed down by strangers' guesses gets in from here.
        remember_device(request, response, link.user)
        return response
    return render(request, "accounts/reset.html", {"form": form, "link": link})


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def account(request: UserRequest) -> HttpResponse:
    """The person's own account: name, memberships, password."""
    form = ChangePasswordForm(request.user, _posted(request))
    if request.method == "POST" and form.is_valid():
        services.user_set_password(user=request.user, password=form.cleaned_data["password1"])
        update_session_auth_hash(request, request.user)
        messages.success(request, _("Your password is changed; other sessions have ended."))
        return redirect("accounts:account")
    memberships = request.user.memberships.select_related("project").order_by("project__name")
    return render(request, "accounts/account.html", {"form": form, "memberships": memberships})


@require_POST
@login_not_required
def preferences(request: HttpRequest) -> HttpResponse:
    """Language and theme are kept: in a cookie, and with the account of who is signed in.

    A script that has already shown the change gets no page; a form gets the one it came from.
    """
    is_script = request.headers.get("X-Requested-With") == "fetch"
    # Not `redirect`, which takes a text without a slash for the name of a view.
    response = HttpResponse(status=204) if is_script else HttpResponseRedirect(_next_page(request))
    changed = remember_preferences(
        response,
        language=request.POST.get("language", ""),
        theme=request.POST.get("theme", ""),
    )
    if request.user.is_authenticated and changed:
        for name in changed:
            setattr(request.user, name, request.POST[name])
        request.user.save(update_fields=changed)
    return response


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: says which roles may open the page."""
    roles = exception.roles if isinstance(exception, RoleRequiredError) else ()
    return render(
        request, "403.html", {"allowed_roles": [role.label for role in roles]}, status=403
    )


def _next_page(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_ours else "/"


def _spent_link(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/link_spent.html", status=404)


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None
