"""The check behind the claim runs for real; whether the time is kept is `omega prove`'s business, not a test's."""

from __future__ import annotations

import base64
from contextlib import closing
from typing import TYPE_CHECKING

from omega.claims.bench import Bench
from omega.claims.claim import run
from omega.claims.every import claims
from omega.claims.identity import _by_formula
from omega.core.identity.keyring import KeyRing
from omega.core.identity.tokens import Tokens
from omega.core.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path


def test_the_formula_says_of_a_thousand_good_and_altered_tokens_what_the_check_says(tmp_path: Path) -> None:
    settings = resolve({"home": tmp_path}, {}).settings
    with closing(Bench(settings, lambda done, total, what: None)) as bench:
        (found,) = run(claims.chosen(["token-check"], slow=False), bench)
    assert found.held
    assert (found.details["good"], found.details["altered"], found.details["checks"]) == (1000, 1000, 20_000)
    assert 0 < (found.measured or 0) <= found.details["p99_us"]


def test_the_oracle_can_say_no() -> None:
    ring = KeyRing.fresh(1_790_000_000)
    token = Tokens(ring, 3, lambda slot: 0).give(7, 1_790_000_000)
    assert _by_formula(ring, token) == 7
    assert _by_formula(KeyRing.fresh(1_790_000_000), token) is None
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[9] ^= 1
    assert _by_formula(ring, base64.urlsafe_b64encode(raw).decode()) is None
