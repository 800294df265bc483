// Bytes to lines, for logs of any size and any content. A line is a string with a character for each octet (latin1), so
// that nothing is lost and nothing is slow; `utf8Of` decodes what is shown. A line is cut after 16 KiB, and only the line
// that has not ended yet is held in memory.

/** Gets the octets of a stream in pieces, as they come. */
export interface LineSink {
  add(chunk: Buffer): void;
  /** The last line may have no end. */
  end(): void;
}

/** Gets each line without its end, cut after `mostOctets`, and how many octets it really has (with a \r at its end). */
type TakeLine = (line: string, octets: number) => void;

/** Octets of a line that are kept: 16 times as much as Postfix writes into one. */
export const mostOctets = 1 << 14;

/** A sink that gives its lines to `take`. */
export function lineSplitter(take: TakeLine): LineSink {
  let rest = '';
  let octets = 0;
  const finish = (line: string, size: number): void => {
    take(line.endsWith('\r') && size === line.length ? line.slice(0, -1) : line, size);
  };
  const keep = (text: string, from: number, to: number): void => {
    if (rest.length < mostOctets) rest += text.slice(from, Math.min(to, from + mostOctets - rest.length));
    octets += to - from;
  };
  return {
    add: (chunk) => {
      const text = chunk.latin1Slice();
      let from = 0;
      for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
        if (octets === 0) {
          finish(text.slice(from, Math.min(to, from + mostOctets)), to - from);
        } else {
          keep(text, from, to);
          finish(rest, octets);
          rest = '';
          octets = 0;
        }
        from = to + 1;
      }
      keep(text, from, text.length);
    },
    end: () => {
      if (octets > 0) finish(rest, octets);
      rest = '';
      octets = 0;
    },
  };
}

/** The text of a line as UTF-8; what is not becomes U+FFFD. */
export function utf8Of(line: string): string {
  return Buffer.from(line, 'latin1').toString();
}
