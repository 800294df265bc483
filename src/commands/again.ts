// What brings a revoked host back: said wherever something is asked of one.

import { RelaycertsError } from '../errors.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { lastRevocation } from '../store/revocation.js';

/** `keepsKey`: its key is where it was made, and so the new one has to be. */
export function againWords({ program }: Settings, { hostname }: HostSettings, keepsKey: boolean): string {
  return keepsKey
    ? `${program} sign FILE --host ${hostname} --again, with a request for a new key`
    : `${program} make --again ${hostname}`;
}

/** What every command but make says of a revoked host. @throws files */
export async function isRevokedError(settings: Settings, one: HostSettings): Promise<RelaycertsError> {
  const { keepsKey } = await lastRevocation(layoutOf(settings), one);
  const again = againWords(settings, one, keepsKey);
  return new RelaycertsError('contradiction', `${one.hostname} is revoked`, {
    hint: `to let it relay again${keepsKey ? '' : ', with a new key'}: ${again}`,
  });
}
