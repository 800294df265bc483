// What a plan is carried out with.

import type { Host } from '../host/host.js';
import type { Inventory } from '../plan/inventory.js';
import type { Plan, Step } from '../plan/plan.js';
import type { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';

export type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>;

export interface Work {
  readonly plan: Plan;
  readonly settings: Settings;
  readonly inventory: Inventory;
  readonly host: Host;
  readonly at: Date;
  /** From --passphrase-fd; undefined where the passphrase file has to be opened. */
  readonly passphrase: Secret | undefined;
}
