// What a person copies out of the printed text: the blocks between its markers, the place of each, and the command that
// pipes the script. It takes the text as it is and changes nothing; the grammar is in src/render/host.ts.

export type PrintedBlock =
  | { readonly where: 'here'; readonly text: string }
  | { readonly where: 'host'; readonly host: string; readonly text: string }
  | { readonly where: 'file'; readonly file: string; readonly host: string; readonly text: string };

const begin = /^# >>> relaycerts: (?:(?<here>run here)|run on (?<host>\S+) as root|(?<file>\S+) on (?<fileHost>\S+))$/;
const end = '# <<< relaycerts';

function blockOf(marker: string, text: string): PrintedBlock {
  const { here, host, file, fileHost } = begin.exec(marker)?.groups ?? {};
  if (here !== undefined) return { where: 'here', text };
  if (host !== undefined) return { where: 'host', host, text };
  if (file !== undefined && fileHost !== undefined) return { where: 'file', file, host: fileHost, text };
  throw new Error(`not a marker of the text: ${marker}`);
}

/** The blocks of a printed text, in order; throws if a marker has no partner. */
export function blocksOf(printed: string): readonly PrintedBlock[] {
  const blocks: PrintedBlock[] = [];
  let open: { readonly marker: string; readonly lines: string[] } | undefined;
  for (const line of printed.split('\n')) {
    if (line.startsWith('# >>>')) {
      if (open !== undefined) throw new Error(`a block within a block: ${line}`);
      open = { marker: line, lines: [] };
    } else if (line === end) {
      if (open === undefined) throw new Error('an end without a beginning');
      blocks.push(blockOf(open.marker, `${open.lines.join('\n')}\n`));
      open = undefined;
    } else {
      open?.lines.push(line);
    }
  }
  if (open !== undefined) throw new Error(`a block without an end: ${open.marker}`);
  return blocks;
}

/** The blocks for one place: commands to run here, or commands to run on that host. */
export function blocksFor(printed: string, place: 'here' | { readonly host: string }): readonly string[] {
  return blocksOf(printed)
    .filter((block) =>
      place === 'here' ? block.where === 'here' : block.where === 'host' && block.host === place.host,
    )
    .map(({ text }) => text);
}

/** The indented commands between the blocks that run a whole script: `relaycerts show HOST ... | ssh ... sh`. */
export function pipedCommands(printed: string): readonly string[] {
  return [...printed.matchAll(/^ {4}(relaycerts [^\n]*\| ssh [^\n]*)/gm)].map(([, command = '']) => command);
}
