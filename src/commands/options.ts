// What every command gets from the command line's global flags.

export interface GlobalOptions {
  /** Absolute path of the settings file. */
  readonly settings: string;
  readonly json: boolean;
}
