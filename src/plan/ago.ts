// How long ago something was, in words: in the largest unit of which at least one has passed, rounded down. Pure: the
// clock is an argument.

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** `3 days ago`; `just now` for a time in the future, when the clock is slow. */
export function agoText(then: Date, at: Date): string {
  const seconds = (at.getTime() - then.getTime()) / 1000;
  const unit = units.find(([, size]) => seconds >= size);
  if (unit === undefined) return 'just now';
  const count = Math.floor(seconds / unit[1]);
  return `${count} ${unit[0]}${count === 1 ? '' : 's'} ago`;
}
