// Spamhaus' DQS key, from the file that relayPort25.dqsKeyFile names. It is read by commands that make bundles; `show`
// never reads it.

import { quotePath } from '../errors.js';
import { keyedLists } from '../plan/port25.js';
import { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';
import { readPrivate, type Findings } from './read-file.js';

/** The key; undefined if no list is asked with one. What is wrong with the file is a problem in `findings`. */
export function readDqsKey({ relayPort25 }: Pick<Settings, 'relayPort25'>, findings: Findings): Secret | undefined {
  const path = relayPort25?.dqsKeyFile;
  if (path === undefined || keyedLists(relayPort25).length === 0) return undefined;
  const found = findings.problems.length + findings.denied.length;
  const bytes = readPrivate(path, findings);
  if (bytes === undefined) {
    if (findings.problems.length + findings.denied.length === found) {
      findings.problems.push({
        message: `the DQS key ${quotePath(path)} is missing`,
        hint: 'write the key that Spamhaus gave you to it, or remove relayPort25.dqsKeyFile from the settings',
      });
    }
    return undefined;
  }
  const text = bytes.toString('latin1').trim();
  // It becomes a label of a DNS name, in a line of a Postfix table.
  if (/^[a-z0-9]{8,63}$/u.test(text)) return new Secret(text);
  findings.problems.push({
    message: `no DQS key in ${quotePath(path)}`,
    hint: 'it must hold nothing but the key, small letters and digits on one line',
  });
  return undefined;
}
