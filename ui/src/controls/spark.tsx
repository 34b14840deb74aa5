// Bars so small that they need no axis, one for each count over time; told by the label. Its size is that of its place.
const HEIGHT = 20;

export function Spark({ counts, label }: { counts: readonly number[]; label: string }) {
  const most = Math.max(1, ...counts);
  return (
    <svg class="spark" viewBox={`0 0 ${counts.length} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {counts.map((count, at) => {
        const high = Math.max(1, (count / most) * HEIGHT);
        return count ? <rect key={at} x={at + 0.1} width={0.8} y={HEIGHT - high} height={high} /> : null;
      })}
    </svg>
  );
}
