// `relaycerts export ansible`: the hosts, and how each is installed, as files for ansible-playbook. They hold no key: the
// bundles are read from the project when the playbook runs. It changes nothing else, so it needs no lock.

import { relative, resolve } from 'node:path';
import { listSome, RelaycertsError } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { renderAnsible } from '../render/ansible.js';
import { renderNowRun } from '../render/now-run.js';
import { pathWord } from '../shell-word.js';
import { exportFolder } from '../store/export-folder.js';
import { layoutOf } from '../store/layout.js';
import { readCertifiedHosts } from '../store/read.js';
import type { Sys } from '../sys/sys.js';
import { assertElsewhere, findNewClients, leftOutWarning, notCertifiedError } from './hosts.js';
import { reading, type GlobalOptions } from './run.js';

export interface ExportAnsibleOptions extends GlobalOptions {
  /** The folder, as typed. */
  readonly output: string;
}

/** @throws settings, permissions, contradiction, certificate, files */
export async function exportAnsible(options: ExportAnsibleOptions, sys: Sys): Promise<void> {
  // What runs on the hosts as root follows from the settings, so nobody else may be able to write them.
  const { settings, found } = await reading(options, sys, (one) => readCertifiedHosts(one, sys), true);
  const inside = found.hosts.filter(({ host, isRevoked }) => host.container !== undefined && !isRevoked);
  const standing = found.hosts.filter((one) => !one.isRevoked && !inside.includes(one));
  if (standing.length === 0 && inside[0] !== undefined) {
    throw new RelaycertsError('usage', 'every host runs in a container, which Ansible does not set up', {
      hint: { run: ['export', 'docker', inside[0].host.hostname] },
    });
  }
  const hosts = standing.filter(({ certificate }) => certificate !== undefined);
  const missing = standing.filter(({ certificate }) => certificate === undefined);
  const added = findNewClients(settings, missing);
  const needed = missing.filter(({ host }) => hosts.length === 0 || !added.has(host.hostname));
  if (needed.length > 0) throw notCertifiedError(needed.map(({ host }) => host.hostname));
  if (added.size > 0) {
    const { message, hint } = leftOutWarning(added);
    sys.warn(message, hint);
  }
  if (inside[0] !== undefined) {
    const names = listSome(inside.map(({ host }) => host.hostname));
    const run = ['export', 'docker', inside[0].host.hostname];
    sys.warn(`left out, because they run in containers: ${names}`, { run, before: 'for each of them:' });
  }
  const folder = resolve(sys.cwd, options.output);
  assertElsewhere(settings, folder);
  const rendered = renderAnsible(settings, hosts, layoutOf(settings).hostsFolder);
  const files = [...rendered].map(([path, text]) => ({ path, bytes: Buffer.from(text), kind: 'material' as const }));
  const results = await exportFolder(folder, files, sys);
  const [written = [], removed = []] = ['written', 'removed'].map((outcome) =>
    results.flatMap((file) => (file.outcome === outcome ? [file.path] : [])),
  );
  const names = hosts.map(({ host }) => host.hostname);
  if (options.json) sys.write(writeAnswer('export ansible', { folder, hosts: names, written, removed }));
  const changes = written.length + removed.length;
  sys.say(changes === 0 ? 'nothing to change' : `made the Ansible files of ${names.length} hosts`, folder);
  if (options.json || sys.isQuiet) return;
  const way = relative(sys.cwd, folder);
  const place = way.startsWith('..') ? folder : way;
  const run = `ansible-playbook -i ${pathWord(`${place}/inventory.yml`)} ${pathWord(`${place}/playbook.yml`)}`;
  sys.write(renderNowRun({ words: 'Now run, with --check first to see what it would change:', run: [run] }));
}
