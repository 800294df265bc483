// Wraps plain text at spaces to the width of a terminal. Width is counted in characters, and a word longer than a line
// is not cut.

const defaultColumns = 80;

/**
 * The text with every line wrapped; a line's indentation continues. `columns` is undefined if the width is not known.
 */
export function wrapText(text: string, columns: number | undefined): string {
  // One column stays free: some terminals wrap by themselves as soon as the last one is filled.
  const width = (columns === undefined || columns < 1 ? defaultColumns : columns) - 1;
  return text.replaceAll(/^( *)(.*)$/gmu, (_, indent: string, line: string) => {
    const room = Math.max(1, width - indent.length);
    // As many whole words as fit, or one that is too long.
    const fitting = new RegExp(`\\S.{0,${room - 1}}(?= |$)|\\S+`, 'gu');
    const lines = line.trim().replaceAll(/ +/gu, ' ').match(fitting) ?? [];
    return `${indent}${lines.join(`\n${indent}`)}`;
  });
}
