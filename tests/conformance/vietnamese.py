"""docs/vi/conformance.md: the same cells under Vietnamese words. `python -m
tests.conformance.vietnamese` makes it anew from the English page, without running anything.
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs"
ENGLISH, TWIN = FOLDER / "conformance.md", FOLDER / "vi" / "conformance.md"

_PARAGRAPHS = {
    "Written by `make conformance` from one run through the product, against vendors that refuse "
    "what the real ones refuse. No cell is written by hand. ✓ passed, ✗ failed, – does not exist "
    "there.": "Do `make conformance` viết ra từ một lần chạy qua sản phẩm, với các nhà cung cấp "
    "từ chối đúng những gì nhà cung cấp thật từ chối. Không ô nào viết tay. ✓ đạt, ✗ không đạt, – "
    "không có ở đó.",
    "From the public registries, headless, each in a home of its own with nothing but the address "
    "and a key of a product that was just started empty. ✓: the agent wrote the file it was asked "
    "for with this run's random content, told the final answer, ended by itself, none of its "
    "requests was refused or failed, and afterwards the books balanced to the last nano-dollar.": (
        "Lấy từ các kho công khai, chạy không giao diện, mỗi agent trong một thư mục riêng chỉ có "
        "địa chỉ và một khoá của một sản phẩm vừa khởi động trống. ✓: agent đã viết đúng tệp được "
        "yêu cầu với nội dung ngẫu nhiên của lần chạy này, nói câu trả lời cuối, tự kết thúc, "
        "không yêu cầu nào bị từ chối hay thất bại, và sau đó sổ sách cân đến từng nano-đô la."
    ),
    "From the public registries, each in an environment of its own, by each of their providers, "
    "with nothing set but the address and a key. ✓: text with its usage, a stream, a loop of two "
    "calls of a tool and a structured answer were what they must be, none of the requests was "
    "refused or failed, and afterwards the books balanced to the last nano-dollar.": (
        "Lấy từ các kho công khai, mỗi framework trong một môi trường riêng, qua từng nhà cung "
        "cấp mà nó có, chỉ đặt địa chỉ và một khoá. ✓: văn bản kèm mức dùng, một luồng, một vòng "
        "gọi công cụ hai lần và một câu trả lời có cấu trúc đều đúng như phải có, không yêu cầu "
        "nào bị từ chối hay thất bại, và sau đó sổ sách cân đến từng nano-đô la."
    ),
    "Cursor cannot be run without a screen. These are its requests as public reports quote or "
    "describe them, replayed byte for byte but for the name of the model; each file of "
    "`tests/conformance/editors/` names its source. ✓: answered in the shape that it reads, and "
    "the vendor was sent nothing that it would refuse. Windsurf speaks a protocol of its own to "
    "its own servers; no public recording of a request of its to an address like ours was found, "
    "so it has no row.": (
        "Cursor không chạy được khi không có màn hình. Đây là các yêu cầu của nó như các báo cáo "
        "công khai trích dẫn hoặc mô tả, phát lại từng byte trừ tên mô hình; mỗi tệp trong "
        "`tests/conformance/editors/` ghi rõ nguồn. ✓: được trả lời theo dạng mà nó đọc, và nhà "
        "cung cấp không nhận điều gì mà họ sẽ từ chối. Windsurf nói một giao thức riêng với máy "
        "chủ của chính nó; không tìm thấy bản ghi công khai nào về yêu cầu của nó tới một địa chỉ "
        "như của chúng tôi, nên nó không có hàng nào."
    ),
    "By the vendors' own SDKs in Python: a file uploaded, looked at, run as a batch, its results "
    "and errors read line by line, all of it listed and deleted; or a batch of messages. ✓: each "
    "request was answered as its endpoint answers, a bad one failed by itself, and what was "
    "booked is what was run.": (
        "Bằng SDK Python của chính các nhà cung cấp: một tệp được tải lên, xem lại, chạy thành "
        "lô, kết quả và lỗi được đọc từng dòng, tất cả được liệt kê rồi xoá; hoặc một lô tin "
        "nhắn. ✓: mỗi yêu cầu được trả lời như endpoint của nó trả lời, yêu cầu hỏng thất bại "
        "riêng mình, và những gì ghi sổ đúng là những gì đã chạy."
    ),
}
_WORDS = {
    "# Conformance": "# Tính tương thích",
    "Not in this run.": "Không có trong lần chạy này.",
    "## Agents": "## Agent { #agents }",
    "## Frameworks": "## Framework { #frameworks }",
    "## Editors": "## Trình soạn thảo { #editors }",
    "## Batches": "## Lô { #batches }",
    "Cursor, agent mode as recorded": "Cursor, chế độ agent như đã ghi",
    "Cursor, anthropic blocks on chat": "Cursor, khối Anthropic trên Chat",
    "Cursor, chat with history": "Cursor, Chat có lịch sử",
    "Cursor, flat custom tool": "Cursor, công cụ tự do dạng phẳng",
    "Cursor, patch sent back as a function": "Cursor, bản vá gửi lại như một hàm",
    "Cursor, responses body on chat": "Cursor, thân Responses trên Chat",
    "text": "văn bản",
    "tools": "công cụ",
    "parallel tools": "công cụ song song",
    "tool loop of 3 turns": "vòng công cụ 3 lượt",
    "image": "hình ảnh",
    "thinking over 2 turns": "suy nghĩ qua 2 lượt",
    "structured output": "đầu ra có cấu trúc",
    "stop sequence": "chuỗi dừng",
    "length": "độ dài",
    "refusal": "từ chối",
    "mid stream error": "lỗi giữa luồng",
    "disconnect": "ngắt kết nối",
    "usage": "mức dùng",
    "`none chosen`": "`không chọn`",
    "the dialect has none": "phương ngữ không có",
    "this model does not reason": "mô hình này không suy luận",
    "only Google's SDK in Python is run": "chỉ chạy SDK của Google bằng Python",
    "streams only": "chỉ theo luồng",
    "not run": "không chạy",
}
_SDKS = re.compile(r"## (\w+) SDKs")
_VERSIONS = re.compile(r"(`.+), streamed and unary\.")
_REASONS = re.compile(r"(–|not run): (.+?)(\.?)")


def twin(text: str) -> str:
    """The page in Vietnamese; what has no words here stays in English."""
    return "\n\n".join(_paragraph(each) for each in text.split("\n\n"))


def _paragraph(text: str) -> str:
    plain = " ".join(text.split())
    if plain in _PARAGRAPHS:
        return _PARAGRAPHS[plain] + "\n" * text.endswith("\n")
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    if line.startswith("| "):
        return f"| {' | '.join(_said(cell) for cell in line[2:-2].split(' | '))} |"
    if found := _SDKS.fullmatch(line):
        return f"## SDK {found[1]} {{ #{found[1].lower()}-sdks }}"
    if found := _VERSIONS.fullmatch(line):
        return f"{found[1].replace(' and ', ' và ')}, theo luồng và trọn một lần."
    return _said(line)


def _said(text: str) -> str:
    if found := _REASONS.fullmatch(text):
        why = "; ".join(_WORDS.get(each, each) for each in found[2].split("; "))
        return f"{_WORDS.get(found[1], found[1])}: {why}{found[3]}"
    return _WORDS.get(text, text)


if __name__ == "__main__":
    TWIN.write_text(twin(ENGLISH.read_text()))
