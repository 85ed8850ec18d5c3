"""What a compiled transformer is: its weights, what it takes, how it is saved, and how errors are told.

    in       parts of a transformer, a program's signature, data by field
    out      Weights, saved and loaded whole or not at all; features of tokens; InnerloopError and its kinds

Read first weights.py and contents.py, then parts.py, signature.py and tokens.py. Compiler, runtime and laboratory all
build on this package; it imports none of them.
"""

from __future__ import annotations

import os
import sys


def one_copy(package: str) -> None:
    """Raises ImportError where the folder of a package, `innerloop.compiler` say, stands in two places. innerloop is
    a namespace, which Python puts together from all folders of that name on its path: a clone that it was started
    beside would take the place of what is installed, module by module. Each finder is asked about each folder, for
    an editable installation is known to its own finder alone."""
    folders = sys.modules[package.partition(".")[0]].__path__
    finders = [finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")]
    specs = (find(package, [folder]) for find in finders for folder in folders)
    origins = [
        str(sys.modules[package].__file__),
        *(spec.origin for spec in specs if spec is not None and spec.origin is not None),
    ]
    copies = dict.fromkeys(os.path.realpath(os.path.dirname(origin)) for origin in origins)
    if len(copies) > 1:
        used, *others = map(os.path.dirname, copies)
        raise ImportError(
            f"there are two copies of innerloop: {used}, which Python found first, and {', '.join(others)}. Start "
            f"Python in another folder than the one that holds a clone, or rename the clone"
        )


one_copy(__name__)
