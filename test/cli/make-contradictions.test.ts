// `relaycerts make` with files that contradict the settings or each other: it names the file, and touches nothing.

import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

const relay = 'relayhost.example.org';
const home = 'mailhost.example.org';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

/** What somebody did to the files, and what make must report; it must touch nothing. */
const contradictions: readonly {
  readonly name: string;
  readonly change: (project: Project) => void | Promise<void>;
  readonly says: RegExp;
}[] = [
  {
    name: 'a CA without its key',
    change: (made) => rmSync(made.path('certs/ca/example.org-ca.key.pem')),
    says: /example\.org-ca\.crt\.pem" is there, but its key .*example\.org-ca\.key\.pem" is missing/u,
  },
  {
    name: "leaves without the CA's certificate",
    change: (made) => rmSync(made.path('certs/ca/example.org-ca.crt.pem')),
    says: /the CA's certificate is missing, but .*relayhost\.example\.org\.crt\.pem" was signed by it/u,
  },
  {
    name: 'the whole CA gone, and the leaves with it',
    change: (made) => {
      rmSync(made.path('certs'), { recursive: true });
    },
    says: /the CA's key and certificate are missing, but .*hosts.relayhost\.example\.org" shows that there was a CA/u,
  },
  {
    name: 'a certificate without its key',
    change: (made) => rmSync(made.path(`certs/smtp-client/${home}.key.pem`)),
    says: /mailhost\.example\.org\.crt\.pem" is there, but its key .* is missing/u,
  },
  {
    name: 'a key that does not match',
    change: (made) => made.write(`certs/smtp-client/${home}.key.pem`, made.read(`certs/smtpd-server/${relay}.key.pem`)),
    says: /mailhost\.example\.org\.key\.pem" does not belong to the certificate/u,
  },
  {
    name: 'a certificate with another name',
    change: (made) => {
      for (const end of ['key.pem', 'crt.pem']) {
        made.write(`certs/smtp-client/other.example.org.${end}`, made.read(`certs/smtp-client/${home}.${end}`));
        chmodSync(made.path(`certs/smtp-client/other.example.org.${end}`), 0o600);
      }
      made.settings(smallSettings({ smtpClients: [{ hostname: 'other' }] }));
    },
    says: /other\.example\.org\.crt\.pem" .*mailhost\.example\.org/u,
  },
  {
    name: "a relay's certificate in a client's place",
    change: (made) => {
      made.write(`certs/smtp-client/${home}.crt.pem`, made.read(`certs/smtpd-server/${relay}.crt.pem`));
    },
    says: /mailhost\.example\.org\.crt\.pem" /u,
  },
  {
    name: 'a certificate from another CA',
    change: async (made) => {
      const other = makeProject();
      await other.run(['make']);
      for (const end of ['key.pem', 'crt.pem']) {
        made.write(`certs/smtp-client/${home}.${end}`, other.read(`certs/smtp-client/${home}.${end}`));
      }
      other.remove();
    },
    says: /mailhost\.example\.org\.crt\.pem" .*another CA|not signed/u,
  },
  {
    name: 'a certificate that is no certificate',
    change: (made) => made.write(`certs/smtpd-server/${relay}.crt.pem`, 'not a certificate\n'),
    says: /relayhost\.example\.org\.crt\.pem.* holds no certificate/u,
  },
  {
    name: 'a key that is open to others',
    change: (made) => chmodSync(made.path(`certs/smtp-client/${home}.key.pem`), 0o640),
    says: /mailhost\.example\.org\.key\.pem" can be read or changed by others \(mode 0640\)/u,
  },
  {
    name: 'a link where a key should be',
    change: (made) => {
      const key = made.path(`certs/smtp-client/${home}.key.pem`);
      renameSync(key, made.path('elsewhere'));
      symlinkSync(made.path('elsewhere'), key);
    },
    says: /mailhost\.example\.org\.key\.pem": it is a symbolic link/u,
  },
  {
    name: 'a folder where a certificate should be',
    change: (made) => {
      rmSync(made.path(`certs/smtp-client/${home}.crt.pem`));
      mkdirSync(made.path(`certs/smtp-client/${home}.crt.pem`));
    },
    says: /mailhost\.example\.org\.crt\.pem": it is a folder/u,
  },
];

describe('what contradicts the settings', () => {
  it.each(contradictions)('$name: names the file, and touches nothing', async ({ change, says }) => {
    await putMade(project);
    await change(project);
    const before = [treeOf(project.folder), treeOf(project.home)];
    const lock = project.read('.relaycerts.lock');
    const again = await project.run(['make']);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(says);
    expect(again.stderr).toMatch(/relaycerts: hint: \S/u);
    expect(again.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
    expect(again.stdout).toBe('');
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    expect(project.read('.relaycerts.lock')).toBe(lock);
  });

  it('no passphrase file: reports it before it makes a new client', async () => {
    await putMade(project);
    rmSync(join(project.home, '.example.org-relaycerts-passphrase.gpg'));
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const before = treeOf(project.folder);
    const again = await project.run(['make']);
    expect(again.status).toBe(1);
    expect(again.stderr).toMatch(/passphrase file .* is missing/u);
    expect(treeOf(project.folder)).toEqual(before);
  });
});
