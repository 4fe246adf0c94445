"""Staff's pages of billing, for Django: billing/staff/ has them."""

from billing.staff import bank_admin as bank_admin
from billing.staff import books_admin as books_admin
from billing.staff import channel_admin as channel_admin
from billing.staff import customer_admin as customer_admin
from billing.staff import e_invoice_admin as e_invoice_admin
from billing.staff import mail_admin as mail_admin
from billing.staff import month_admin as month_admin
from billing.staff import payment_admin as payment_admin
from billing.staff import plan_admin as plan_admin
from billing.staff import reward_admin as reward_admin
