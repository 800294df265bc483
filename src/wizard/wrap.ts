// Wraps plain text at the width of a terminal, at its spaces. Width is counted in characters; nothing is cut.

const defaultColumns = 80;

/** The text with every line wrapped; a line's own indentation goes on. `columns` is undefined where it is not known. */
export function wrapText(text: string, columns: number | undefined): string {
  const width = columns === undefined || columns < 1 ? defaultColumns : columns;
  return text
    .split('\n')
    .map((line) => wrapLine(line, width))
    .join('\n');
}

function wrapLine(line: string, width: number): string {
  const indent = /^ */u.exec(line)?.[0] ?? '';
  const lines: string[] = [];
  let current = indent;
  for (const word of line.trim().split(/ +/u)) {
    const longer = current.trim() === '' ? `${indent}${word}` : `${current} ${word}`;
    // One column stays free: some terminals wrap by themselves as soon as the last one is filled.
    if (longer.length < width || current.trim() === '') current = longer;
    else {
      lines.push(current);
      current = `${indent}${word}`;
    }
  }
  return [...lines, current].join('\n');
}
