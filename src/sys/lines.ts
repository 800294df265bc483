// Bytes to lines, for logs of any size and any content. A line is a string with a character for each octet (latin1),
// which loses nothing and is fast; `utf8Of` decodes what is shown. A line is cut after 16 KiB, and only the unfinished
// line is held in memory.

/** Receives the octets of a stream in pieces, as they arrive. */
export interface LineSink {
  add(chunk: Buffer): void;
  /** The last line may have no newline. */
  end(): void;
}

/** Receives each line without its \n, cut after `mostOctets`, and its real length in octets. */
type TakeLine = (line: string, octets: number) => void;

/** Octets that are kept of a line: 16 times as many as Postfix writes into one. */
export const mostOctets = 1 << 14;

/**
 * A sink that passes its lines to `take`; a line that `skips` rejects by its place in a text is never cut out, which
 * saves half the time that a line takes.
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

/** The text of a line as UTF-8; invalid octets become U+FFFD. */
export function utf8Of(line: string): string {
  return Buffer.from(line, 'latin1').toString();
}

/** The same text without the piece of the stream it was cut from, which kept text would otherwise hold in memory. */
export function copyOf(line: string): string {
  return Buffer.from(line, 'latin1').toString('latin1');
}
