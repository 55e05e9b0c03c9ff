"""`python -m omega.claims.talkative ...`: the omega command with all its logs, those included that it turns off."""

from __future__ import annotations

import logging
import runpy

from omega.compose import extra_module

EVERYTHING = 1


def main() -> None:
    """Turn every level on, and run the command."""
    logging.basicConfig(level=EVERYTHING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    extra_module("omega_plugins.transports.http.server", "shard")  # sets a level of its own as it is imported
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(EVERYTHING)
    runpy.run_module("omega_cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
