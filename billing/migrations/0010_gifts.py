"""One person, one gift: by what accounts are known, and which gifts they have had.

Nothing that there is changes. What was given before is written down as taken, so that nobody has it
again under another spelling of their address.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from accounts.people.mailboxes import mailbox
from billing.rewards.fingerprints import digest

_BATCH = 2_000


def write_down(apps, schema_editor):
    _mailboxes(apps)
    _cards(apps)
    _gifts(apps)


def _mailboxes(apps):
    """Confirmed addresses, and those of accounts that were given something without."""
    User, Mark = apps.get_model("accounts", "User"), apps.get_model("billing", "Mark")
    EmailAddress = apps.get_model("account", "EmailAddress")
    found = list(EmailAddress.objects.filter(verified=True).values_list("user_id", "email"))
    gifted = models.Q(wallet__isnull=False) | models.Q(redemptions__isnull=False)
    gifted |= models.Q(referred_by__isnull=False)
    people = User.objects.filter(gifted, is_active=True).distinct()
    found += list(people.values_list("pk", "email"))
    rows = (
        Mark(user_id=user_id, kind="mailbox", digest=digest("mailbox", mailbox(email)))
        for user_id, email in found
        if not email.endswith("@deleted.invalid")
    )
    Mark.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)


def _cards(apps):
    Card, Mark = apps.get_model("billing", "Card"), apps.get_model("billing", "Mark")
    rows = (
        Mark(user_id=user_id, kind="card", digest=digest("card", fingerprint))
        for user_id, fingerprint in Card.objects.values_list("user_id", "fingerprint")
    )
    Mark.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)


def _gifts(apps):
    Transfer, Redemption, Referral, Mark, Claim = (
        apps.get_model("billing", name)
        for name in ("Transfer", "Redemption", "Referral", "Mark", "Claim")
    )
    keys = Transfer.objects.filter(kind="signup").values_list("key", flat=True)
    given = [(int(key.partition(":")[2]), "signup") for key in keys.order_by("pk")]
    given += [
        (user_id, f"promo:{code_id}:{number}")
        for user_id, code_id, number in Redemption.objects.order_by("pk").values_list(
            "user_id", "code_id", "number"
        )
    ]
    invited = Referral.objects.order_by("pk").values_list("invitee_id", flat=True)
    given += [(user_id, "referral") for user_id in invited]
    marks = {}
    for user_id, found in Mark.objects.values_list("user_id", "digest"):
        marks.setdefault(user_id, []).append(found)
    rows = (
        Claim(gift=gift, digest=found, user_id=user_id)
        for user_id, gift in given
        for found in marks.get(user_id, ())
    )
    Claim.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)


class Migration(migrations.Migration):

    dependencies = [
        ('account', '0009_emailaddress_unique_primary_email'),
        ('billing', '0009_exact_invoices'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='redemption',
            name='refused',
            field=models.CharField(blank=True, db_default='', default='', help_text='The mark by which the same person had it under another account.', max_length=10),
        ),
        migrations.AddField(
            model_name='referral',
            name='confirmed',
            field=models.BooleanField(db_default=True, default=False),
        ),
        migrations.CreateModel(
            name='Claim',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('gift', models.CharField(max_length=60)),
                ('digest', models.CharField(max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='claims', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('gift', 'digest'), name='claim_once_a_mark')],
            },
        ),
        migrations.CreateModel(
            name='Mark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('mailbox', 'Mailbox'), ('card', 'Card'), ('browser', 'Browser')], max_length=10)),
                ('digest', models.CharField(db_index=True, max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='marks', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'digest'), name='mark_once_a_user')],
            },
        ),
        migrations.RunPython(write_down, migrations.RunPython.noop),
    ]
