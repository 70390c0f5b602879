"""OpenVINO and NNCF, imported so that nothing is reported to anyone.

Both send notes of their use to a statistics service when the package `openvino_telemetry` is there, which comes with them, and
do so without asking. Where medical images are read, nothing leaves the machine unasked; without the package both work the same.
"""

from __future__ import annotations

import logging
import sys
from types import ModuleType


def import_openvino() -> ModuleType:
    """The module `openvino`.

    Raises:
        ImportError: it is not installed.
    """
    _hide_telemetry()
    import openvino

    return openvino


def import_nncf() -> ModuleType:
    """The module `nncf`, which logs only what goes wrong.

    Raises:
        ImportError: it is not installed.
    """
    _hide_telemetry()
    import nncf

    logging.getLogger("nncf").setLevel(logging.WARNING)
    return nncf


def _hide_telemetry() -> None:
    """Let `import openvino_telemetry` fail from now on; without effect where someone has imported it already."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # how Python spells a module not to be found
