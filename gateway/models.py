"""Every model of the app, for Django. Their rooms define them; code imports them from there."""

from gateway.archive.models import UsageBroughtForward
from gateway.batches.models import Batch, BatchRequest, FilePiece, StoredFile
from gateway.catalogue.costs.models import FeatureCost, MarkUp, VendorPrice
from gateway.catalogue.features.models import Feature, FeaturePrice, LeftOut
from gateway.catalogue.models import Alias, Model, Price
from gateway.catalogue.own_prices.models import CustomerPrice
from gateway.dashboard.models import RoleGrant, SavedView
from gateway.pricing.models import Proposal
from gateway.reconciliation.models import ProvenMonth, ProvenUsage
from gateway.reconciliation.vendors.models import (
    MarginAlarm,
    ReportSource,
    VendorBill,
    VendorDifference,
    VendorImport,
    VendorName,
)
from gateway.stores.models import Node, StoreEpoch
from gateway.usage.corrections.models import CorrectedAccount, CorrectedRequest, Correction
from gateway.usage.models import DeadEvent, FeatureUse, OwnKeyHour, Refusal, UsageEvent, UsageHour
from gateway.usage.probes import VendorProbe
from gateway.usage.quarantine.models import UsageQuarantine
from gateway.usage.vendor_day import UsageVendorDay
from gateway.vendors.models import Credential, Dialect, Offering, Provider, Vendor
from gateway.vendors.own_keys.models import OwnKey, OwnKeyFee
from gateway.vendors.routing.models import RouteTerms, Routing
from gateway.vendors.web.models import SearchProvider

__all__ = [
    "Alias",
    "Batch",
    "BatchRequest",
    "CorrectedAccount",
    "CorrectedRequest",
    "Correction",
    "Credential",
    "CustomerPrice",
    "DeadEvent",
    "Dialect",
    "Feature",
    "FeatureCost",
    "FeaturePrice",
    "FeatureUse",
    "FilePiece",
    "LeftOut",
    "MarginAlarm",
    "MarkUp",
    "Model",
    "Node",
    "Offering",
    "OwnKey",
    "OwnKeyFee",
    "OwnKeyHour",
    "Price",
    "Proposal",
    "ProvenMonth",
    "ProvenUsage",
    "Provider",
    "Refusal",
    "ReportSource",
    "RoleGrant",
    "RouteTerms",
    "Routing",
    "SavedView",
    "SearchProvider",
    "StoreEpoch",
    "StoredFile",
    "UsageBroughtForward",
    "UsageEvent",
    "UsageHour",
    "UsageQuarantine",
    "UsageVendorDay",
    "Vendor",
    "VendorBill",
    "VendorDifference",
    "VendorImport",
    "VendorName",
    "VendorPrice",
    "VendorProbe",
]
