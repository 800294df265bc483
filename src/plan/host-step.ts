// What a host gets, as steps of a plan. Paths and names are put together when they are asked for, because the plan of a
// fleet has three steps a host. JSON.stringify would print only what is no accessor, so each lists its members.

import type { HostName } from '../names.js';
import type { KeyType, Role, Settings } from '../settings/settings.js';
import { bundleFiles, keyPlaceOf } from './bundle-names.js';
import type { HostInventory } from './inventory.js';

abstract class StepForHost {
  protected readonly found: HostInventory;

  constructor(found: HostInventory) {
    this.found = found;
  }

  get role(): Role {
    return this.found.host.role;
  }

  get hostname(): HostName {
    return this.found.host.hostname;
  }
}

/** A new key. */
export class KeyStep extends StepForHost {
  readonly keyType: KeyType;

  constructor(found: HostInventory, keyType: KeyType) {
    super(found);
    this.keyType = keyType;
  }

  get kind() {
    return 'key' as const;
  }

  get path(): string {
    return this.found.keyPath;
  }

  toJSON(): object {
    const { kind, path, role, hostname, keyType } = this;
    return { kind, path, role, hostname, keyType };
  }
}

/** A certificate for the key that is there, or made before. */
export class CertificateStep extends StepForHost {
  /** The ledger's word: the first certificate, or a new one for the same key. */
  readonly event: 'issued' | 'renewed';
  /** For messages: cut to the CA's days. */
  readonly validDays: number;

  constructor(found: HostInventory, event: 'issued' | 'renewed', validDays: number) {
    super(found);
    this.event = event;
    this.validDays = validDays;
  }

  get kind() {
    return 'certificate' as const;
  }

  get path(): string {
    return this.found.certificatePath;
  }

  toJSON(): object {
    const { kind, event, path, role, hostname, validDays } = this;
    return { kind, event, path, role, hostname, validDays };
  }
}

/** The bundle, for the host's own key and certificate and those of its peers. */
export class BundleStep extends StepForHost {
  readonly #settings: Settings;
  readonly #changed: readonly string[] | undefined;

  /** `changed`: the files that change, if not all of them do. */
  constructor(found: HostInventory, settings: Settings, changed?: readonly string[]) {
    super(found);
    this.#settings = settings;
    this.#changed = changed;
  }

  get kind() {
    return 'bundle' as const;
  }

  get path(): string {
    return this.found.bundleFolder;
  }

  get files(): readonly string[] {
    const { host, request } = this.found;
    return this.#changed ?? bundleFiles(this.#settings, host, keyPlaceOf(request));
  }

  toJSON(): object {
    const { kind, path, role, hostname, files } = this;
    return { kind, path, role, hostname, files };
  }
}
