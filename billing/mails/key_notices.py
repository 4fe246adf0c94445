"""What happens to an account's keys that its owner must hear of.

Keys are made in accounts, which knows no notices: so we look. A lost look is made up by the next.
"""

from datetime import datetime, timedelta

from accounts.models import ApiKey, PersonalToken
from billing.mails import notices
from billing.mails.models import Notice

LOOK_BACK = timedelta(hours=1)


def notice_new_keys(now: datetime) -> int:
    """Tell the owners of keys and tokens made in the last hour, once; how many."""
    new: dict[str, ApiKey | PersonalToken] = {
        f"key:{key.pk}": key for key in ApiKey.objects.filter(created_at__gte=now - LOOK_BACK)
    }
    tokens = PersonalToken.objects.filter(created_at__gte=now - LOOK_BACK)
    new |= {f"token:{token.pk}": token for token in tokens}
    noticed = set(Notice.objects.filter(key__in=new).values_list("key", flat=True))
    for name in sorted(new.keys() - noticed):
        key = new[name]
        facts = {"key_name": key.name, "shown": f"{key.prefix}…{key.last4}"}
        notices.tell(user_id=key.user_id, kind="new_key", key=name, facts=facts)
    return len(new) - len(noticed)
