"""Two listed files change places."""

from tests.tamper.kit import Evidence


def _swap(w):
    one, two = w.good["arf-1.xml"], w.good["arf-2.xml"]
    return Evidence(files={**w.good, "arf-1.xml": two, "arf-2.xml": one}, file="arf-1.xml")


VARIANTS = {"twin": lambda w: Evidence(files=w.good, file="arf-1.xml"), "swapped": _swap}
