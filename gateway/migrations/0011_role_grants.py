"""What each role of staff was given is kept, so that later permissions reach those there are."""

from typing import Any

from django.db import migrations, models

# What roles were given when they were made, before it was kept.
BEFORE = {'support': {'accounts': ('view_user', 'view_apikey', 'change_apikey'),
             'billing': ('view_wallet', 'view_ledgeraccount', 'view_transfer', 'view_entry',
                         'view_subscription', 'view_invoice', 'view_invoiceseries',
                         'view_redemption', 'view_referral', 'view_notice', 'view_mail',
                         'view_preferences', 'view_customer', 'view_plan', 'view_addon',
                         'view_promocode', 'freeze_customer'),
             'payments': ('view_autotopup', 'view_dispute', 'view_planorder',
                          'view_quarantine', 'view_stripecustomer', 'view_stripeevent',
                          'view_topup'),
             'gateway': ('view_model', 'view_price', 'view_refusal', 'view_usageevent')},
 'finance': {'accounts': ('view_user', 'view_apikey'),
             'billing': ('view_wallet', 'view_ledgeraccount', 'view_transfer', 'view_entry',
                         'view_subscription', 'view_invoice', 'view_invoiceseries',
                         'view_redemption', 'view_referral', 'view_notice', 'view_mail',
                         'view_preferences', 'view_customer', 'adjust_balance',
                         'manage_subscription', 'freeze_customer', 'view_auditentry',
                         'view_plan', 'view_addon', 'add_promocode', 'change_promocode',
                         'view_promocode', 'change_referral', 'add_referralprogram',
                         'change_referralprogram', 'view_referralprogram'),
             'payments': ('view_autotopup', 'view_dispute', 'view_planorder',
                          'view_quarantine', 'view_stripecustomer', 'view_stripeevent',
                          'view_topup', 'replay_stripeevent', 'resolve_quarantine'),
             'gateway': ('view_model', 'view_price', 'view_refusal', 'view_usageevent',
                         'view_deadevent', 'view_usagequarantine',
                         'close_usagequarantine')},
 'catalogue': {'billing': ('add_plan', 'change_plan', 'view_plan', 'add_addon',
                           'change_addon', 'view_addon'),
               'gateway': ('add_model', 'change_model', 'view_model', 'add_price',
                           'view_price', 'add_alias', 'change_alias', 'delete_alias',
                           'view_alias', 'add_provider', 'change_provider',
                           'delete_provider', 'view_provider', 'add_offering',
                           'change_offering', 'delete_offering', 'view_offering',
                           'add_credential', 'change_credential', 'delete_credential',
                           'view_credential')}}


def note(apps: Any, schema_editor: Any) -> None:
    """Write down what the roles that are there have been given."""
    there = apps.get_model("auth", "Group").objects.values_list("name", flat=True)
    grant = apps.get_model("gateway", "RoleGrant")
    grant.objects.bulk_create(
        grant(role=role, app=app, codename=name)
        for role in there
        for app, names in BEFORE.get(role, {}).items()
        for name in names
    )


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("gateway", "0010_batch"),
    ]
    operations = [
        migrations.CreateModel(
            name="RoleGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("role", models.CharField(max_length=150)),
                ("app", models.CharField(max_length=100)),
                ("codename", models.CharField(max_length=100)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("role", "app", "codename"), name="role_granted_once")],
            },
        ),
        migrations.RunPython(note, migrations.RunPython.noop),
    ]
