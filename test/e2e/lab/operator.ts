// What the operator does, as a person would: write the settings, run relaycerts, and run what it prints, unchanged.

import { setTimeout as sleep } from 'node:timers/promises';

import { blocksFor, blocksOf, pipedCommands } from '../../support/blocks.js';
import { patienceMs } from './machine.js';
import type { ExecResult, Machine } from './machine.js';
import type { Authority } from './certificates.js';
import type { MailHost, OutsideMx } from './mail-host.js';
import { settleAll } from './settled.js';

let mailCount = 0;

function isTooSoon(command: string, stdout: string): boolean {
  return command.startsWith('ss -ltn ') && !stdout.includes('LISTEN');
}

/** A folder with settings on the operator's machine. */
export class Desk {
  readonly machine: Machine;
  readonly folder: string;
  /** The commands that the text prints for a host, which depend on the settings. */
  readonly #printed = new Map<string, string>();

  constructor(machine: Machine, folder = '/home/operator') {
    this.machine = machine;
    this.folder = folder;
  }

  /** Runs a command line of the operator's in the folder; a reload that it asked a host for is over afterwards. */
  async run(command: string, anyExit = false): Promise<ExecResult> {
    const result = await this.machine.sh(`cd ${this.folder} || exit\n${command}`, { anyExit });
    await settleAll();
    return result;
  }

  async settings(settings: Readonly<Record<string, unknown>>): Promise<void> {
    this.#printed.clear();
    const text = JSON.stringify({ domain: 'example.org', ...settings }, undefined, 2);
    await this.machine.writeFile(`${this.folder}/settings.json`, `${text}\n`);
  }

  /** Writes the settings, runs make, and resolves with what it printed. */
  async make(settings: Readonly<Record<string, unknown>>): Promise<string> {
    await this.settings(settings);
    return (await this.run('relaycerts make')).stdout;
  }

  async show(words: string): Promise<string> {
    return (await this.run(`relaycerts show ${words}`)).stdout;
  }

  /** Runs the rsync command printed for a host. */
  async copy({ hostname }: MailHost): Promise<void> {
    await this.run(await this.#command(`${hostname} --section rsync`, (text) => blocksFor(text, 'here')));
  }

  /** Runs the script on a host with the command printed for it. */
  async script({ hostname }: MailHost, words: '' | '--undo' = ''): Promise<ExecResult> {
    return this.run(await this.#command(`${hostname} ${words}`, pipedCommands), true);
  }

  /** The only command of this kind in the output of show. */
  async #command(words: string, find: (text: string) => readonly string[]): Promise<string> {
    const known = this.#printed.get(words);
    if (known !== undefined) return known;
    const [command, ...more] = find(await this.show(words));
    if (command === undefined || more.length > 0) throw new Error(`not one command in: relaycerts show ${words}`);
    this.#printed.set(words, command);
    return command;
  }

  /** Pastes each printed block of a host at its place, in the order of the text; resolves with the output of each. */
  async paste(
    host: MailHost,
    words: '' | '--undo' | '--section monitor' | '--section tunnel' = '',
  ): Promise<readonly string[]> {
    const said: string[] = [];
    for (const block of blocksOf(await this.show(`${host.hostname} ${words}`))) {
      if (block.where !== 'here' && block.host !== host.hostname) {
        throw new Error(`a block that is not for ${host.hostname}: ${block.text}`);
      }
      if (block.where === 'file') {
        await host.writeFile(block.file, block.text);
        continue;
      }
      const runBlock = async (): Promise<string> =>
        block.where === 'here'
          ? (await this.run(`exec 2>&1\n${block.text}`)).stdout
          : (await host.exec(['sh', '-c', 'exec sh 2>&1'], { input: block.text })).stdout;
      let stdout = await runBlock();
      // Postfix listens only a moment after its reload, as the text says.
      for (const end = Date.now() + patienceMs; isTooSoon(block.text, stdout) && Date.now() < end;) {
        await sleep(50);
        stdout = await runBlock();
      }
      said.push(stdout);
    }
    await settleAll();
    return said;
  }

  /** Copies the bundle and runs the script, on all of these hosts at once; throws if one fails. */
  async install(...hosts: readonly MailHost[]): Promise<void> {
    await Promise.all(
      hosts.map(async (host) => {
        await this.copy(host);
        const { code, stderr } = await this.script(host);
        if (code !== 0) throw new Error(`${host.hostname}: the script ended with ${code}: ${stderr}`);
      }),
    );
  }
}

/** The CA made on the operator's machine, its key opened with gpg and openssl, to sign what relaycerts would not. */
export async function openCa(desk: Desk): Promise<Authority> {
  await desk.run('gpg --batch --quiet --import .config/relaycerts/operator-key.asc');
  const open = `gpg --batch --quiet --decrypt .example.org-relaycerts-passphrase.gpg |
    openssl pkey -in certs/ca/example.org-ca.key.pem -passin stdin`;
  return {
    certificate: await desk.machine.readFile('certs/ca/example.org-ca.crt.pem'),
    key: (await desk.run(open)).stdout,
  };
}

/** Sends a mail from a home to the outside; resolves with its subject at once. */
export async function send(home: MailHost): Promise<string> {
  const subject = `mail ${++mailCount}`;
  await home.markLog();
  await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject });
  return subject;
}

/** Sends a mail and waits until it is at the outside MX; resolves with its text. */
export async function deliver(home: MailHost, outside: OutsideMx): Promise<string> {
  return outside.waitForMail(await send(home));
}

/**
 * Everything that shows whether a configuration was touched: owner, mode, time, size, inode and digest of both files.
 */
export async function configurationOf(host: MailHost): Promise<string> {
  const script = `cd /etc/postfix && stat -c '%n %u:%g %a %s %y %i' main.cf master.cf && sha256sum main.cf master.cf`;
  return (await host.sh(script)).stdout;
}

/** The bytes, owner and mode of both files, whenever they were written. */
export async function contentOf(host: MailHost): Promise<string> {
  const script = `cd /etc/postfix && stat -c '%n %u:%g %a' main.cf master.cf && cat main.cf master.cf`;
  return (await host.sh(script)).stdout;
}

/** The serial of the certificate that a relay's service shows on the wire, in lower case. */
export async function servedSerial(desk: Desk, relay: MailHost): Promise<string> {
  const connect = `openssl s_client -starttls smtp -connect ${relay.hostname}:2500`;
  const { stdout } = await desk.run(`${connect} < /dev/null 2> /dev/null | openssl x509 -noout -serial`);
  return stdout.trim().replace(/^.*=/u, '').toLowerCase();
}
