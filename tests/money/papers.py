"""Documents and pictures that a request can bring: as small as they get for what they cost."""

import base64
import zlib

PICTURE = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
    )
).decode()


def pdf(pages: int, *, packed: bool) -> str:
    """Base64 of a PDF of so many pages, which are one page many times: bare, or compressed."""
    return base64.b64encode(_bytes(pages, packed=packed)).decode()


def _bytes(pages: int, *, packed: bool) -> bytes:
    kids = " ".join(["3 0 R"] * pages)
    tree = f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>"
    page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] >>"
    root = b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    if not packed:
        body = f"2 0 obj\n{tree}\nendobj\n3 0 obj\n{page}\nendobj\n".encode()
        return _finished([root, body], {1: 0, 2: len(root), 3: len(root) + body.index(b"3 0 obj")})
    head = f"2 0 3 {len(tree) + 1} "
    stream = zlib.compress(f"{head}{tree} {page}".encode(), 9)
    described = f"<< /Type /ObjStm /N 2 /First {len(head)} /Filter /FlateDecode"
    described += f" /Length {len(stream)} >>"
    packet = b"4 0 obj\n" + described.encode() + b"\nstream\n" + stream + b"\nendstream\nendobj\n"
    return _indexed([root, packet])


def _finished(parts: list[bytes], places: dict[int, int]) -> bytes:
    """With a table of where its objects are."""
    begun = b"%PDF-1.7\n"
    body = begun + b"".join(parts)
    rows = b"".join(b"%010d 00000 n \n" % (len(begun) + places[n]) for n in sorted(places))
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(places) + 1, rows)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\n" % (len(places) + 1)
    return body + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(body)


def _indexed(parts: list[bytes]) -> bytes:
    """With a stream of where its objects are: 2 and 3 inside of 4."""
    begun = b"%PDF-1.7\n"
    root, packet = parts
    body = begun + root + packet
    places = [(0, 0, 65535), (1, len(begun), 0), (2, 4, 0), (2, 4, 1)]
    places += [(1, len(begun) + len(root), 0), (1, len(body), 0)]
    rows = b"".join(
        bytes([kind]) + place.to_bytes(4, "big") + more.to_bytes(2, "big")
        for kind, place, more in places
    )
    head = f"<< /Type /XRef /Size 6 /W [1 4 2] /Root 1 0 R /Length {len(rows)} >>".encode()
    index = b"5 0 obj\n" + head + b"\nstream\n" + rows + b"\nendstream\nendobj\n"
    return body + index + b"startxref\n%d\n%%%%EOF\n" % len(body)
