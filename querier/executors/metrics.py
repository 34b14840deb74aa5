"""What do operators see of the executors?"""

from prometheus_client import Counter

LOST_PROCESSES = Counter(
    "narfi_scan_processes_lost_total",
    "Scan processes that ended while they had a leaf task; the task was done again.",
)
PROCESS_TASKS = Counter(
    "narfi_scan_process_tasks_total",
    "Leaf tasks of heavy queries that were done in scan processes.",
)
RAY_TASKS = Counter(
    "narfi_ray_tasks_total",
    "Leaf tasks of large queries that were done on a Ray cluster.",
)
OWNED_TASKS = Counter(
    "narfi_block_tasks_total",
    "Leaf tasks given to scan processes and Ray actors: to the one that has the block, or another.",
    ["worker"],
)
