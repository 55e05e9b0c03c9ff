"""A development CA and a server's certificate, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from omega_plugins.transports.certificates import make

if TYPE_CHECKING:
    from omega_plugins.transports.certificates import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))
