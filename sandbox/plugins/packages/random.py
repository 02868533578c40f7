"""The random provider: real randomness, kept by the engine's state alone."""

import base64
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from ..check import Failure
from ..package import EVERYTHING, Created, Kind, Package, ProviderError, Target, kind
from ..values import Properties, Unknown, Value

SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
_MINIMA: Final = {"minLower": "lower", "minUpper": "upper", "minNumeric": "numeric", "minSpecial": "special"}


class Random(Package):
    """``pulumi_random``: passwords, strings, ids, bytes, integers and UUIDs."""

    name = "random"
    kinds: ClassVar[Mapping[str, Kind]] = {
        f"random:index/random{name}:Random{name}": kind(EVERYTHING)
        for name in ("Bytes", "Id", "Integer", "Password", "String", "Uuid")
    }

    def check_more(self, target: Target, inputs: Properties) -> list[Failure]:
        if not target.token.endswith((":RandomPassword", ":RandomString")):
            return []
        length, least = inputs["length"], sum(_number(inputs.get(name), 0) for name in _MINIMA)
        if isinstance(length, int) and length < max(1, least):
            return [Failure("length", f"must be at least {max(1, least)}")]
        return []

    def make(self, target: Target, inputs: Properties) -> Created:
        maker = _MAKERS.get(target.token)
        if maker is None:
            raise ProviderError(f"the sandbox's random plugin does not make {target.token}")
        id, outputs = maker(inputs)
        return Created(id, inputs | outputs)


def _number(value: Value, default: int) -> int:
    return default if value is None or isinstance(value, Unknown) else int(str(value))


def _password(inputs: Properties) -> tuple[str, Properties]:
    id, outputs = _text(inputs)
    del id
    # bcryptHash is left out: it would have to be computed, and nothing here reads it.
    return "none", outputs


def _text(inputs: Properties) -> tuple[str, Properties]:
    wanted = {
        name: inputs.get(name, inputs.get("number", True) if name == "numeric" else True) for name in _MINIMA.values()
    }
    alphabets = {
        "lower": string.ascii_lowercase,
        "upper": string.ascii_uppercase,
        "numeric": string.digits,
        "special": str(inputs.get("overrideSpecial") or SPECIAL),
    }
    allowed = "".join(alphabet for name, alphabet in alphabets.items() if wanted[name])
    if not allowed:
        raise ProviderError("nothing to choose from: one of lower, upper, numeric and special must be true")
    picked = [
        secrets.choice(alphabets[group])
        for minimum, group in _MINIMA.items()
        for _ in range(_number(inputs.get(minimum), 0))
    ]
    picked += [secrets.choice(allowed) for _ in range(_number(inputs["length"], 0) - len(picked))]
    secrets.SystemRandom().shuffle(picked)
    minima: Properties = {name: _number(inputs.get(name), 0) for name in _MINIMA}
    result = "".join(picked)
    return result, minima | wanted | {"number": wanted["numeric"], "result": result}


def _id(inputs: Properties) -> tuple[str, Properties]:
    raw = secrets.token_bytes(_number(inputs["byteLength"], 0))
    prefix = str(inputs.get("prefix", ""))
    url = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return url, {
        "b64Std": prefix + base64.b64encode(raw).decode(),
        "b64Url": prefix + url,
        "dec": prefix + str(int.from_bytes(raw, "big")),
        "hex": prefix + raw.hex(),
    }


def _bytes(inputs: Properties) -> tuple[str, Properties]:
    raw = secrets.token_bytes(_number(inputs["length"], 0))
    return "none", {"base64": base64.b64encode(raw).decode(), "hex": raw.hex()}


def _integer(inputs: Properties) -> tuple[str, Properties]:
    low, high = _number(inputs["min"], 0), _number(inputs["max"], 0)
    if high < low:
        raise ProviderError("max must not be less than min")
    result = low + secrets.randbelow(high - low + 1)
    return str(result), {"result": result}


def _uuid(inputs: Properties) -> tuple[str, Properties]:
    del inputs
    result = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
    return result, {"result": result}


_MAKERS: Final[Mapping[str, Callable[[Properties], tuple[str, Properties]]]] = {
    "random:index/randomBytes:RandomBytes": _bytes,
    "random:index/randomId:RandomId": _id,
    "random:index/randomInteger:RandomInteger": _integer,
    "random:index/randomPassword:RandomPassword": _password,
    "random:index/randomString:RandomString": _text,
    "random:index/randomUuid:RandomUuid": _uuid,
}

PACKAGE = Random
