"""What a VietQR code says: EMVCo's merchant-presented code with Napas's account template.

Fields are an id, a length and a value; the last is a CRC of everything before it, its own id and
length included (EMV QR Code Specification for Payment Systems, 4.7.3: CRC-16/CCITT-FALSE).
"""

import io

from django.utils.safestring import SafeString, mark_safe

NAPAS, TO_ACCOUNT = "A000000727", "QRIBFTTA"
DONG, VIETNAM = "704", "VN"
MOST_CONTENT = 25


def payload(*, bank: str, account: str, dong: int, content: str) -> str:
    """The text of a code that pays so many dong to an account. Raises ValueError for what no
    bank's application would read."""
    if not (len(bank) == 6 and bank.isdecimal() and bank.isascii()):
        raise ValueError(f"not a bank: {bank!r}")
    if not (account.isascii() and account.isalnum() and len(account) <= 19):
        raise ValueError(f"not an account: {account!r}")
    if not (content.isascii() and content and len(content) <= MOST_CONTENT and dong > 0):
        raise ValueError(f"not a transfer: {dong} {content!r}")
    beneficiary = _field("00", bank) + _field("01", account)
    template = _field("00", NAPAS) + _field("01", beneficiary) + _field("02", TO_ACCOUNT)
    text = (
        f"{_field('00', '01')}{_field('01', '12')}{_field('38', template)}{_field('53', DONG)}"
        f"{_field('54', str(dong))}{_field('58', VIETNAM)}"
        f"{_field('62', _field('08', content))}6304"
    )
    return text + crc(text)


def _field(id: str, value: str) -> str:
    return f"{id}{len(value):02}{value}"


def crc(text: str) -> str:
    """Four hexadecimal digits."""
    register = 0xFFFF
    for byte in text.encode("ascii"):
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1) ^ (0x1021 if register & 0x8000 else 0)
        register &= 0xFFFF
    return f"{register:04X}"


def svg(text: str) -> SafeString:
    """The code as a drawing, for a page."""
    # Few pages need it, and it brings Pillow into every process.
    import qrcode  # type: ignore[import-untyped]
    from qrcode.image.svg import SvgPathImage  # type: ignore[import-untyped]

    code = qrcode.QRCode(border=2, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    drawn = io.BytesIO()
    code.make_image(image_factory=SvgPathImage).save(drawn)
    _, _, drawing = drawn.getvalue().decode().partition("?>\n")
    return mark_safe(drawing)  # ours: nothing in it but a path
