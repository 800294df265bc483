// Writes docs/findings.md from src/findings/catalogue.json. With --check it writes nothing and fails if the file on
// disk differs.

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const read = async (path) => JSON.parse(await readFile(new URL(`../src/${path}`, import.meta.url), 'utf8'));
const target = fileURLToPath(new URL('../docs/findings.md', import.meta.url));
const kinds = await read('findings/catalogue.json');
const logged = new Set((await read('log/log-lines.json')).map(({ id }) => id));

const introduction = `# Findings

What \`relaycerts check\` and \`relaycerts explain\` can find, by the id in their output and in \`--json\`. The ids do not
change. An *error* stops mail, loses it or opens the relay; a *warning* will, or may; *unknown* is something that could not
be checked. Words in capitals are placeholders; in the output, they and the commands are those of your hosts.

This file is made by \`node scripts/write-findings.mjs\`.
`;

const filled = (text) => text.replaceAll(/\{(\w+)\}/gu, (_, name) => name.toUpperCase());

function linesOf({ words, run, root, install }) {
  if (words !== undefined) return [`# ${filled(words)}`];
  if (run !== undefined) return [`relaycerts ${filled(run)}`];
  if (root !== undefined) return [`ssh root@HOST '${filled(root).replaceAll("'", String.raw`'\''`)}'`];
  return [`relaycerts deploy ${filled(install)}`];
}

const sectionOf = ({ id, severity, text, cure }) => {
  const place = logged.has(id) ? ' Its lines in a mail log are in [troubleshooting.md](troubleshooting.md).' : '';
  const commands = cure.length === 0 ? '' : `\n\`\`\`\n${cure.flatMap(linesOf).join('\n')}\n\`\`\`\n`;
  return `### ${id}\n\n${severity}: ${filled(text)}.${place}\n${commands}`;
};

const page = await format([introduction, ...kinds.map(sectionOf)].join('\n'), {
  ...(await resolveConfig(target)),
  filepath: target,
});
if (!process.argv.includes('--check')) {
  await writeFile(target, page);
} else if ((await readFile(target, 'utf8').catch(() => '')) !== page) {
  console.error('docs/findings.md is not what src/findings/catalogue.json says: node scripts/write-findings.mjs');
  process.exitCode = 1;
}
