// Writes docs/troubleshooting.md from src/log/log-lines.json. With --check it writes nothing and fails if the file on
// disk differs.

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const target = fileURLToPath(new URL('../docs/troubleshooting.md', import.meta.url));
const kinds = JSON.parse(await readFile(new URL('../src/log/log-lines.json', import.meta.url), 'utf8'));
const releases = ['3.5', '3.7', '3.10', '3.11'];

const introduction = `# Troubleshooting

What Postfix logs when TLS or relaying fails, why, and what to do. Every line here was logged by a real Postfix: 3.5, 3.7,
3.10 or 3.11, as in Debian 11 to 13 and unstable. If only some of them log a line, it says which; \`*\` means a host, an
address or a file.

Look at both logs, and at the lines before the one with \`status=deferred\`: it often says only that something failed.
HOST is the host that the line is about; "install it again" is \`relaycerts deploy HOST\`, or by hand what \`relaycerts show HOST\` prints.

\`relaycerts explain\` finds these lines in a log, and prints the cure for your hosts. Lines of Exim, OpenSMTPD, msmtp and
nullmailer are listed under the Postfix lines that mean the same.

This file is made by \`node scripts/write-troubleshooting.mjs\`.
`;

/** Which hosts log it, by the host in the lines; the lines of other programs than Postfix are of home. */
function placeOf({ samples }) {
  const at = (host) => samples.some(({ line }) => line.includes(` ${host} postfix/`));
  if (at('mailhost') && at('relayhost')) return 'In both logs';
  return at('relayhost') ? 'In the log of the relay' : 'In the log of the home host';
}

function releasesOf({ samples }) {
  const known = releases.filter((release) => samples.some(({ postfix }) => postfix.includes(release)));
  return known.length === releases.length || known.length === 0 ? '' : `, Postfix ${known.join(', ')}`;
}

/** The words of other programs, once each. */
function programsOf({ words, programs }) {
  const own = programs.filter((one) => !words.includes(one.words));
  const lines = [...new Set(own.map((one) => `- ${one.program}: \`${one.words}\``))];
  return lines.length === 0 ? '' : `\n${lines.join('\n')}\n`;
}

const titleOf = ({ words, programs }) =>
  [...new Set(words.length > 0 ? words : programs.map((one) => one.words))].map((one) => `\`${one}\``).join(', ');

const sectionOf = (kind) => `### ${titleOf(kind)}

${placeOf(kind)}${releasesOf(kind)}. ${kind.cause}

${kind.fix}

\`\`\`
${(kind.samples[0] ?? kind.programs[0]).line}
\`\`\`
${kind.words.length > 0 ? programsOf(kind) : ''}`;

const text = [
  introduction,
  '## Lines that name the cause\n',
  ...kinds.filter(({ isSymptom }) => !isSymptom).map(sectionOf),
  '## Lines that only say that something failed\n',
  ...kinds.filter(({ isSymptom }) => isSymptom).map(sectionOf),
].join('\n');
const page = await format(text, { ...(await resolveConfig(target)), filepath: target });
if (!process.argv.includes('--check')) {
  await writeFile(target, page);
} else if ((await readFile(target, 'utf8').catch(() => '')) !== page) {
  console.error(
    'docs/troubleshooting.md is not what src/log/log-lines.json says: node scripts/write-troubleshooting.mjs',
  );
  process.exitCode = 1;
}
