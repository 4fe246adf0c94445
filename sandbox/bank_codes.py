"""A bank's app, as far as it reads VietQR codes; and the codes that payOS makes."""

from typing import NamedTuple


class Scanned(NamedTuple):
    """What an app would fill in, and not let its owner change."""

    bank: str
    account: str
    dong: int
    content: str


def scan(text: str) -> Scanned:
    """Read a code as a bank's app does. Raises ValueError for one that it refuses."""
    if len(text) < 8 or text[-8:-4] != "6304" or text[-4:] != checksum(text[:-4]):
        raise ValueError("The code is damaged.")
    root = fields(text)
    if root.get("00") != "01" or root.get("53") != "704" or root.get("58") != "VN":
        raise ValueError("It is no Vietnamese code.")
    template = fields(root.get("38", ""))
    if template.get("00") != "A000000727" or template.get("02") != "QRIBFTTA":
        raise ValueError("It is no transfer to an account.")
    beneficiary = fields(template.get("01", ""))
    content = fields(root.get("62", "")).get("08", "")
    dong = root.get("54", "")
    if not dong.isdecimal() or not int(dong) or len(content) > 25:
        raise ValueError("It has no amount.")
    return Scanned(beneficiary["00"], beneficiary["01"], int(dong), content)


def fields(text: str) -> dict[str, str]:
    """Ids and values. Raises ValueError where a length is not true."""
    found: dict[str, str] = {}
    while text:
        id, length, rest = text[:2], text[2:4], text[4:]
        if not length.isdecimal() or len(rest) < int(length):
            raise ValueError("A field is cut off.")
        found[id], text = rest[: int(length)], rest[int(length) :]
    return found


def checksum(text: str) -> str:
    """CRC-16/CCITT-FALSE, as the tables of the specification have it."""
    crc = 0xFFFF
    for character in text:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ ord(character)]
    return f"{crc:04X}"


def _entry(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


_TABLE = [_entry(byte) for byte in range(256)]


def make(bank: str, account: str, dong: int, content: str) -> str:
    """A code that pays so much."""

    def part(id: str, value: str) -> str:
        return f"{id}{len(value):02d}{value}"

    whom = part("00", "A000000727") + part("01", part("00", bank) + part("01", account))
    text = part("00", "01") + part("01", "12") + part("38", whom + part("02", "QRIBFTTA"))
    text += part("53", "704") + part("54", str(dong)) + part("58", "VN")
    text += part("62", part("08", content)) + "6304"
    return text + checksum(text)
