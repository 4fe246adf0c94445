"""Pages, and what is under /api/. The paid traffic is in v1.py and never reaches Django."""

from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from gateway.dashboard import api, cost_api, member_api, own_key_api, vendor_health_api
from gateway.dashboard.consumers import Dashboard
from gateway.dashboard.views import (
    batch_views,
    documentation_views,
    export_views,
    member_views,
    own_key_views,
    playground_views,
    pricing_views,
    proof_views,
    public_views,
    receipt_views,
    usage_views,
)
from gateway.dashboard.views.data_views import data_export
from gateway.reconciliation.vendors import api as vendorbills

pages = [
    path("", public_views.home, name="home"),
    path("models", public_views.models, name="models"),
    path("models/<str:name>", public_views.model, name="model"),
    path("pricing", pricing_views.pricing, name="pricing"),
    path("status", public_views.status, name="status"),
    path("docs", documentation_views.index, name="docs"),
    path("docs/search", documentation_views.search, name="docs-search"),
    path("docs/<slug:slug>", documentation_views.page, name="docs-page"),
    re_path(r"^docs/(?P<slug>[-\w]+)\.md\Z", documentation_views.markdown, name="docs-markdown"),
    path("llms.txt", documentation_views.llms, name="llms-txt"),
    path("openapi/v1.json", documentation_views.v1_schema, name="v1-schema"),
    re_path(r"^errors/(?P<code>[a-z0-9_]{1,60})\Z", documentation_views.error, name="error-code"),
    path("overview", usage_views.overview, name="overview"),
    path("usage", usage_views.usage, name="usage-log"),
    path("usage.csv", export_views.requests_csv, name="usage-export"),
    path("usage.parquet", export_views.requests_parquet, name="usage-export-parquet"),
    path("usage/hours.csv", export_views.hours_csv, name="usage-hours"),
    path("usage/hours.parquet", export_views.hours_parquet, name="usage-hours-parquet"),
    path("usage/views", usage_views.save_view, name="usage-view-save"),
    path("usage/views/<int:pk>/remove", usage_views.remove_view, name="usage-view-remove"),
    path("usage/refusals", usage_views.refusals, name="usage-refusals"),
    path("usage/batches", batch_views.batches, name="batches"),
    path("usage/batches/<str:batch_id>/results", batch_views.batch_results, name="batch-results"),
    path("usage/batches/<str:batch_id>/cancel", batch_views.batch_cancel, name="batch-cancel"),
    path("verify", proof_views.check, name="verify"),
    path("verify.pyz", proof_views.program, name="verify-program"),
    path("proof", proof_views.proof, name="proof"),
    path("proof.json", proof_views.roots, name="proof-roots"),
    path(".well-known/hontoni-receipts.json", proof_views.keys, name="receipt-keys"),
    path("receipts/<str:token>", proof_views.shared, name="shared-receipt"),
    re_path(
        r"^usage/(?P<request_id>req_[0-9a-f]{32})\.(?P<ending>json|pdf)\Z",
        receipt_views.receipt_file,
        name="usage-receipt-file",
    ),
    path("usage/<str:request_id>/share", receipt_views.share, name="usage-receipt-share"),
    path("usage/<str:request_id>", receipt_views.receipt, name="usage-receipt"),
    path("team/usage", member_views.usage, name="team-usage"),
    path("team/usage.csv", member_views.usage_csv, name="team-usage-csv"),
    path("own-keys", own_key_views.own_keys, name="own-keys"),
    path("own-keys/<int:pk>", own_key_views.own_key, name="own-key"),
    path("own-keys/<int:pk>/test", own_key_views.test, name="own-key-test"),
    path("own-keys/<int:pk>/remove", own_key_views.remove, name="own-key-remove"),
    path("playground", playground_views.playground, name="playground"),
    path("account/export", data_export, name="data-export"),
]
sockets = [
    path("live", Dashboard.as_asgi()),
    re_path("", WebsocketDenier.as_asgi()),  # or any other path is an error of ours
]
urlpatterns = [
    path("models", api.ModelsView.as_view(), name="api-models"),
    path("teams/<int:pk>/usage", member_api.MembersUsage.as_view(), name="api-team-usage"),
    path("usage", api.UsageListView.as_view(), name="usage"),
    path("usage/refusals", api.RefusalsView.as_view(), name="refusals"),
    path("usage/refusals/<str:request_id>", api.RefusalView.as_view(), name="refusal"),
    path("usage/summary", api.SummaryView.as_view(), name="usage-summary"),
    path("cost", cost_api.CostView.as_view(), name="api-cost"),
    path("usage/<str:request_id>", api.ReceiptView.as_view(), name="receipt"),
    path("usage/<str:request_id>/signed", api.SignedReceiptView.as_view(), name="signed-receipt"),
    path("staff/vendor-bills", vendorbills.VendorBillsView.as_view(), name="vendor-bills"),
    path("own-keys", own_key_api.OwnKeysView.as_view(), name="api-own-keys"),
    path("own-keys/<int:pk>", own_key_api.OwnKeyView.as_view(), name="api-own-key"),
    path("own-keys/<int:pk>/test", own_key_api.OwnKeyTestView.as_view(), name="api-own-key-test"),
    path(
        "staff/vendor-bills/differences",
        vendorbills.DifferencesView.as_view(),
        name="vendor-bill-differences",
    ),
    path(
        "staff/vendor-health", vendor_health_api.VendorHealthView.as_view(), name="vendor-health"
    ),
    path("staff/margins", vendorbills.MarginsView.as_view(), name="margins"),
]
