"""What does an error that is handed on keep alive? Lines of code, and no values of theirs.

An error knows the frames that it went through, and they know their variables: of a query that is
out of time, all arrays that it had. A future that holds such an error is known by those frames, so
only the collector of cycles would free them, which comes by numbers of objects, not by bytes: a
server whose heavy queries ended at their time-out held 900 MB that no request was charged for.
"""

import traceback


def forget_values(error: BaseException) -> None:
    """Clear the variables of frames that have ended, of the error and of those behind it.

    What tells where it was raised stays. Frames that still run keep theirs.
    """
    seen, waiting = set[int](), [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
