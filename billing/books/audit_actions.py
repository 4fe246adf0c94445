"""What the audit calls the deeds of staff, for its list to be narrowed by and for translators.

The audit takes any other word, too; a deed that is not here is shown as it is written.
"""

from django.utils.translation import gettext_noop as _

ACTIONS = (
    *(_("add"), _("change"), _("delete"), _("export"), _("import"), _("close"), _("replay")),
    *(_("resolve"), _("release"), _("withdraw"), _("approve"), _("reject"), _("other")),
    # customers
    *(_("create customer"), _("delete customer"), _("export customer"), _("freeze")),
    *(_("unfreeze"), _("freeze ring"), _("unfreeze ring"), _("look as customer")),
    *(_("note"), _("end looking"), _("raise limits"), _("lower limits"), _("extend trial")),
    _("buy reset pass"),
    *(_("cancel subscription"), _("resume subscription"), _("end subscription")),
    *(
        _("revoke leaked key"),
        _("add own key"),
        _("change own key"),
        _("test own key"),
        _("remove own key"),
    ),
    # money
    *(_("adjust balance"), _("request credit"), _("approved credit"), _("declined credit")),
    *(_("refund"), _("answer dispute"), _("give up dispute"), _("close month")),
    *(_("correct requests"), _("make default")),
    *(_("set rate"), _("decline rate"), _("book transfer"), _("replace e-invoice")),
    *(_("request bank refund"), _("send bank refund"), _("decline bank refund")),
    _("retry e-invoice"),
    # the catalogue and the watch
    *(_("add price"), _("withdraw price"), _("change aliases"), _("allow"), _("forget")),
    *(_("price feature"), _("sell below cost"), _("accept proposal"), _("decline proposal")),
    *(_("look"), _("new secret"), _("open"), _("acknowledged"), _("closed")),
)
