// The text of dist/THIRD-PARTY-LICENSES.txt: the licence of every package whose code is in the bundle, the notices in
// its source, and the licences of packages embedded in it. Those are known only from its source map, and their texts,
// like the GPL that the LGPL refers to, are in licenses/. If a licence is not found, the build fails.

import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { packagesIn } from './bundle.mjs';

const line = `\n${'-'.repeat(80)}\n\n`;
const isLgpl = (license) => license.startsWith('LGPL-3');

/** All of it. @throws Error - a package has no licence text */
export async function licenseTexts(metafile) {
  const inputs = Object.keys(metafile.inputs);
  const texts = [];
  let hasLgpl = false;
  for (const { name, folder } of packagesIn(metafile)) {
    const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const own = inputs.filter(
      (input) => input.startsWith(`${folder}/`) && !input.includes('/node_modules/', folder.length),
    );
    texts.push([`${name} ${version}`, license, '', await licenseOf(folder), ...(await noticesIn(own)), ''].join('\n'));
    for (const inner of await packagesInside(own)) {
      texts.push(`${inner}, inside ${name} ${version}\n\n${await textOf(inner.replace('@', '').replace('/', '-'))}\n`);
    }
    if (!isLgpl(license)) continue;
    hasLgpl = true;
    texts.push(
      `relaycerts uses ${name}, and ${name} and its use are covered by the GNU Lesser General Public License, above. It is a
file of its own, ${name}-*.cjs beside this one; another version of it that has the same exports may take its place.
`,
    );
  }
  if (hasLgpl)
    texts.push(
      `The GNU General Public License, which the GNU Lesser General Public License refers to\n\n${await textOf('GPL-3.0')}\n`,
    );
  return texts.join(line);
}

async function licenseOf(folder) {
  const file = (await readdir(folder)).find((entry) => /^(licen[cs]e|copying)(\.|$)/iu.test(entry));
  if (file === undefined) throw new Error(`${folder} has no licence text`);
  return (await readFile(join(folder, file), 'utf8')).trim();
}

/** @throws Error - it is missing, so a package embeds other packages than before */
async function textOf(name) {
  return (await readFile(new URL(`../licenses/${name}.txt`, import.meta.url), 'utf8')).trim();
}

/** The comments with a copyright, which the bundle leaves out. */
async function noticesIn(inputs) {
  const notices = new Set();
  for (const input of inputs) {
    const source = await readFile(input, 'utf8');
    for (const [comment] of source.matchAll(/\/\*[^]*?\*\/|(?:^[ \t]*\/\/.*\n)+/gmu)) {
      if (/copyright|licen[cs]e /iu.test(comment)) notices.add(comment.replaceAll(/^[ \t]+|[ \t]+$/gmu, '').trim());
    }
  }
  return notices.size === 0 ? [] : ['', 'Notices in its source:', ...[...notices].flatMap((text) => ['', text])];
}

/** The packages that were bundled into these files by their authors. */
async function packagesInside(inputs) {
  const names = new Set();
  for (const folder of new Set(inputs.map(dirname))) {
    for (const file of (await readdir(folder)).filter((entry) => entry.endsWith('js.map'))) {
      const { sources } = JSON.parse(await readFile(join(folder, file), 'utf8'));
      for (const source of sources) {
        const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(source)?.[1];
        if (name !== undefined) names.add(name);
      }
    }
  }
  return [...names].toSorted((a, b) => a.localeCompare(b));
}
