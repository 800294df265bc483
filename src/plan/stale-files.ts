// What tells a bundle that has to be written from one that is right: its bytes. Pure. Files that no bundle should have do
// not count here; warnings.ts names them.

/** The names of the files that a bundle lacks, or holds with other bytes than it should; both maps are by file name. */
export function staleFiles(
  bundle: ReadonlyMap<string, Buffer>,
  wanted: ReadonlyMap<string, Buffer>,
): readonly string[] {
  return [...wanted].flatMap(([name, bytes]) => (bundle.get(name)?.equals(bytes) === true ? [] : [name]));
}
