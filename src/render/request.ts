// The instructions for a host that makes its own key: the openssl lines that make key and request there, how the
// request is brought here and signed, and how the host builds its chain. The lines may be pasted again: an existing key
// stays. A revoked host's key is the one that was revoked, and is removed.

import { dirname } from 'node:path';
import { maxCommonNameLength } from '../certificate/profile.js';
import type { HostName } from '../names.js';
import { bundleNames } from '../plan/bundle-names.js';
import type { HostSettings, KeyType, Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { rootCommand } from './commands.js';
import { onHost, step, type Step } from './step.js';

/** genpkey(1) options for each type of key. */
const keyOptions: Readonly<Record<KeyType, string>> = {
  'ecdsa-p256': '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
  'ecdsa-p384': '-algorithm EC -pkeyopt ec_paramgen_curve:P-384',
  'rsa-2048': '-algorithm RSA -pkeyopt rsa_keygen_bits:2048',
  'rsa-3072': '-algorithm RSA -pkeyopt rsa_keygen_bits:3072',
  'rsa-4096': '-algorithm RSA -pkeyopt rsa_keygen_bits:4096',
  ed25519: '-algorithm ED25519',
};

/** The lines that make a host's key, readable only by root from the start, and a request for it. */
function requestLines(settings: Settings, { hostname }: HostSettings, isRevoked: boolean): readonly string[] {
  const { directory } = settings.postfix;
  const { key } = bundleNames(settings.domain, hostname);
  // The name in a request is only for people; a commonName ends at 64 characters.
  const name = hostname.length > maxCommonNameLength ? (hostname.split('.')[0] ?? '') : hostname;
  return [
    '(',
    `  mkdir -p ${dirname(directory)}`,
    '  umask 077',
    `  mkdir -p ${directory}`,
    `  cd ${directory} || exit`,
    ...(isRevoked ? [`  rm -f ${key} ${requestName(hostname)}`] : []),
    `  test -s ${key} || {`,
    `    openssl genpkey ${keyOptions[settings.certificates.keyType]} -out ${key}.new &&`,
    `      mv ${key}.new ${key}`,
    '  }',
    `  openssl req -new -key ${key} -subj ${shellWord(`/CN=${name}`)} -out ${requestName(hostname)}`,
    ')',
  ];
}

/** Key and request on the host, then the signature here. */
export function requestStep(settings: Settings, host: HostSettings, isRevoked: boolean): Step {
  const { hostname, ssh } = host;
  const request = requestName(hostname);
  return step('request', `Make the key on ${hostname}, and sign its request here`, [
    isRevoked
      ? 'The key never leaves the host. This removes the old one, which was revoked: paste it only once.'
      : 'The key never leaves the host. An existing one stays.',
    onHost(requestLines(settings, host, isRevoked)),
    'Only the public key in the request is used. If it was already signed, nothing changes.',
    {
      where: 'here',
      lines: [
        `${rootCommand(ssh, `cat ${settings.postfix.directory}/${request}`)} >${request} &&`,
        `  ${settings.program} sign ${request} --host ${hostname}${isRevoked ? ' --again' : ''}`,
      ],
    },
  ]);
}

/** How a host that keeps its own key makes another one: the printed lines keep an existing key. */
export function newKeyWords({ domain, postfix, program }: Settings, hostname: HostName): string {
  return `rm ${postfix.directory}/${bundleNames(domain, hostname).key}, and ${program} show ${hostname} --section request`;
}

/** After the copy: key and certificate become the chain that Postfix reads. */
export function chainParts(settings: Settings, { hostname }: HostSettings): Step['parts'] {
  const { key, certificate, chain } = bundleNames(settings.domain, hostname);
  return [
    'The host joins its own key and the certificate; the script does this too.',
    onHost([
      '(',
      `  cd ${settings.postfix.directory} || exit`,
      '  umask 077',
      `  cat ${key} ${certificate} >${chain}.new &&`,
      `    mv ${chain}.new ${chain}`,
      ')',
    ]),
  ];
}

function requestName(hostname: string): string {
  return `${hostname}.csr.pem`;
}
