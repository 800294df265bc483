// `relaycerts adopt`: its options and help. Its code is in commands/adopt.ts, and loaded when it runs. Commander leaves
// out lists that were not given; from here on they are empty.

import type { AdoptOptions } from '../commands/adopt.js';
import { passphraseFdOption, type SysCommand } from './options.js';

type AdoptFlags = Omit<AdoptOptions, 'folder' | 'certificate' | 'relay' | 'client'> &
  Partial<Pick<AdoptOptions, 'certificate' | 'relay' | 'client'>>;

export function addAdopt(program: SysCommand): void {
  program
    .command('adopt')
    .description(
      'take over an existing CA with the keys and certificates of its hosts: from easy-rsa, openssl ca, step, mkcert, ' +
        'the old Makefile, or from files. They are copied; nothing is replaced',
    )
    .argument('[folder]', 'the folder of the CA; settings are proposed from its certificates if there are none')
    .option('--ca-key <file>', "the CA's private key, PEM, encrypted or not")
    .option('--ca-cert <file>', "the CA's certificate")
    .option('--index <file>', 'an index.txt of openssl ca, which lists what was revoked')
    .option('--certificate <file...>', "a host's certificate, private key or request")
    .option('--relay <host...>', 'these hosts are relays; for certificates that do not say so')
    .option('--client <host...>', 'these hosts are home hosts')
    .option('--dry-run', 'print what was found and what would be written, and write nothing')
    .option('--yes', 'do not ask')
    .addOption(passphraseFdOption("read the passphrase of the CA's old key from this file descriptor"))
    .examples(
      'relaycerts adopt ~/easy-rsa/pki --dry-run',
      'relaycerts adopt ~/old-makefile',
      'relaycerts adopt --ca-key ca.key --ca-cert ca.crt --certificate *.pem',
      'relaycerts adopt demoCA --relay relayhost.example.org --yes',
    )
    .runs(async (sys, options: AdoptFlags, folder: string | undefined) => {
      const { adopt } = await import('../commands/adopt.js');
      const { certificate = [], relay = [], client = [] } = options;
      await adopt({ ...options, certificate, relay, client, folder }, sys);
    });
}
