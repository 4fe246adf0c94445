"""What only some shops have: its tables are in nobody's sidebar where it is not set up, unless it
was once, and has left something."""

from billing.payments.einvoice import sepay_einvoice
from billing.payments.einvoice.models import EInvoice
from billing.payments.vietqr import bank_orders
from billing.payments.vietqr.models import BankOrder, BankTransfer


def bank_transfers() -> bool:
    """Money from Vietnam."""
    return (
        bool(bank_orders.gateways()) or BankTransfer.objects.exists() or BankOrder.objects.exists()
    )


def e_invoices() -> bool:
    """Hand-over to Vietnam's tax office."""
    return sepay_einvoice.configured() or EInvoice.objects.exists()
