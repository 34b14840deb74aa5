// A small chart of counts over time, drawn as one path; its numbers are told by its label.
interface Props {
  readonly counts: readonly number[];
  readonly label: string;
  readonly width?: number;
  readonly height?: number;
}

export function Spark({ counts, label, width = 120, height = 22 }: Props) {
  const most = Math.max(1, ...counts);
  const step = width / Math.max(1, counts.length);
  const bars = counts
    .map((count, at) => {
      if (!count) return '';
      const high = Math.max(1, (count / most) * (height - 1));
      return `M${(at * step).toFixed(1)} ${height}h${Math.max(0.8, step - 0.6).toFixed(1)}v${(-high).toFixed(1)}h${(-Math.max(0.8, step - 0.6)).toFixed(1)}z`;
    })
    .join('');
  return (
    <svg class="spark" role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
      <path d={bars} />
    </svg>
  );
}
