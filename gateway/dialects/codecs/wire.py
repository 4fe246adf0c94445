"""Reading a client's JSON: what is missing or of the wrong type is a 400 that names it.

Null and absent are the same. What a dialect does not know is not an error (protocols.md rule 5).
"""

from typing import Any, NoReturn

import orjson

from hontoni.errors import BadRequest


def refuse(param: str, what: str, *, code: str = "invalid_request") -> NoReturn:
    """BadRequest about `param`; `what` completes the sentence."""
    raise BadRequest(f"{param}: {what}", param=param, code=code)


def unsupported(param: str, what: str) -> NoReturn:
    """BadRequest for what this model or this gateway cannot do."""
    refuse(param, what, code="unsupported_parameter")


def obj(value: Any, param: str) -> dict[str, Any]:
    """An object; {} for null."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else refuse(param, "must be an object")


def array(value: Any, param: str) -> list[Any]:
    """A list; [] for null."""
    if value is None:
        return []
    return value if isinstance(value, list) else refuse(param, "must be an array")


def objects(value: Any, param: str) -> list[dict[str, Any]]:
    """A list of objects; [] for null."""
    return [obj(each, f"{param}[{i}]") for i, each in enumerate(array(value, param))]


def text(value: Any, param: str) -> str:
    """A string; "" for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else refuse(param, "must be a string")


def number(value: Any, param: str) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return refuse(param, "must be a number")


def integer(value: Any, param: str) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return refuse(param, "must be an integer")


def flag(value: Any, param: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    return refuse(param, "must be true or false")


def strings(value: Any, param: str) -> tuple[str, ...]:
    """A list of strings, or one string alone."""
    if isinstance(value, str):
        return (value,)
    return tuple(text(each, f"{param}[{i}]") for i, each in enumerate(array(value, param)))


def dump(value: Any) -> str:
    """Compact JSON, keys in the order they came."""
    return orjson.dumps(value).decode()


def load(data: bytes | str) -> Any:
    """JSON, or None where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def arguments(args: str) -> dict[str, Any]:
    """A call's arguments as an object: "" is {}, and what is no object is wrapped, not lost."""
    if not args.strip():
        return {}
    value = load(args)
    if isinstance(value, dict):
        return value
    return {"raw_arguments": args if value is None else value}


def only(**fields: Any) -> dict[str, Any]:
    """The fields that say something: not None, not empty."""
    return {k: v for k, v in fields.items() if v is not None and v != "" and v != () and v != {}}
