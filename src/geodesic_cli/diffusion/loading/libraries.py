"""Libraries that diffusers and transformers import only because they are installed.

A torchvision is built for one build of torch. One of another build fails while it is imported, and with it every model
fails to load, though no model needs it. A package that fails so is set aside: Python takes it for missing from then on,
as those libraries do when they look for it.
"""

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from geodesic_cli.errors import first_line

NOT_NEEDED = ("torchvision",)


@cache
def set_aside() -> dict[str, str]:
    """Set aside what does not work here and is not needed to load a model.

    Returns:
        Package -> what Python said of it; empty where all that is installed works.
    """
    return {name: said for name in NOT_NEEDED if (said := _fails(name)) is not None}


def _fails(name: str) -> str | None:
    if name in sys.modules or find_spec(name) is None:
        return None
    try:
        import_module(name)
    except Exception as reason:  # of a library that was built for another one anything may come
        for part in [module for module in sys.modules if module.startswith(f"{name}.")]:
            del sys.modules[part]
        sys.modules[name] = None  # type: ignore[assignment]  # how Python itself marks what cannot be imported
        return first_line(reason)
    return None
