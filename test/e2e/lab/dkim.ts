// What the world sees of signed mail: a DNS server for the keys' records, and verification by two programs that are not
// OpenDKIM.

import { spawnSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';

import { authenticate } from 'mailauth';

import type { Lab } from '../lab.js';
import { addressOf } from './wire.js';

/** The records of keys, by name. */
export type Records = ReadonlyMap<string, string>;

/** A DNS server of the lab for the domain's records; the hosts' own server does not know them. */
export class KeyServer {
  readonly address = addressOf({ hostname: 'ns', octet: 53 });
  readonly #lab: Lab;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Publishes these records and no others. */
  async publish(records: Records): Promise<void> {
    const [wire] = this.#lab.machines;
    if (wire === undefined) throw new TypeError('a lab without a wire');
    const lines = [...records].map(([name, value]) => {
      const strings = value.match(/.{1,200}/gu) ?? [];
      return `txt-record=${[name, ...strings.map((text) => `"${text}"`)].join(',')}\n`;
    });
    await wire.writeFile('/run/lab/keys.conf', lines.join(''));
    await this.stop();
    await wire.sh(`ip address replace ${this.address}/24 dev wire
      dnsmasq --conf-file=/run/lab/keys.conf --pid-file=/run/keys.pid --user=root --no-hosts --no-resolv --local=/#/ \\
        --listen-address=${this.address} --bind-interfaces`);
  }

  /** No answer at all, from now on. */
  async stop(): Promise<void> {
    const script = `pid=$(cat /run/keys.pid 2> /dev/null) || exit 0
      kill "$pid"
      while [ -e "/proc/$pid" ]; do sleep 0.02; done
      rm -f /run/keys.pid`;
    await this.#lab.machines[0]?.sh(script);
  }
}

/** Records as `renew --dkim` prints them: NAME TXT VALUE. */
export function recordsIn(text: string): Records {
  const lines = [...text.matchAll(/^ *(\S+\._domainkey\.\S+) TXT (.*)$/gmu)];
  return new Map(lines.map(([, name = '', value = '']) => [name, value]));
}

/** The signature's domain and selector; undefined if the mail is not signed. */
export function signatureOf(mail: string): string | undefined {
  const header = /^DKIM-Signature:(?:.|\n[ \t])*/mu.exec(mail)?.[0];
  if (header === undefined) return undefined;
  const tag = (name: string): string => new RegExp(String.raw`\b${name}=([^;\s]+)`, 'u').exec(header)?.[1] ?? '';
  return `${tag('s')}._domainkey.${tag('d')}`;
}

const dkimpy = `import dkim, json, sys
records = json.loads(sys.argv[1])
def find(name, timeout=5):
    value = records.get(name.decode().rstrip('.'))
    return None if value is None else value.encode()
print(dkim.verify(sys.stdin.buffer.read(), dnsfunc=find))
`;

/** What mailauth and dkimpy say of the signature with these records: `pass pass` if it is good. */
export async function verify(mail: string, records: Records): Promise<string> {
  const text = mail.replaceAll(/\r?\n/gu, '\r\n');
  const resolver = async (name: string, type: string): Promise<string[][]> => {
    const found = type === 'TXT' ? records.get(name) : undefined;
    if (found === undefined) throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    return Promise.resolve([[found]]);
  };
  const { dkim } = await authenticate(text, { resolver, ip: '192.0.2.1', helo: 'x', sender: 'ann@example.org' });
  const results = dkim.results.map(({ status }) => status.result);
  const args = ['-c', dkimpy, JSON.stringify(Object.fromEntries(records))];
  const { stdout, stderr } = spawnSync('/usr/bin/python3', args, { input: text, encoding: 'utf8' });
  if (stderr !== '' && stdout === '') throw new Error(stderr);
  return `${results.join(',')} ${stdout.trim() === 'True' ? 'pass' : 'fail'}`;
}

/** What mailauth says of a mail from a relay at `address`, as this DNS server answers: `DKIM SPF DMARC`. */
export async function authenticity(
  mail: string,
  server: string,
  { sender, helo, address }: { readonly sender: string; readonly helo: string; readonly address: string },
): Promise<string> {
  const dns = new Resolver();
  dns.setServers([server]);
  const text = mail.replaceAll(/\r?\n/gu, '\r\n');
  const resolver = async (name: string, type: string) => dns.resolve(name, type);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- mailauth's type has texts only
  const options = { resolver: resolver as (name: string) => Promise<string[]>, ip: address, helo, sender };
  const { dkim, spf, dmarc } = await authenticate(text, options);
  const results = [dkim.results[0]?.status.result, spf && spf.status.result, dmarc && dmarc.status.result];
  return results.map((one) => one || 'none').join(' ');
}
