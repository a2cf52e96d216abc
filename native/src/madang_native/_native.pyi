import numpy as np
from numpy.typing import NDArray

def scan(
    root_fd: int, num_threads: int
) -> tuple[
    bytes,
    NDArray[np.uint64],
    NDArray[np.uint64],
    NDArray[np.int64],
    NDArray[np.uint8],
    NDArray[np.uint32],
    list[tuple[bytes, int]],
]:
    """List the tree below a directory with several threads, without holding the GIL.

    Returns (paths, offsets, sizes, mtimes_ns, kinds, modes, errors), sorted by path as bytes.
    Entry i's path, relative to the root, is `paths[offsets[i]:offsets[i + 1]]`; a kind is the file
    type bits of `st_mode` shifted right by 12; errors are (path, errno). Symbolic links are not
    followed; what vanishes during the scan is left out. `root_fd` stays the caller's. Raises
    KeyboardInterrupt soon after Ctrl-C.
    """
