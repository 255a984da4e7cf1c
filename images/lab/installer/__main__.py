# SPDX-License-Identifier: GPL-2.0-or-later
"""Started by ``init``, as the package that the folder on the media is."""

import sys
from types import ModuleType


def _stub_requests() -> None:
    """Let pykickstart be imported on a system that has no ``requests``.

    It only fetches kickstarts by URL with it; this installer reads files.
    """
    requests, errors = ModuleType("requests"), ModuleType("requests.exceptions")
    vars(errors).update(SSLError=OSError, RequestException=OSError)
    vars(requests).update(exceptions=errors)
    sys.modules.setdefault("requests", requests)
    sys.modules.setdefault("requests.exceptions", errors)


if __name__ == "__main__":
    _stub_requests()
    from .main import main

    sys.exit(main())
