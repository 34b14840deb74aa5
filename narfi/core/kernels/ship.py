"""How do compiled kernels get into a wheel or an image?

`python -m narfi.core.kernels.ship [FOLDER]` compiles what is not kept yet and puts the code of
every kernel into a folder, by default that of this package, where all users of the installation
find it.
"""

import sys
from pathlib import Path

from narfi.core.kernels.code_store import SHIPPED, CodeStore
from narfi.core.kernels.jit import kernels
from narfi.core.kernels.modules import import_all
from narfi.core.kernels.warming import warm_up


def ship(folder: Path) -> int:
    """Put the code of every kernel into `folder`; returns how many there are.

    Raises `OSError` where nothing can be kept, or not in that folder.
    """
    import_all()
    warm_up()
    target = CodeStore([folder])
    for each in kernels():
        kept = each.kept()
        if kept is None or not target.put(*kept):
            raise OSError(f"compiled code of {each.name} cannot be written to {folder}")
    return len(kernels())


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    sys.stdout.write(f"{ship(place)} kernels in {place}\n")
