"""The process that decodes pictures for the service: python -m artdetect.serve.decode_process MAX_MEMORY

Decoders are the code that strangers' bytes reach first. Here each picture has a limit of processor time, the process
has one of memory, it can write no file and reach no network, and the service starts another one when it ends. It takes
requests from its standard input, each a line of JSON and the picture's bytes, and answers in the same form: numbers and
text only. What the file declares comes last, so that a file whose metadata end the process still gets its verdict.
"""

import ctypes
import json
import os
import resource
import sys
from typing import Any

import numpy as np

from artdetect.core.errors import PictureError
from artdetect.pictures import declared_provenance, images, picture_views
from artdetect.pictures.images import Geometry

CPU_SECONDS = 20  # for a picture; the largest honest ones take up to ten
DECLARED_CPU_SECONDS = 5  # for what it declares; hashing 64 MB takes less than one
MAX_MEMORY = 6 * 2**30  # of addresses; 178 megapixels with transparency take half of it
MAX_FILES = 64
NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # flags of unshare(2)


def limit(max_memory: int) -> None:
    """Limit what this process may use. The kernel ends it, not the service, when the machine runs out of memory.

    Args:
        max_memory: Bytes of addresses.
    """
    resource.setrlimit(resource.RLIMIT_AS, (max_memory, max_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
    try:
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123  a file of the kernel
            file.write("1000")
    except OSError:
        return  # not Linux


def leave_network() -> bool:
    """Give this process a network of its own, without any interface; False where the kernel forbids that."""
    try:
        unshare = ctypes.CDLL(None).unshare
    except AttributeError:  # not Linux
        return False
    # Root may do so at once. Others need a namespace of users, in which they keep their access to files.
    return unshare(NEW_NETWORK) == 0 or unshare(NEW_USER | NEW_NETWORK) == 0


def allow_cpu(seconds: int) -> None:
    """Let the kernel end this process after so many more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def answer(content: bytes, request: dict[str, Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What the service needs of a picture.

    Args:
        content: The file.
        request: size, fit: the geometry. crops: native crops of a large picture. artwork: the longest side of the
            picture for display, 0 for none.

    Returns:
        A header: error, or side and shapes of the arrays; and the arrays uint8: the whole, its crops, the picture for
        display.
    """
    try:
        views = picture_views.load(content, Geometry(request["size"], request["fit"]), request["crops"])
        arrays = [views.whole, views.crops]
        if request["artwork"]:
            arrays.append(np.asarray(images.artwork(content, request["artwork"], fit=request["fit"])))
    except PictureError as error:
        return {"error": str(error)}, []
    return {"side": views.side, "shapes": [array.shape for array in arrays]}, arrays


def main() -> None:
    """Answer until the standard input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a decoder prints must not get between the answers
    limit(int(sys.argv[1]))
    leave_network()
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["bytes"])
        allow_cpu(request["cpu_seconds"])
        header, arrays = answer(content, request)
        answers.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            answers.write(np.ascontiguousarray(array).data)
        answers.flush()
        if arrays:
            allow_cpu(min(request["cpu_seconds"], DECLARED_CPU_SECONDS))
            declared = [one.as_dict() for one in declared_provenance.read(content)]
            answers.write(json.dumps(declared).encode() + b"\n")
            answers.flush()
        del content


if __name__ == "__main__":
    main()
