// Brings the programs that the tests run: the table below says which Debian package each comes from.
//
//   node scripts/install-test-tools.mjs                      install what is missing (root on Debian or Ubuntu)
//   node scripts/install-test-tools.mjs --check [PROGRAM...] only say what is missing; exit 1 if anything is
//
// Plain Node without dependencies: it runs before anything is installed or built. Silent when nothing is missing. It
// starts no daemon: a policy-rc.d of its own forbids that while it installs, unless the machine already has one.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const packageOfProgram = {
  'ansible-inventory': 'ansible-core',
  'ansible-lint': 'ansible-lint',
  'ansible-playbook': 'ansible-core',
  bash: 'bash',
  busybox: 'busybox',
  certtool: 'gnutls-bin',
  certutil: 'libnss3-tools',
  chromium: 'chromium',
  dash: 'dash',
  dig: 'bind9-dnsutils',
  dkimverify: 'python3-dkim',
  dnsmasq: 'dnsmasq-base',
  'fail2ban-regex': 'fail2ban',
  faketime: 'faketime',
  fish: 'fish',
  'gnutls-cli': 'gnutls-bin',
  git: 'git',
  gpg: 'gnupg',
  groff: 'groff-base',
  ip: 'iproute2',
  jq: 'jq',
  keytool: 'default-jre-headless',
  losetup: 'mount',
  mandoc: 'mandoc',
  make: 'make',
  // easyrsa itself is not on PATH.
  'make-cadir': 'easy-rsa',
  mkcert: 'mkcert',
  'mkfs.exfat': 'exfatprogs',
  'mkfs.ext4': 'e2fsprogs',
  mount: 'mount',
  'mount.exfat-fuse': 'exfat-fuse',
  named: 'bind9',
  'named-checkzone': 'bind9-utils',
  nft: 'nftables',
  nsenter: 'util-linux',
  opendkim: 'opendkim',
  openssl: 'openssl',
  pk12util: 'libnss3-tools',
  // The tables of Alpine and Red Hat are a package of their own in Debian.
  postconf: 'postfix postfix-lmdb',
  postfix: 'postfix',
  perl: 'perl',
  pkill: 'procps',
  posh: 'posh',
  'policyd-spf': 'postfix-policyd-spf-python',
  postsrsd: 'postsrsd',
  'posttls-finger': 'postfix',
  ps: 'procps',
  rsync: 'rsync',
  setfacl: 'acl',
  setpriv: 'util-linux',
  shellcheck: 'shellcheck',
  shfmt: 'shfmt',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  sshd: 'openssh-server',
  strace: 'strace',
  sudo: 'sudo',
  // swaks loads its TLS from a package that Debian only recommends.
  swaks: 'swaks libnet-ssleay-perl',
  'systemd-analyze': 'systemd',
  tcsh: 'tcsh',
  tmux: 'tmux',
  unshare: 'util-linux',
  zsh: 'zsh',
};

const oldestNode = [20, 19];
const policyFile = '/usr/sbin/policy-rc.d';

function say(...lines) {
  for (const line of lines) process.stderr.write(`install-test-tools: ${line}\n`);
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function isInstalled(program) {
  // On Debian a user's PATH lacks the sbin folders, where postfix and sshd are.
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => folder !== '' && isProgram(join(folder, program)));
}

function run(argv, options = {}) {
  const [program, ...args] = argv;
  const { status, error } = spawnSync(program, args, {
    // apt's own report is progress output: stdout stays empty.
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 2, 2],
    input: options.input,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (error) say(`cannot run ${program}: ${error.message}`);
  return status === 0;
}

function install(packages) {
  const hasPolicy = existsSync(policyFile);
  const dropPolicy = () => {
    if (!hasPolicy) rmSync(policyFile, { force: true });
  };
  // spawnSync holds a signal back until apt has ended (apt gets Ctrl-C itself), so finally is always reached.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      dropPolicy();
      process.exit(130);
    });
  }
  try {
    if (!hasPolicy) writeFileSync(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' });
    if (packages.includes('postfix')) {
      const answer = 'postfix postfix/main_mailer_type select No configuration\n';
      if (!run(['debconf-set-selections'], { input: answer })) return false;
    }
    const wait = ['-o', 'DPkg::Lock::Timeout=300'];
    if (!run(['apt-get', ...wait, 'update', '--quiet']))
      say('apt-get update failed; trying with the lists that are there');
    // Debian 11 has no shfmt: the tests that run it fail and say so; the others run.
    const known = packages.filter((name) => spawnSync('apt-cache', ['show', name]).status === 0);
    return run(['apt-get', ...wait, 'install', '--quiet', '--yes', '--no-install-recommends', ...known]);
  } finally {
    dropPolicy();
  }
}

function main(args) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])) {
    say(`node ${process.versions.node} is too old: relaycerts needs ${oldestNode.join('.')} or newer`);
    return 1;
  }
  const isCheck = args[0] === '--check';
  if (args.length > 0 && !isCheck) {
    say('usage: node scripts/install-test-tools.mjs [--check [PROGRAM...]]');
    return 2;
  }
  const programs = args.length > 1 ? args.slice(1) : Object.keys(packageOfProgram);
  const unknown = programs.filter((program) => !Object.hasOwn(packageOfProgram, program));
  if (unknown.length > 0) {
    say(`not in the table of scripts/install-test-tools.mjs: ${unknown.join(' ')}`);
    return 2;
  }
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return 0;

  const packages = [...new Set(missing.flatMap((program) => packageOfProgram[program].split(' ')))];
  const isRoot = process.getuid?.() === 0;
  const hasApt = isInstalled('apt-get');
  const byHand = `apt-get install --no-install-recommends ${packages.join(' ')}`;
  say(`missing: ${missing.join(' ')}`);
  if (isCheck || !isRoot || !hasApt) {
    if (!hasApt) say(`install them with your own package manager; on Debian they are in: ${packages.join(' ')}`);
    else say(`as root: ${byHand}`);
    return 1;
  }
  say(`installing: ${packages.join(' ')}`);
  if (!install(packages)) {
    say(`apt-get failed; once that is fixed: ${byHand}`);
    return 1;
  }
  const still = missing.filter((program) => !isInstalled(program));
  if (still.length > 0) {
    say(`not in this release, so the tests that run them will fail: ${still.join(' ')}`);
    return 0;
  }
  say('done; nothing that came with them was started');
  return 0;
}

process.exitCode = main(process.argv.slice(2));
