"""What does writing blocks count?"""

from prometheus_client import Counter

REFUSED_SHAPES = Counter(
    "narfi_refused_shapes_total",
    "Shapes that could not be made, or did not give lines back; their lines were stored plain.",
)
