// A folder like the one of the Makefile that came before relaycerts: settings.mk, certs/, and a passphrase file that
// gpg made. It gave the hosts' certificates no extensions: with openssl 3.0 they are of version 1.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireTools } from './require-tools.js';

const makefile = `include settings.mk
CA = certs/ca/$(DOMAIN)-ca
HOSTS = certs/smtpd-server/$(SMTPD_SERVER) $(addprefix certs/smtp-client/,$(SMTP_CLIENTS))
PASS = gpg --batch --quiet --decrypt $(PASSPHRASE_FILE)

all: $(CA).crt.pem $(HOSTS:=.crt.pem)

$(PASSPHRASE_FILE):
	umask 077; openssl rand -hex 32 | gpg --batch --quiet --trust-model always -r $(GPG_RECIPIENT) -o $@ -e

$(CA).key.pem: $(PASSPHRASE_FILE)
	mkdir -p $(@D); umask 077; $(PASS) | openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \\
	  -aes-256-cbc -pass stdin -out $@

$(CA).crt.pem: $(CA).key.pem
	$(PASS) | openssl req -x509 -new -key $< -passin stdin -days $(DAYS) -out $@ \\
	  -subj '/C=$(COUNTRY)/O=$(ORGANIZATION)/CN=$(DOMAIN) mail CA'

%.key.pem:
	mkdir -p $(@D); umask 077; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $@

%.csr.pem: %.key.pem
	openssl req -new -key $< -subj '/C=$(COUNTRY)/O=$(ORGANIZATION)/CN=$(notdir $*)' -out $@

$(HOSTS:=.crt.pem): %.crt.pem: %.csr.pem $(CA).crt.pem
	$(PASS) | openssl x509 -req -in $< -CA $(CA).crt.pem -CAkey $(CA).key.pem -passin stdin \\
	  -CAcreateserial -days $(DAYS) -out $@

.SECONDARY:
`;

/** As its users edited it. */
function oldSettings(recipient: string, clients: readonly string[]): string {
  return `# settings of the relay
DOMAIN          = example.org
SMTPD_SERVER    = relayhost.$(DOMAIN)
SMTP_CLIENTS    = ${clients.map((name) => `${name}.$(DOMAIN)`).join(' ')}
export COUNTRY := NL
ORGANIZATION    = Example   # as in the letterhead
DAYS            = 3650
PASSPHRASE_FILE = $(HOME)/.$(DOMAIN)-passphrase.gpg
GPG_RECIPIENT   = ${recipient}
`;
}

/** The two files by name. */
export function oldFiles(recipient: string, clients: readonly string[]): Readonly<Record<string, string>> {
  return { Makefile: makefile, 'settings.mk': oldSettings(recipient, clients) };
}

/** Makes such a folder in a new home; `env` has HOME and GNUPGHOME. */
export function makeOldProject(folder: string, recipient: string, env: Readonly<Record<string, string>>): void {
  requireTools('make', 'gpg', 'openssl');
  mkdirSync(folder);
  for (const [name, text] of Object.entries(oldFiles(recipient, ['mailhost', 'mailhost2']))) {
    writeFileSync(join(folder, name), text);
  }
  const { status, stderr } = spawnSync('make', ['--silent', '-C', folder], { env });
  if (status !== 0) throw new Error(`make: ${stderr.toString()}`);
}
