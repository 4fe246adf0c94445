from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.api import account_api, device_api, scim_api, sign_on_api, team_api
from accounts.api import scim as scim_docs
from accounts.leaks import api as leaks_api
from accounts.leaks import views as leaks
from accounts.pages import (
    account_views,
    confirming,
    device_views,
    legal_views,
    sign_on_views,
    team_views,
    token_views,
)

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("keys", account_api.Keys, basename="api-key")
router.register("tokens", account_api.Tokens, basename="api-token")

pages = [
    path("account", account_views.profile, name="account"),
    # Ahead of allauth's, whose link it is.
    path("account/confirm-email/<str:key>/", confirming.Confirm.as_view()),
    path("account/privacy", account_views.change_privacy, name="account-privacy"),
    path("account/delete", account_views.delete, name="account-delete"),
    path("leaked-key", leaks.report, name="leaked-key"),
    path("terms", legal_views.terms, name="legal-terms"),
    path("privacy", legal_views.privacy, name="legal-privacy"),
    path("refunds", legal_views.refunds, name="legal-refunds"),
    path("contact", legal_views.contact, name="legal-contact"),
    path("account/agree", legal_views.agree, name="account-agree"),
    path("account/tokens", token_views.tokens, name="tokens"),
    path("device", device_views.device, name="device"),
    path("oauth/device", device_api.authorize, name="oauth-device"),
    path("oauth/token", device_api.token, name="oauth-token"),
    path("oauth/revoke", device_api.revoke, name="oauth-revoke"),
    path(".well-known/oauth-authorization-server", device_api.metadata, name="oauth-metadata"),
    path("account/tokens/<int:pk>/revoke", token_views.revoke, name="token-revoke"),
    path("teams", team_views.teams, name="teams"),
    path("teams/new", team_views.new, name="team-new"),
    path("teams/switch", team_views.switch, name="team-switch"),
    path("teams/join/<str:token>", team_views.join, name="team-join"),
    path("team", team_views.team, name="team"),
    path("team/settings", team_views.settings, name="team-settings"),
    path("team/invite", team_views.invite, name="team-invite"),
    path("team/invitations/<int:pk>/revoke", team_views.take_back, name="team-take-back"),
    path("team/members/<int:pk>", team_views.member, name="team-member"),
    path("team/members/<int:pk>/remove", team_views.remove, name="team-remove"),
    path("team/members/<int:pk>/switch", team_views.member_switch, name="team-member-switch"),
    path("team/leave", team_views.leave, name="team-leave"),
    path("team/transfer", team_views.transfer, name="team-transfer"),
    path("team/delete", team_views.delete, name="team-delete"),
    path("team/audit", team_views.audit, name="team-audit"),
    path("team/sign-on", sign_on_views.settings_page, name="team-sign-on"),
    path("team/sign-on/domain", sign_on_views.domain, name="team-domain"),
    path("team/sign-on/scim", sign_on_views.scim_token, name="team-scim"),
    path("team/sign-on/groups/<int:pk>", sign_on_views.group, name="team-group"),
    path("sign-on", sign_on_views.find, name="sign-on-find"),
    path("sign-on/callback", sign_on_views.callback, name="sign-on-callback"),
    path("sign-on/<slug:slug>", sign_on_views.begin, name="sign-on"),
    path("domains/<int:pk>/<str:secret>", sign_on_views.prove, name="domain-proof"),
    path("keys", account_views.keys, name="keys"),
    path("keys/<int:pk>", account_views.key, name="key"),
    path("keys/<int:pk>/limits", account_views.limits, name="key-limits"),
    path("keys/<int:pk>/rotate", account_views.rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke", account_views.revoke, name="key-revoke"),
    path("keys/<int:pk>/switch", account_views.switch, name="key-switch"),
    path("keys/switch", account_views.switch_all, name="keys-switch"),
]
urlpatterns = [
    path("auth/register", account_api.Register.as_view(), name="register"),
    path("auth/login", account_api.Login.as_view(), name="login"),
    path("auth/refresh", account_api.RefreshSession.as_view(), name="refresh"),
    path("auth/logout", account_api.EndSession.as_view(), name="logout"),
    path("auth/me", account_api.Me.as_view(), name="me"),
    path("auth/me/privacy", account_api.Privacy.as_view(), name="privacy"),
    path("leaks/github", leaks_api.GitHub.as_view(), name="leaks-github"),
    path("teams", team_api.Teams.as_view(), name="api-teams"),
    path("teams/join", team_api.Join.as_view(), name="api-team-join"),
    path("teams/<int:pk>", team_api.Team.as_view(), name="api-team"),
    path("teams/<int:pk>/members", team_api.Members.as_view(), name="api-team-members"),
    path("teams/<int:pk>/members/<int:member>", team_api.Member.as_view(), name="api-team-member"),
    path(
        "teams/<int:pk>/invitations", team_api.Invitations.as_view(), name="api-team-invitations"
    ),
    path(
        "teams/<int:pk>/invitations/<int:invitation>",
        team_api.OneInvitation.as_view(),
        name="api-team-invitation",
    ),
    path("teams/<int:pk>/leave", team_api.Leave.as_view(), name="api-team-leave"),
    path("teams/<int:pk>/transfer", team_api.HandOver.as_view(), name="api-team-transfer"),
    path("teams/<int:pk>/sign-on", sign_on_api.TeamSignOn.as_view(), name="api-team-sign-on"),
    path("teams/<int:pk>/domains", sign_on_api.Domains.as_view(), name="api-team-domains"),
    path(
        "teams/<int:pk>/domains/<int:domain>",
        sign_on_api.Domain.as_view(),
        name="api-team-domain",
    ),
    path("teams/<int:pk>/scim-token", sign_on_api.ScimToken.as_view(), name="api-team-scim"),
    path("teams/<int:pk>/groups", sign_on_api.TeamGroups.as_view(), name="api-team-groups"),
    path(
        "teams/<int:pk>/groups/<int:group>",
        sign_on_api.TeamGroup.as_view(),
        name="api-team-group",
    ),
    path("teams/<int:pk>/events", team_api.Events.as_view(), name="api-team-events"),
    *router.urls,
]
scim = [
    path("Users", scim_api.Users.as_view(), name="scim-users"),
    path("Users/<str:pk>", scim_api.OneUser.as_view(), name="scim-user"),
    path("Groups", scim_api.Groups.as_view(), name="scim-groups"),
    path("Groups/<str:pk>", scim_api.OneGroup.as_view(), name="scim-group"),
    path("ServiceProviderConfig", scim_docs.Config.as_view(), name="scim-config"),
    path("ResourceTypes", scim_docs.Types.as_view(), name="scim-types"),
    path("Schemas", scim_docs.Schemas.as_view(), name="scim-schemas"),
]
