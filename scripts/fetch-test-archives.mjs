// Fetches the mail programs that the e2e tests unpack on lab hosts: as packages they conflict with Postfix and with each
// other, so none of them is installed.
//
//   node scripts/fetch-test-archives.mjs     fetch what is missing (root on Debian)
//
// They are kept in node_modules/.cache. Plain Node without dependencies. Silent when nothing is missing.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.cache/relaycerts/archives');

// From this machine's release, with the dependencies that the machine does not have; or from another release, by name.
const archives = [
  { name: 'exim', packages: ['exim4-daemon-light'] },
  { name: 'nullmailer', packages: ['nullmailer'] },
  { name: 'msmtp', packages: ['msmtp'] },
  { name: 'nodemailer', packages: ['node-nodemailer'] },
  // The last one that cannot show a client certificate, and one that can, with the libraries of its release.
  { name: 'opensmtpd-6', release: 'bookworm', packages: ['opensmtpd', 'libdb5.3', 'libevent-2.1-7'] },
  {
    name: 'opensmtpd-7',
    release: 'trixie',
    packages: [
      'opensmtpd',
      'libaudit1',
      'libc6',
      'libcap-ng0',
      'libcrypt1',
      'libdb5.3t64',
      'libevent-2.1-7t64',
      'libpam0g',
      'libssl3t64',
      'libzstd1',
      'zlib1g',
    ],
  },
];

function say(text) {
  process.stderr.write(`fetch-test-archives: ${text}\n`);
}

function aptGet(args, cwd) {
  const { status, error } = spawnSync('apt-get', ['--quiet', '-o', 'APT::Sandbox::User=root', ...args], {
    cwd,
    stdio: ['ignore', 2, 2],
  });
  if (error) say(`cannot run apt-get: ${error.message}`);
  return status === 0;
}

/** Where this machine's packages come from; undefined if apt does not say. */
function archiveOfMachine() {
  const { stdout } = spawnSync('apt-get', ['indextargets', '--format', '$(REPO_URI)'], { encoding: 'utf8' });
  return stdout?.split('\n').find((uri) => /\/debian\/?$/u.test(uri));
}

/** Another release's own sources and lists, so that the machine's stay as they are. */
function releaseOptions(release, temporary, uri) {
  const state = join(temporary, 'apt');
  mkdirSync(join(state, 'lists/partial'), { recursive: true });
  mkdirSync(join(state, 'cache/archives/partial'), { recursive: true });
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  writeFileSync(join(state, 'sources.list'), `deb [signed-by=${keys}] ${uri} ${release} main\n`);
  return [
    ['Dir::Etc::sourcelist', join(state, 'sources.list')],
    ['Dir::Etc::sourceparts', '/dev/null'],
    ['Dir::State::lists', join(state, 'lists')],
    ['Dir::Cache', join(state, 'cache')],
    ['APT::Default-Release', release],
  ].flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

function fetch({ release, packages }, temporary) {
  if (release !== undefined) {
    const uri = archiveOfMachine();
    if (uri === undefined) return false;
    const options = releaseOptions(release, temporary, uri);
    return aptGet([...options, 'update'], temporary) && aptGet([...options, 'download', ...packages], temporary);
  }
  mkdirSync(join(temporary, 'partial'));
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-o', `Dir::Cache::archives=${temporary}`];
  const install = ['--download-only', '--yes', '--no-install-recommends', 'install', ...packages];
  return aptGet([...options, ...install], temporary);
}

function main() {
  const missing = archives.filter(({ name }) => !existsSync(join(folder, name)));
  for (const archive of missing) {
    const temporary = join(folder, `${archive.name}.part`);
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary, { recursive: true });
    const isThere = fetch(archive, temporary) && readdirSync(temporary).some((file) => file.endsWith('.deb'));
    if (!isThere) {
      say(
        `apt-get could not fetch ${archive.packages.join(' ')}, which the e2e tests need; as root on Debian: apt-get update`,
      );
      return 1;
    }
    rmSync(join(temporary, 'apt'), { recursive: true, force: true });
    renameSync(temporary, join(folder, archive.name));
  }
  return 0;
}

process.exitCode = main();
