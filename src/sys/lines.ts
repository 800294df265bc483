// Bytes to lines, for logs of any size and any content. A line is a string with a character for each octet (latin1), so
// that nothing is lost and nothing is slow; `utf8Of` decodes what is shown. A line is cut after 16 KiB, and only the line
// that has not ended yet is held in memory.

/** Gets the octets of a stream in pieces, as they come. */
export interface LineSink {
  add(chunk: Buffer): void;
  /** The last line may have no end. */
  end(): void;
}

/** Gets each line without its \n, cut after `mostOctets`, and how many octets it really has. */
type TakeLine = (line: string, octets: number) => void;

/** Octets of a line that are kept: 16 times as much as Postfix writes into one. */
export const mostOctets = 1 << 14;

/**
 * A sink that gives its lines to `take`; a line of which `skips` says so, by where it is in a text, is never cut out, which
 * is half of the time that a line takes.
 */
export function lineSplitter(
  take: TakeLine,
  skips: (text: string, from: number, to: number) => boolean = () => false,
): LineSink {
  let rest = '';
  let octets = 0;
  const keep = (text: string, from: number, to: number): void => {
    if (rest.length < mostOctets) rest += text.slice(from, Math.min(to, from + mostOctets - rest.length));
    octets += to - from;
  };
  return {
    add: (chunk) => {
      const text = chunk.toString('latin1');
      let from = 0;
      for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
        if (octets === 0) {
          if (!skips(text, from, to)) take(text.slice(from, Math.min(to, from + mostOctets)), to - from);
        } else {
          keep(text, from, to);
          take(rest, octets);
          rest = '';
          octets = 0;
        }
        from = to + 1;
      }
      keep(text, from, text.length);
    },
    end: () => {
      if (octets > 0) take(rest, octets);
      rest = '';
      octets = 0;
    },
  };
}

/** The text of a line as UTF-8; what is not becomes U+FFFD. */
export function utf8Of(line: string): string {
  return Buffer.from(line, 'latin1').toString();
}

/** The same text without the piece of the stream that it was cut from: what is kept must not keep that. */
export function copyOf(line: string): string {
  return Buffer.from(line, 'latin1').toString('latin1');
}
